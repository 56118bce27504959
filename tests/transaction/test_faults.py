"""Proof by fault injection: wherever a transaction is cut, the host ends as it was or as it was to be, and says which."""

from __future__ import annotations

import errno
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from fault_host import CLAIM, Action, Cut, FaultHost, Picture, preload, prepare, small_plan, wide_plan

from bsdcarp.plan import FileChange, Plan

pytestmark = [
    pytest.mark.skipif(preload() is None, reason="needs a C compiler and /proc"),
    pytest.mark.timeout(900),  # with --run-long, every step meets every end
]
End = Literal["window", "undo", "reboot", "confirm"]
ENDS: tuple[End, ...] = ("window", "undo", "reboot", "confirm")
PLANS: dict[str, Callable[[], Plan]] = {"small": small_plan, "wide": wide_plan}
NEXT = Plan("h", (FileChange("/etc/next.conf", None, "next\n"),))
LATER, LATER2 = "tx-20261122-120001-aaaaaa", "tx-20261122-120002-aaaaaa"
WORKERS = 3


@dataclass(frozen=True, slots=True)
class Point:
    """At which step something happens, and how it ends afterwards."""

    step: int
    end: End


class Rig:
    """What one kind of plan does when nothing goes wrong, and fresh hosts to try it on."""

    def __init__(self, base: Path, plan: Plan) -> None:
        self.base, self.plan = base, plan
        host = self.host()
        self.old = host.picture()
        host.cut_next(Cut(0, "kill"))
        assert host.apply(plan).state == "done"
        self.steps = host.steps
        self.new = host.picture()
        host.cut_next(Cut(0, "kill"))
        assert host.undo(plan)[0] == "undone"
        self.undo_steps = host.steps
        assert host.picture() == self.old
        host.close()
        host = self.host()
        assert host.apply(plan).state == "done"
        host.cut_next(Cut(0, "kill"))
        assert host.confirm(plan)[0] == "confirmed"
        self.confirm_steps = host.steps
        assert host.picture() == self.new
        assert self.new != self.old
        host.close()

    def host(self) -> FaultHost:
        host = FaultHost(Path(tempfile.mkdtemp(dir=self.base)))
        prepare(host, self.plan)
        return host

    def each(self, points: list[Point], check: Callable[[FaultHost, Point], str]) -> list[str]:
        """Run ``check`` on a fresh host for each point; return what went wrong where."""

        def one(point: Point) -> str:
            host = self.host()
            try:
                wrong = check(host, point)
            except Exception as error:  # noqa: BLE001  # one point must not hide the others
                wrong = f"{type(error).__name__}: {error}"
            finally:
                host.close()
            return f"{point}: {wrong}" if wrong else ""

        with ThreadPoolExecutor(WORKERS) as pool:
            return [wrong for wrong in pool.map(one, points) if wrong]

    def judge(self, host: FaultHost, *, confirmed: bool) -> str:
        """Return what is wrong with a host on which everything has ended."""
        picture, recorded = host.picture(), host.recorded()
        if picture != (self.new if confirmed else self.old):
            return f"neither old nor new: {difference(picture, self.new if confirmed else self.old)} ({recorded})"
        if confirmed != (recorded == "confirmed"):
            return f"the record says {recorded!r}"
        if left := host.leftovers():
            return f"left over: {left}"
        return ""

    def finish(self, host: FaultHost, end: End) -> str:
        """Bring a host on which everything works again to its end in one of the four ways, and judge it."""
        host.mend()
        confirmed = False
        match end:
            case "window":
                host.let_time_pass()
            case "undo":
                with host.time_passing():
                    host.undo(self.plan)
            case "reboot":
                host.reboot()
            case "confirm":
                confirmed = host.confirm(self.plan)[0] == "confirmed"
        host.let_time_pass()
        if host.recorded() == "confirmed":
            confirmed = True
        if host.pending():
            # Its watcher died with it, or before it had cleared up: the next one is told so, or does that.
            match host.apply(NEXT, name=LATER, steal=True).state:
                case "pending":
                    with host.time_passing():
                        ending = host.undo(self.plan)
                    if ending[0] not in ("undone", "late"):
                        return f"pending, and cannot be taken back: {ending}"
                case "done" if host.undo(NEXT, name=LATER)[0] == "undone":
                    pass
                case state:
                    return f"pending, and the next one is {state}"
        if not host.recorded():
            # It died before it was armed: nothing was changed, and the next one clears up.
            if host.picture() != self.old:
                return f"changed before it was armed: {difference(host.picture(), self.old)}"
            went = host.apply(self.plan, name=LATER2, steal=True)
            if not went.good:
                return f"the next one cannot go: {went}"
            if host.confirm(self.plan, name=LATER2)[0] != "confirmed":
                return "the next one cannot be confirmed"
            if host.picture() != self.new or host.leftovers():
                return f"the next one leaves {host.leftovers()}"
            return ""
        return self.judge(host, confirmed=confirmed)


