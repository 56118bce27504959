"""One simulated FreeBSD host for tests of plans: read it, plan for it, run the plan, take it back, boot it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bsdcarp.inventory import load_text, require
from bsdcarp.lab.machine import Machine
from bsdcarp.lab.nic import Nic
from bsdcarp.lab.segment import ManualClock, Network
from bsdcarp.lab.wire import CommandServer
from bsdcarp.model import Inventory, Secret
from bsdcarp.plan import Command, FileChange, Plan, plan
from bsdcarp.platforms.desire import desire
from bsdcarp.platforms.desired import Desired
from bsdcarp.platforms.paths import RECORD_PATH, kernconf_path
from bsdcarp.snapshot import Snapshot, parse, read_script

RELEASES = ("7.2", "9.3", "10.4", "12.1", "14.2", "15.0")
PSEUDO = ("7.2", "9.3")
VHID = ("10.4", "12.1", "14.2", "15.0")
HOST = "a"
PASSWORD = "s3cr3tOfCarp"
OWN = {"em0": "192.0.2.2/24", "em1": "198.51.100.2/24"}

Groups = Mapping[str, Mapping[str, Any]]


def group(vhid: int, *addresses: str, **more: Any) -> dict[str, Any]:
    """Return one group of hosts a and b, as an inventory writes it."""
    members: list[Any] = ["a", "b"]
    if "interface" in more:
        name = more.pop("interface")
        members = [{"host": host, "interface": name} for host in members]
    if "peer" in more:
        peer = more.pop("peer")
        members = [{"host": "a", "peer": peer}, {"host": "b", "peer": "192.0.2.2"}]
    return {
        "vhid": vhid,
        "password": {"env": "P"},
        "addresses": list(addresses),
        "members": members,
        **more,
    }


def inventory_of(release: str, groups: Groups, host: Mapping[str, Any] | None = None, **top: Any) -> Inventory:
    """Return an inventory of hosts a and b."""
    data = {
        "version": 1,
        "sysctl": {"allow": 1, "preempt": 1, "log": 1, "arpbalance": "auto"},
        "hosts": {
            "a": {"address": "192.0.2.2", "interface": "em0", "os": f"freebsd-{release}", **(host or {})},
            "b": {"address": "192.0.2.3", "interface": "em0", "os": f"freebsd-{release}", **(host or {})},
        },
        "groups": dict(groups),
        **top,
    }
    if not groups:
        data["groups"] = {"elsewhere": {**group(250, "192.0.2.250/24"), "members": ["b", "c"]}}
        data["hosts"]["c"] = {"address": "192.0.2.4", "interface": "em0", "os": f"freebsd-{release}"}
    return require(load_text(json.dumps(data, indent=1), "test.yml"))


class SimulatedHost:
    """Host ``a`` of an inventory, on a clock that stands still unless a test moves it."""

    def __init__(
        self,
        root: Path,
        release: str,
        *,
        rc_conf: str | None = None,
        nics: tuple[str, ...] = ("em0", "em1"),
        kernel: str | None = None,
        **files: Any,
    ) -> None:
        self.release = release
        self.network = Network(clock=ManualClock())
        self.machine = Machine(
            HOST,
            release,
            root,
            [Nic(name, ether=f"52:54:00:00:00:0{n}", segment=name) for n, name in enumerate(nics, 1)],
            network=self.network,
            kernel=kernel,
        )
        if rc_conf is None:
            rc_conf = 'hostname="a"\nsshd_enable="YES"\n' + "".join(
                f'ifconfig_{name}="inet {OWN[name]}"\n' for name in nics
            )
        self.machine.create(rc_conf, **files)
        self.machine.boot()
        assert self.machine.state == "up", self.machine.console
        self.server = CommandServer([self.machine])
        self.server.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.stop()
        self.network.stop()

    def snapshot(self, *more: str) -> Snapshot:
        script = read_script("7f" * 8, (RECORD_PATH, *more))
        done = subprocess.run(
            ["/bin/sh", "-s"], input=script, env=self.machine.session_env(), capture_output=True, check=False
        )
        return parse(done.stdout, "7f" * 8, host=HOST)

    def desired(self, inventory: Inventory, password: str = PASSWORD) -> tuple[Desired, Snapshot]:
        host = inventory.hosts[HOST]
        snapshot = self.snapshot(kernconf_path(host))
        secrets = {name: Secret(password) for name in inventory.groups}
        return desire(inventory, host, secrets, snapshot), snapshot

    def plan(self, inventory: Inventory, password: str = PASSWORD) -> Plan:
        return plan(*self.desired(inventory, password))

    def apply(self, inventory: Inventory, password: str = PASSWORD) -> Plan:
        found = self.plan(inventory, password)
        self.write(found)
        for change in found.live:
            self.run(change.command)
        return found

    def write(self, found: Plan) -> None:
        for change in found.files:
            assert isinstance(change, FileChange)
            self._put(change.path, change.after)

    def take_back(self, found: Plan) -> None:
        for change in reversed(found.live):
            for command in change.undo:
                self.run(command)
        for file in found.files:
            self._put(file.path, file.before)

    def _put(self, path: str, text: str | None) -> None:
        target = self.machine.tree.path(path)
        if text is None:
            target.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text.encode("utf-8", "surrogateescape"))

    def run(self, command: Command) -> None:
        words = [word.reveal() if isinstance(word, Secret) else word for word in command.words]
        reply = self.machine.command(words)
        assert reply.status == 0, (str(command), reply.stdout, reply.stderr)

    def sh(self, text: str) -> None:
        """Run one plain command line of an operator."""
        reply = self.machine.command(text.split())
        assert reply.status == 0, (text, reply.stdout, reply.stderr)

    def read(self, path: str) -> str | None:
        return self.machine.read(path)

    def boot(self) -> None:
        self.machine.power_off()
        self.machine.boot()
        assert self.machine.state == "up", self.machine.console

    def live(self) -> dict[str, object]:
        """Return all of the live state that a plan is about, without roles."""
        return live_state(self.snapshot())


def live_state(snapshot: Snapshot) -> dict[str, object]:
    return {
        "sysctls": {k: v for k, v in snapshot.sysctls.items() if k in ("allow", "preempt", "log", "arpbalance")},
        "interfaces": {
            name: (
                # Link-local addresses are the kernel's own, made when an interface comes up.
                frozenset(a for a in i.addresses if not a.text.startswith("fe80:")),
                frozenset((v.vhid, v.advbase, v.advskew, v.key, v.peer, v.peer6) for v in i.vhids),
                # Without an IPv6 address it does not matter, and rc sets it on every carpN that it starts.
                i.inet6_disabled and any(a.interface.version == 6 for a in i.addresses),
            )
            for name, i in snapshot.interfaces.items()
        },
    }
