"""Rebooting hosts one after another, so that somebody serves every group all the time, and proof that each came back.

For every host: can its groups do without it; stand down; a peer is MASTER; reboot; really another boot; every managed
file, sysctl, vhid and role as before; the preferred master took over again.  The first that fails ends it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field, replace
from typing import Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import BsdcarpError, RemoteError, SshError
from bsdcarp.fleet.health import Situation, observe
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.fleet.interrupts import noted_interrupts
from bsdcarp.fleet.kernels import KernelResult, look_at_kernel
from bsdcarp.fleet.kerneltrial import Terms, Trial, install_kernel
from bsdcarp.fleet.order import neighbours
from bsdcarp.fleet.progress import Event
from bsdcarp.fleet.proof import changed_files, prove
from bsdcarp.fleet.reboot import Rebooted, reboot_host
from bsdcarp.fleet.standdown import StandDown, Way, stand_down, take_back, way_down, welcome
from bsdcarp.fleet.verification import settle_seconds
from bsdcarp.model import Finding, Secret, Severity

__all__ = ["HostReboot", "Result", "Rolled", "Rolling", "roll", "survey"]

Result = Literal[
    "rebooted", "refused", "would not survive", "unreachable", "not rebooted", "not verified", "failed", "skipped"
]
_STATUS: Mapping[Result, int] = {
    "rebooted": 0,
    "skipped": 0,
    "refused": 1,
    "not rebooted": 1,
    "failed": 1,
    "unreachable": 5,
    "would not survive": 4,
    "not verified": 4,
}
_MARGIN = 120
"""Seconds beyond the deadline of a reboot after which a host that still runs takes its roles back by itself."""


@dataclass(frozen=True, slots=True)
class Rolling:
    """The choices of one rolling reboot."""

    deadline: float = 300.0
    """Seconds that a host may take to come back."""
    force: bool = False
    """Reboot also what would not come up as it is now."""
    outage: bool = False
    """Reboot also where nobody else serves a group meanwhile."""
    parallel: int = 1
    """Units of hosts that share no group, at work at the same time."""
    kernel: bool = False
    """Install the kernel that was built, where one is needed, and boot that."""
    steal: bool = False
    """Take locks away from processes that are gone."""


@dataclass(frozen=True, slots=True)
class HostReboot:
    """How it went for one host."""

    host: str
    result: Result
    detail: str = ""
    """Why not, and what to do; or what is worth knowing."""
    drain: str = ""
    """How it gave its roles away."""
    heirs: Mapping[str, str] = field(default_factory=dict)
    """By group: who took it over before the reboot."""
    seconds: float | None = None
    """From the order to the first answer."""
    down: float | None = None
    """From the last answer to the first."""
    boots: tuple[str, str] = ("", "")
    """What named the boot before, and after."""
    files: tuple[str, ...] = ()
    """The managed files that were compared, before and after."""
    findings: tuple[Finding, ...] = ()
    kernel: KernelResult | None = None
    """How installing a kernel ended, where one was needed."""
    span: tuple[float, float] = (0.0, 0.0)
    """When it began and ended, on the clock of ``time.monotonic``."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """A rolling reboot, host by host in the order in which it went, or would have."""

    hosts: tuple[HostReboot, ...]

    @property
    def status(self) -> int:
        """The exit status: that of the first failure; 1 where an interrupt left hosts out."""
        left_out = any(entry.result == "skipped" for entry in self.hosts)
        return next((status for entry in self.hosts if (status := _STATUS[entry.result])), int(left_out))

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(dict.fromkeys(finding for entry in self.hosts for finding in entry.findings))


def survey(
    fleet: Fleet, secrets: Mapping[str, Secret], hosts: Iterable[str], rolling: Rolling
) -> tuple[list[list[str]], dict[str, HostReboot]]:
    """Look at the hosts and their neighbours; return the order unit by unit, and what speaks against hosts, if any."""
    chosen = list(hosts)
    now = observe(fleet, secrets, neighbours(fleet.inventory, chosen))
    mild = replace(rolling, force=rolling.force or rolling.kernel)  # nobody knows yet which hosts get a new kernel
    against = {name: entry for name in chosen if (entry := _objection(now, name, mild))}
    readable = [name for name in chosen if name not in now.errors]
    order = now.sequence(readable)
    return [*order, *([name] for name in chosen if name in now.errors)], against


def roll(fleet: Fleet, secrets: Mapping[str, Secret], order: list[list[str]], rolling: Rolling) -> Rolled:
    """Reboot the units of ``order``, each host by host; after the first failure nothing is begun any more."""
    done: dict[str, HostReboot] = {}
    failed = threading.Event()

    def one_unit(unit: list[str]) -> None:
        for name in unit:
            if failed.is_set() or fleet.stopping:
                return
            begun = time.monotonic()
            entry = _Turn(fleet, secrets, name, rolling).take()
            done[name] = replace(entry, span=(begun, time.monotonic()))
            fleet.tell(Event(name, "failed" if _STATUS[entry.result] else "done", entry.detail))
            if _STATUS[entry.result]:
                failed.set()

    with (
        noted_interrupts(fleet.stop),
        ThreadPoolExecutor(rolling.parallel, thread_name_prefix="unit") as pool,
    ):
        turns = [pool.submit(one_unit, unit) for unit in order]
    for turn in turns:
        turn.result()
    culprit = next((name for name, entry in done.items() if _STATUS[entry.result]), "")
    why = f"not begun because of {culprit}" if culprit else "not begun: interrupted"
    every = [name for unit in order for name in unit]
    rest = (HostReboot(name, "skipped", why) for name in every if name not in done)
    return Rolled((*done.values(), *rest))


def _objection(now: Situation, host: str, rolling: Rolling) -> HostReboot | None:
    """Return why ``host`` must not be rebooted as things are, None when it may be."""
    if host in now.errors:
        return _failure(host, now.errors[host])
    for name in neighbours(now.inventory, [host]):
        look = now.looks[name].snapshot
        if look and look.pending:
            return HostReboot(host, "refused", f"on {name} {look.pending} waits: bsdcarp confirm, or bsdcarp rollback")
    if not rolling.outage and (bereft := now.bereft(host)):
        remedy = "make another member healthy first, or accept with --outage that nobody serves it meanwhile"
        return HostReboot(host, "refused", f"{'; '.join(bereft)} ({remedy})")
    boot = now.judge([host], boot=True)
    if boot.failed and not rolling.force:
        first = next(f for f in boot.findings if f.severity is Severity.ERROR)
        return HostReboot(host, "would not survive", f"{first.message} ({first.remedy})", findings=boot.findings)
    return None


def _failure(host: str, error: BsdcarpError) -> HostReboot:
    text = str(error).removeprefix(f"{host}: ")
    return HostReboot(host, "unreachable" if isinstance(error, SshError) else "refused", text)


def _kernel_failure(result: KernelResult) -> HostReboot | None:
    """Return how a kernel that could not be had ends the turn of its host, None when all is well."""
    row = result.row
    if row.result in ("changed", "unchanged"):
        return None
    known: Mapping[str, Result] = {word: word for word in ("refused", "unreachable", "not verified")}
    detail = "; ".join((row.detail, *result.log[-3:]))
    return HostReboot(row.host, known.get(row.result, "failed"), detail, kernel=result)


class _Turn:
    """One host's turn."""

    def __init__(self, fleet: Fleet, secrets: Mapping[str, Secret], host: str, rolling: Rolling) -> None:
        self.fleet = fleet
        self.secrets = secrets
        self.host = host
        self.rolling = rolling
        self.near = neighbours(fleet.inventory, [host])

    def take(self) -> HostReboot:
        rolling = self.rolling
        try:
            new = self._new_kernel() if rolling.kernel else None
            if isinstance(new, KernelResult):
                if failure := _kernel_failure(new):
                    return failure
                new = None
            now = observe(self.fleet, self.secrets, self.near)
            # What a new kernel brings, the old one's files need not survive without.
            if objection := _objection(now, self.host, replace(rolling, force=rolling.force or new is not None)):
                return objection
            way = way_down(now.desired[self.host], now.held(self.host), now.preempting(self.host))
            self.tell("giving its roles away" if way.give else way.said)
            family = now.snapshot(self.host).release.family
            window = rolling.deadline + _MARGIN
            standing = stand_down(self.fleet, self.host, way, family=family, window=window, steal=rolling.steal)
        except BsdcarpError as error:
            return _failure(self.host, error)
        heirs: dict[str, str] = {}
        back: Rebooted | None = None
        ordered = False
        try:
            heirs = self._heirs(way, now)
            ordered = True
            limit = rolling.deadline
            back = new.boot(limit) if new else reboot_host(self.fleet, self.host, deadline=limit)
            welcome(self.fleet, standing)
            kept = new.keep(back) if new else None
            entry = replace((kept and _kernel_failure(kept)) or self._proven(now, back), kernel=kept)
        except BsdcarpError as error:
            entry = self._undone(standing, error, back, ordered=ordered)
        except BaseException:
            take_back(self.fleet, standing)
            raise
        return self._filled(entry, way, heirs, back, now)

    def _new_kernel(self) -> KernelResult | Trial:
        """Install what was built, while the host still has its roles: that takes minutes."""
        view = look_at_kernel(self.fleet, self.host)
        return install_kernel(self.fleet, view, self.secrets, Terms(steal=self.rolling.steal))

    def tell(self, what: str, seconds: float = 0.0) -> None:
        self.fleet.tell(Event(self.host, "waiting", what, seconds))

    def _heirs(self, way: Way, before: Situation) -> dict[str, str]:
        """Wait until somebody else is MASTER of every group that was given away.  Raises ``RemoteError``."""
        limit = settle_seconds(self.fleet.inventory, way.moved) + 5
        end = time.monotonic() + limit
        now = before
        others = [name for name in self.near if name != self.host]
        while True:
            heirs = {group: now.master(group, other_than=self.host) for group in way.moved}
            waiting = [group for group, heir in heirs.items() if not heir]
            if not waiting:
                return heirs
            if time.monotonic() > end:
                raise RemoteError(
                    f"nobody became MASTER of {', '.join(waiting)} within {limit:.0f} s of {way.said}; not rebooted",
                    place=self.host,
                    remedy="bsdcarp verify shows whether the peers hear each other and have preempt=1",
                )
            if self.fleet.stopping:
                raise RemoteError("interrupted before it was rebooted", place=self.host)
            self.tell(f"for a new MASTER of {', '.join(waiting)}", end - time.monotonic())
            time.sleep(0.1)
            now = observe(self.fleet, self.secrets, others, absent=before.absent)

    def _undone(self, standing: StandDown, error: BsdcarpError, back: Rebooted | None, *, ordered: bool) -> HostReboot:
        """Give the roles back where the host still has its old boot; whatever cannot be reached does so itself."""
        entry = _failure(self.host, error)
        if back is not None:
            return entry
        if ordered and isinstance(error, SshError):
            # Nobody knows which boot it has; the new one has nothing to take back, and the old one does so by itself.
            return entry
        after = take_back(self.fleet, standing) or "it may have its roles again"
        detail = f"{entry.detail}; {after}" if standing.way.give else entry.detail
        return replace(entry, result="not rebooted", detail=detail)

    def _proven(self, before: Situation, back: Rebooted) -> HostReboot:
        known = frozenset(finding.about for finding in before.judge().findings)
        served = frozenset((group, name) for name in before.desired for group in before.held(name))
        found = prove(
            self.fleet, self.secrets, self.host, self.near, known=known, absent=before.absent, served=served
        )  # fmt: skip
        files = changed_files(before.desired[self.host], before.snapshot(self.host), back.snapshot)
        findings = (*files, *found.findings)
        if found.error is not None:
            return replace(_failure(self.host, found.error), findings=findings)
        serious = (*files, *found.serious)
        if serious:
            return HostReboot(self.host, "not verified", serious[0].message, findings=findings)
        return HostReboot(self.host, "rebooted", findings=findings)

    def _filled(
        self, entry: HostReboot, way: Way, heirs: Mapping[str, str], back: Rebooted | None, before: Situation
    ) -> HostReboot:
        desired = before.desired[self.host]
        return replace(
            entry,
            drain=way.said,
            heirs=dict(heirs),
            seconds=back.seconds if back else None,
            down=back.down if back else None,
            boots=(str(back.before), str(back.after)) if back else ("", ""),
            files=(*desired.files, *desired.programs) if back else (),
        )