def difference(one: Picture, other: Picture) -> str:
    files = {name for name in {*one[0], *other[0]} if one[0].get(name) != other[0].get(name)}
    return f"{sorted(files)} {one[1] if one[1] != other[1] else ''}"


@pytest.fixture(scope="module", params=PLANS)
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rig:
    return Rig(tmp_path_factory.mktemp("rig"), PLANS[request.param]())


Kind = Literal[
    "program killed", "power lost", "disk full", "one write failed", "read-only", "hung up", "undo killed",
    "power lost in undo", "watcher killed", "power lost at boot", "confirm killed", "power lost in confirm",
    "disk full in confirm",
]  # fmt: skip
KINDS: dict[Kind, tuple[str, tuple[End, ...], int]] = {
    "program killed": ("steps", ENDS, 1),
    "power lost": ("steps", ("reboot",), 3),
    "disk full": ("steps", ("window",), 3),
    "one write failed": ("steps", ("confirm",), 4),
    "read-only": ("steps", ("undo", "reboot"), 3),
    "hung up": ("steps", ("confirm",), 4),
    "undo killed": ("undo_steps", ENDS, 2),
    "power lost in undo": ("undo_steps", ("reboot",), 2),
    "watcher killed": ("undo_steps", ("undo", "reboot"), 3),
    "power lost at boot": ("undo_steps", ("reboot",), 3),
    "confirm killed": ("confirm_steps", ("window", "reboot"), 2),
    "power lost in confirm": ("confirm_steps", ("reboot",), 2),
    "disk full in confirm": ("confirm_steps", ("window", "reboot"), 2),
}
"""Whose steps, how it ends afterwards, and every so manieth step is tried; with --run-long every step and end."""


