"""Going back from anywhere to anywhere: any sequence of changes, and all of them since any one taken back at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from linux_hosts import NO_UNIT, WEB, host, inventory, status, unit, wanted

from bsdcarp.errors import PlanError
from bsdcarp.plan import FREEBSD_STATE, LINUX_STATE, FileChange, Init, LiveChange, Plan, ProgramChange, plan
from bsdcarp.plan.command import Command, command
from bsdcarp.platforms.desired import DesiredProgram
from bsdcarp.platforms.linux_services import INITS
from bsdcarp.platforms.paths import CARPD_CONFIG, CARPD_PROGRAM
from bsdcarp.snapshot import FileState, Snapshot
from bsdcarp.snapshot.cksum import cksum
from bsdcarp.transaction.history import Past, kept_paths, rollback_plan
from bsdcarp.transaction.recorded import Recorded, read_recorded, written
from bsdcarp.transaction.wayback import way_back

CARPD = "bsdcarp-carpd"
ARP = "net/ipv4/conf/eth0/arp_"
Files = dict[str, tuple[str, int]]
"""Text and mode by path."""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@dataclass
class World:
    """A host that fails where a real one would: what is started needs its files, and reads them only then."""

    init: Init = "systemd"
    files: Files = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    """What systemd knows of its units."""
    running: dict[str, Files] = field(default_factory=dict)
    """Services, with the files as each of them read them."""
    enabled: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=lambda: {f"{ARP}ignore": "0", f"{ARP}announce": "0"})

    def do(self, wish: Command) -> None:
        words = [str(word) for word in wish.words]
        match words:
            case ["sh", "-c", text]:
                self.do(command(text.split(" || ")[0]))
            case ["systemctl", "daemon-reload"]:
                self.units = {path: text for path, (text, _) in self.files.items() if path.endswith(".service")}
            case ["systemctl", verb, name]:
                self._service(verb, name.removesuffix(".service"), f"/etc/systemd/system/{name}")
            case ["rc-service", name, verb]:
                self._service(verb, name, f"/etc/init.d/{name}")
            case ["rc-update", verb, name, "default"]:
                self._service({"add": "enable", "del": "disable"}[verb], name, f"/etc/init.d/{name}")
            case [script, verb] if script == INITS["sh"].path:
                self._service(verb, CARPD, script)
            case ["sysctl", "-w", *assignments]:
                self.values.update(dict(text.split("=", 1) for text in assignments))
            case ["setting", name, value]:
                self.values[name] = value
            case ["python3", "-I", program, "run", "-n", "-c", config]:
                assert {program, config} <= set(self.files), words
            case _:
                raise AssertionError(words)

    def _service(self, verb: str, name: str, path: str) -> None:
        assert path in self.files, f"{verb} {name}: no such unit"
        if self.init == "systemd" and verb not in ("stop", "disable"):
            assert self.units.get(path) == self.files[path][0], f"{verb} {name}: systemd knows another unit"
        match verb:
            case "start" | "restart":
                self.running[name] = self._read(name, path)
            case "stop":
                assert name in self.running, f"{name} does not run"
                del self.running[name]
            case "reload":
                self.running[name] |= {p: f for p, f in self._read(name, path).items() if p.endswith(".json")}
            case "enable":
                self.enabled.add(name)
            case "disable":
                assert name in self.enabled, f"{name} is not enabled"
                self.enabled.remove(name)

    def _read(self, name: str, path: str) -> Files:
        group = name.removeprefix("bsdcarp-ucarp-")
        needed = [CARPD_CONFIG, CARPD_PROGRAM] if name == CARPD else [f"/etc/bsdcarp/ucarp-{group}.pass"]
        return {p: self.files[p] for p in (path, *needed)}

    def run(self, change: Plan, copies: Mapping[str, tuple[str, int]]) -> Files:
        """Put a plan into force; return the files as they were, for its copies."""
        before = {c.path: self.files[c.path] for c in change.files if c.path in self.files}
        for entry in change.live[: change.early]:
            self.do(entry.command)
        for c in change.files:
            self._put(c, copies)
        for entry in change.live[change.early :]:
            self.do(entry.command)
        return before

    def _put(self, change: FileChange | ProgramChange, copies: Mapping[str, tuple[str, int]]) -> None:
        text, mode = self.files.get(change.path, (None, change.mode))
        held = cksum(_bytes(text)) if isinstance(change, ProgramChange) and text is not None else text
        assert change.before == held
        after = change.after
        if after is None:
            del self.files[change.path]
            return
        new = after if isinstance(after, str) else after.decode("utf-8", "surrogateescape")
        self.files[change.path] = (new, mode)
        if change.copied:
            self.files[change.path] = copies[change.copied]
            assert self.files[change.path][0] == new

    @property
    def state(self) -> str:
        return FREEBSD_STATE if self.init == "rc" else LINUX_STATE

    def look(self, answers: Mapping[str, dict[str, Any]]) -> Snapshot:
        """Return what bsdcarp sees of it; ``answers`` are what a daemon with a configuration tells."""
        sections: dict[str, Any] = {"init": self.init}
        names = [p.rpartition("/")[2].removesuffix(".service") for p in self.files if p.endswith(".service")]
        told = [
            unit(n, "active" if n in self.running else "inactive", "enabled" if n in self.enabled else "disabled")
            for n in names
        ]
        sections["units"] = "\n".join(told) or NO_UNIT
        if CARPD in self.running:
            sections["started"] = " "
        if CARPD in self.enabled:
            sections["enabled"] = " "
        sections["proc"] = "".join(f"/proc/sys/{n}:{v}\n" for n, v in self.values.items() if n.startswith(ARP))
        if CARPD_PROGRAM in self.files:
            sections["program"] = cksum(_bytes(self.files[CARPD_PROGRAM][0]))
        answer = answers[self.running[CARPD][CARPD_CONFIG][0]] if CARPD in self.running else None
        return host({path: text for path, (text, _) in self.files.items()}, carpd=answer, **sections)


@dataclass
class Story:
    """A world, how it was before each of its transactions, and what it keeps of them."""

    world: World
    past: list[tuple[Past, World]] = field(default_factory=list)
    copies: Files = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    def change(self, change: Plan) -> None:
        if not change:
            return
        name, before = f"tx-{len(self.past):03}", deepcopy(self.world)
        kept = self.world.run(change, self.copies)
        self.copies |= {f"{change.state}/{name}{path}": file for path, file in kept.items()}
        record = read_recorded(written(change, name, "me"), host="h")
        self.past.append((Past(name, "confirmed", record), before))

    def back(self, number: int) -> Plan:
        """Return the plan that goes back to before transaction ``number``."""
        entries = [past for past, _ in reversed(self.past[number:])]
        there = {**self.world.files, **self.copies}
        files = {path: FileState(there[path][0]) for path in kept_paths(self.world.state, entries) if path in there}
        return rollback_plan("h", self.world.state, self.world.init, entries, files)

    def wish(self, groups: tuple[str, ...], backend: str, address: str, program: str, *, virtual_mac: bool) -> None:
        """Apply an inventory."""
        keys = {
            "web": {**WEB, "addresses": [f"192.0.2.{address}/24"]},
            "mail": {"vhid": 2, "addresses": ["192.0.2.20/24"]},
        }
        choice: dict[str, Any] = {"backend": backend}
        if backend == "carpd":
            choice["virtual_mac"] = virtual_mac
        found = inventory({name: keys[name] for name in groups}, **choice)
        snapshot = self.world.look(self.answers)
        desired = wanted(found, snapshot)
        if program and desired.programs.get(CARPD_PROGRAM, DesiredProgram(None)).data:
            another = MappingProxyType({CARPD_PROGRAM: DesiredProgram(program.encode())})
            desired = replace(desired, programs=another)
        config = desired.files.get(CARPD_CONFIG)
        if config and config.text:
            self.answers[config.text] = json.loads(json.dumps(status(desired)))
        self.change(plan(desired, snapshot))

    def every_way_back_leads_there(self) -> None:
        for number, (_, before) in enumerate(self.past):
            there = deepcopy(self)
            plan_back = self.back(number)
            there.world.run(plan_back, there.copies)
            assert there.world == before, f"to before {number}: {[str(c.command) for c in plan_back.live]}"


WISHES = st.tuples(
    st.sampled_from([(), ("web",), ("mail",), ("web", "mail")]),
    st.sampled_from(["carpd", "ucarp"]),
    st.sampled_from(["10", "11"]),
    st.sampled_from(["", "another"]),
    st.booleans(),
)
BACK = st.integers(0, 5)


@given(init=st.sampled_from(["systemd", "openrc", "sh"]), steps=st.lists(WISHES | BACK, min_size=1, max_size=7))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_history_of_a_linux_host_can_be_taken_back_from_any_of_its_transactions_on(
    init: Init, steps: list[tuple[tuple[str, ...], str, str, str, bool] | int]
) -> None:
    story = Story(World(init))
    for step in steps:
        if isinstance(step, int):
            if story.past:
                story.change(story.back(max(len(story.past) - 1 - step, 0)))
            continue
        groups, backend, address, program, virtual_mac = step
        if init != "systemd":
            backend = "carpd"
        story.wish(groups, backend, address, program, virtual_mac=virtual_mac)
    story.every_way_back_leads_there()


@given(st.lists(st.dictionaries(st.sampled_from(["v1", "v2", "v3"]), st.sampled_from("abc")) | BACK, max_size=8))
@settings(deadline=None)
def test_any_history_of_settings_can_be_taken_back_from_any_of_its_transactions_on(
    steps: list[dict[str, str] | int],
) -> None:
    story = Story(World("rc", values=dict.fromkeys(["v1", "v2", "v3"], "a")))
    for step in steps:
        if isinstance(step, int):
            if story.past:
                story.change(story.back(max(len(story.past) - 1 - step, 0)))
            continue
        old, text = story.world.values, "".join(f"{name}={value}\n" for name, value in sorted(step.items()))
        live = tuple(setting(name, value, old[name]) for name, value in step.items() if value != old[name])
        before = story.world.files.get("/etc/rc.conf", (None, 0))[0]
        files = (FileChange("/etc/rc.conf", before, text or None),) if (before or "") != text else ()
        story.change(Plan("h", files, live))
    story.every_way_back_leads_there()


def setting(name: str, new: str, old: str) -> LiveChange:
    return LiveChange("why", command("setting", name, new), (command("setting", name, old),))


def recorded(*live: LiveChange, restored: tuple[str, ...] = ()) -> Recorded:
    return Recorded("tx", "me", (), live, 0, tuple(map(command, restored)))


def test_a_service_that_any_of_them_restarts_is_restarted() -> None:
    reload = Command(("sh", "-c", "systemctl reload x.service || systemctl restart x.service"))
    restart, again = command("systemctl restart x.service"), command("systemctl daemon-reload")
    older, newer = recorded(), recorded()
    for first, second in ((reload, restart), (restart, reload)):
        older, newer = replace(older, restored=(first,)), replace(newer, restored=(again, second))
        assert way_back([newer, older], files_change=True).restored == (again, restart)
    assert way_back([older, replace(older, restored=(reload,))], files_change=False).restored == ()


def test_commands_that_cancel_out_are_not_run() -> None:
    there, back, other = setting("v1", "b", "a"), setting("v1", "a", "b"), setting("v2", "d", "c")
    for files_change in (True, False):
        way = way_back(
            [recorded(back), recorded(setting("v2", "c", "d")), recorded(there, other)], files_change=files_change
        )
        assert (way.before, way.after) == ((), ())
        way = way_back([recorded(back), recorded(there, other)], files_change=files_change)
        assert [str(change.command) for change in way.before] == ["setting v1 b", "setting v2 c", "setting v1 a"]


def test_what_cannot_come_back_is_refused() -> None:
    story = Story(World("rc", files={"/etc/rc.conf": ("a", 0o644)}))
    story.change(Plan("h", (FileChange("/etc/rc.conf", "a", "b"),)))
    story.copies.clear()
    with pytest.raises(PlanError, match=r"the copy of /etc/rc\.conf in tx-000 is gone"):
        story.back(0)