def points(rig: Rig, kind: Kind, *, thorough: bool) -> list[Point]:
    attribute, ends, every = KINDS[kind]
    steps = getattr(rig, attribute)
    if thorough:
        return [Point(step, end) for step in range(1, steps + 1) for end in ends]
    every *= 2 if rig.plan.early else 1
    return [
        Point(step, ends[number % len(ends)]) for number, step in enumerate(range(1 + every // 2, steps + 1, every))
    ]


def judged(rig: Rig, kind: Kind, request: pytest.FixtureRequest, check: Callable[[FaultHost, Point], str]) -> list[str]:
    """Try ``check`` at every point of a kind, tell how many there were, and return what went wrong."""
    chosen = points(rig, kind, thorough=bool(request.config.getoption("--run-long")))
    request.node.user_properties.append(("fault points", len(chosen)))
    return rig.each(chosen, check)


def test_there_are_at_least_two_hundred_points(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    rigs = [Rig(tmp_path, make()) for make in PLANS.values()]
    total, all_of_them = (
        sum(len(points(rig, kind, thorough=thorough)) for rig in rigs for kind in KINDS) for thorough in (False, True)
    )
    told = f"{total} fault points in the tree of one host, {all_of_them} with --run-long"
    request.node.user_properties.append(("told", told))
    with capsys.disabled():
        sys.stdout.write(f"\n{told}\n")
    assert total >= 200


def test_the_program_dies_at_any_step(rig: Rig, request: pytest.FixtureRequest) -> None:

    def check(host: FaultHost, point: Point) -> str:
        outcome = host.apply(rig.plan, Cut(point.step, "kill", after=point.step % 2 == 0))
        if outcome.state != "lost" and point.step < rig.steps - 2:
            return f"not cut: {outcome}"
        return rig.finish(host, point.end)

    assert judged(rig, "program killed", request, check) == []


def test_the_power_fails_at_any_step(rig: Rig, request: pytest.FixtureRequest) -> None:

    def check(host: FaultHost, point: Point) -> str:
        host.apply(rig.plan, Cut(point.step, "power"))
        return rig.finish(host, "reboot")

    assert judged(rig, "power lost", request, check) == []


def test_the_disk_is_full_from_any_step_on(rig: Rig, request: pytest.FixtureRequest) -> None:

    def check(host: FaultHost, point: Point) -> str:
        outcome = host.apply(rig.plan, Cut(point.step, "fail on", errno.ENOSPC))
        if outcome.state in ("untouched", "undone"):
            if host.picture() != rig.old:
                return f"{outcome.state}, but {difference(host.picture(), rig.old)}"
        elif outcome.state != "done":
            return str(outcome)
        host.let_time_pass()
        if host.picture() != rig.old:
            return f"{outcome.state}; still full: {difference(host.picture(), rig.old)}"
        return rig.finish(host, "window")

    assert judged(rig, "disk full", request, check) == []


def test_one_write_fails_at_any_step(rig: Rig, request: pytest.FixtureRequest) -> None:

    def check(host: FaultHost, point: Point) -> str:
        outcome = host.apply(rig.plan, Cut(point.step, "fail once", errno.EIO))
        if outcome.state in ("untouched", "undone"):
            return rig.finish(host, "window")
        if outcome.state == "done":
            return rig.finish(host, "confirm")
        return str(outcome)

    assert judged(rig, "one write failed", request, check) == []


def test_the_file_system_is_read_only_from_any_step_on(rig: Rig, request: pytest.FixtureRequest) -> None:

    def check(host: FaultHost, point: Point) -> str:
        outcome = host.apply(rig.plan, Cut(point.step, "fail on", errno.EROFS))
        if outcome.state in ("untouched", "undone") and host.picture() != rig.old:
            return f"{outcome.state}, but {difference(host.picture(), rig.old)}"
        if outcome.state not in ("untouched", "undone", "broken", "done"):
            return str(outcome)
        # Still read-only: what is live comes back, the files cannot, and it stays pending.
        host.let_time_pass()
        if host.picture()[1] != rig.old[1]:
            return f"{outcome.state}; live: {host.picture()[1]}"
        return rig.finish(host, point.end)

    assert judged(rig, "read-only", request, check) == []


@pytest.mark.parametrize("action", ["kill", "power"])
def test_the_undo_dies_at_any_step(rig: Rig, action: Literal["kill", "power"], request: pytest.FixtureRequest) -> None:

    def check(host: FaultHost, point: Point) -> str:
        if not host.apply(rig.plan).good:
            return "not done"
        with host.time_passing():
            ending, _ = host.undo(rig.plan, Cut(point.step, action))
        if ending == "broken":
            return "broken"
        return rig.finish(host, point.end)

    assert judged(rig, "undo killed" if action == "kill" else "power lost in undo", request, check) == []


def test_the_watcher_dies_in_the_middle_of_its_undo(rig: Rig, request: pytest.FixtureRequest) -> None:

    def check(host: FaultHost, point: Point) -> str:
        if not host.apply(rig.plan).good:
            return "not done"
        host.cut_next(Cut(point.step, "power"))
        host.let_time_pass()
        return rig.finish(host, point.end)

    assert judged(rig, "watcher killed", request, check) == []


def test_the_power_fails_again_while_the_boot_takes_back(rig: Rig, request: pytest.FixtureRequest) -> None:

    def check(host: FaultHost, point: Point) -> str:
        if not host.apply(rig.plan).good:
            return "not done"
        host.lose_power()
        host.run(b"", Cut(point.step, "power"), arguments=[str(host.root / "etc/rc.d/bsdcarp_undo"), "faststart"])
        return rig.finish(host, "reboot")

    assert judged(rig, "power lost at boot", request, check) == []


@pytest.mark.parametrize(
    ("kind", "action"),
    [("confirm killed", "kill"), ("power lost in confirm", "power"), ("disk full in confirm", "fail on")],
)
def test_the_confirmation_dies_or_fails_at_any_step(
    rig: Rig, kind: Kind, action: Action, request: pytest.FixtureRequest
) -> None:

    def check(host: FaultHost, point: Point) -> str:
        if not host.apply(rig.plan).good:
            return "not done"
        ending, _ = host.confirm(rig.plan, Cut(point.step, action))
        wrong = rig.finish(host, point.end)
        if ending == "confirmed" and host.recorded() != "confirmed":
            return f"confirmed was said, and then it was {host.recorded()}"
        return wrong

    assert judged(rig, kind, request, check) == []


def test_a_live_command_fails_at_any_position(tmp_path: Path) -> None:
    rig = Rig(tmp_path, small_plan())

    def check(host: FaultHost, point: Point) -> str:
        # It acts and fails all the same, the first time.
        host.tool(
            "setting",
            f'echo "$2" >"{host.kernel}/$1"; [ "$*" != "v{point.step} b" ] || {{ echo "setting: busy"; exit 1; }}',
        )
        outcome = host.apply(rig.plan)
        if outcome.state != "undone" or "setting: busy" not in outcome.reason:
            return str(outcome)
        return rig.finish(host, "window")

    assert rig.each([Point(position, "window") for position in (1, 2, 3)], check) == []


def test_the_session_is_cut_and_hung_up_on_at_any_step(rig: Rig, request: pytest.FixtureRequest) -> None:
    """Nobody listens any more and a hang-up arrives: what has begun is finished, and waits."""

    def check(host: FaultHost, point: Point) -> str:
        outcome = host.apply(rig.plan, Cut(point.step, "hang up"))
        if outcome.state != "done":
            return str(outcome)
        return rig.finish(host, "confirm")

    assert judged(rig, "hung up", request, check) == []


def test_no_program_asks_the_clock(rig: Rig) -> None:
    """Clocks may be set at any time; sleep(1) counts on its own."""
    host = rig.host()
    assert host.apply(rig.plan).good
    host.let_time_pass()
    assert host.recorded().startswith("undone nobody confirmed it within 20 s")
    assert not (host.base / "asked-the-clock").exists()
    host.close()


def test_a_file_of_another_transaction_stays_when_an_older_one_ends_late(rig: Rig) -> None:
    """The watcher of a confirmed transaction may wake while the next one is pending: that one's hook stays."""
    host = rig.host()
    assert host.apply(rig.plan).good
    assert host.confirm(rig.plan)[0] == "confirmed"
    back = Plan("h", (FileChange("/etc/new.conf", None, "x\n"),))
    name = "tx-20261122-120005-bbbbbb"
    assert host.apply(back, name=name).good
    assert host.undo(rig.plan) == ("late", "confirmed")
    assert host.confirm(rig.plan)[0] == "confirmed"  # its answer was lost, perhaps
    assert (host.root / "etc/rc.d/bsdcarp_undo").exists()
    assert host.pending()
    assert host.confirm(back, name=name, claim="wrong")[0] == "stranger"
    assert host.confirm(back, name=name, claim=CLAIM)[0] == "confirmed"
    assert host.leftovers() == []
    host.close()


def test_the_system_calls_that_are_counted_include_those_of_sh_itself(rig: Rig) -> None:
    """Otherwise this proves less than it says."""
    host = rig.host()
    host.cut_next(Cut(0, "kill"))
    host.run(f'true >"{host.root}/etc/one"; printf x >"{host.root}/etc/two"\n'.encode())
    assert host.steps == 3
    host.close()
