"""Is it in force, and does it work?  Elections get their time, then every member is asked over a new connection."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bsdcarp.dataclass import dataclass
from bsdcarp.fleet.course import Assessment, HostPlan, assess
from bsdcarp.fleet.hosts import Fleet, Look
from bsdcarp.fleet.progress import Event
from bsdcarp.model import Finding, Inventory, Secret, Severity

__all__ = ["Verification", "electing", "settle_seconds", "unsettled", "wait_for_election"]

_UNSETTLED = frozenset({"verify-master-none", "verify-master-many"})
_TOLERATED = frozenset({"verify-kernel"})
"""What no transaction can bring about: a kernel has to be built and booted first."""
_NOTICE = 0.7
"""Seconds beyond the protocol's own time in which adverts cross the wire and hosts log their new state."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The hosts of one unit, and what was planned for them, which is what they are held against."""

    fleet: Fleet
    hosts: tuple[str, ...]
    plans: Mapping[str, HostPlan]
    secrets: Mapping[str, Secret]
    anew: bool = True
    """Connect anew: that it can be done is half of what has to be shown before a change becomes final."""
    beside: frozenset[str] = frozenset()
    """Those of ``hosts`` that share their groups but are not to be changed: the groups are judged with them, they
    themselves are not."""

    def as_read(self) -> Assessment:
        """Judge what was read before anything was changed."""
        return self._judge({name: Look(name, snapshot=self.plans[name].snapshot) for name in self.hosts})

    def judge_anew(self, restarted: tuple[str, ...], *, wait: bool) -> Assessment:
        """Judge what is there now, once the ``restarted`` groups had their election.

        Without ``wait`` those groups are not judged as a whole.
        """
        pending = restarted if wait else ()
        judgement = Assessment()
        for _ in range(2):
            if pending:
                wait_for_election(self.fleet, pending)
            judgement = self._judge(self.look_anew(), skip=() if wait else restarted)
            # An election that was already going on, or took its longest, gets the time once more.
            pending = unsettled(judgement) if wait else ()
            if not pending:
                break
        return judgement

    def look_anew(self) -> dict[str, Look]:
        """Read every host, over a new connection unless told otherwise."""
        for name in self.hosts if self.anew else ():
            self.fleet.forget(name)
        with ThreadPoolExecutor(max(len(self.hosts), 1)) as pool:
            return {look.host: look for look in pool.map(self.fleet.look_at, self.hosts)}

    def worse(self, judgement: Assessment) -> list[Finding]:
        """Return the errors that speak against the change: not who was MASTER before just as wrongly.

        A group that the change brought up had no MASTER before, which excuses nothing.
        """
        errors = [f for f in judgement.findings if f.severity is Severity.ERROR and f.rule not in _TOLERATED]
        if not any(map(self._may_be_old, errors)):
            return errors
        new = {name for name in electing(self.fleet.inventory, self.plans, self.hosts) if not self._carried(name)}
        before = {f.about for f in self.as_read().findings if self._may_be_old(f) and f.group not in new}
        return [finding for finding in errors if finding.about not in before]

    def _may_be_old(self, finding: Finding) -> bool:
        """Whether it does not speak against the change if it was there before, as what others left wrong is."""
        return finding.rule in _UNSETTLED or bool(self.beside and not finding.host)

    def _carried(self, group: str) -> bool:
        vhid = self.fleet.inventory.groups[group].vhid
        read = [snapshot for name in self.hosts if (snapshot := self.plans[name].snapshot)]
        return any(interface.vhid(vhid) for snapshot in read for interface in snapshot.interfaces.values())

    def _judge(self, looks: Mapping[str, Look], *, skip: Collection[str] = ()) -> Assessment:
        known = {name: desired for name in self.hosts if (desired := self.plans[name].desired)}
        judgement = assess(self.fleet.inventory, looks, self.secrets, skip_groups=skip, known=known)
        return replace(judgement, findings=tuple(f for f in judgement.findings if f.host not in self.beside))


def unsettled(judgement: Assessment) -> tuple[str, ...]:
    """Return the groups in which nobody, or more than one member, is MASTER."""
    return tuple(finding.group for finding in judgement.findings if finding.rule in _UNSETTLED)


def wait_for_election(fleet: Fleet, groups: tuple[str, ...]) -> None:
    """Sleep as long as the slowest election among these groups may take, and tell so."""
    seconds = settle_seconds(fleet.inventory, groups)
    fleet.tell(Event("", "waiting", "for the election", seconds))
    time.sleep(seconds)


def electing(inventory: Inventory, plans: Mapping[str, HostPlan], changed: Iterable[str]) -> tuple[str, ...]:
    """Return the groups whose vhid was restarted on a changed host: they elect anew."""
    hosts = set(changed)
    return tuple(
        group.name
        for group in inventory.groups.values()
        if any(member.host in hosts and group.vhid in _restarted(plans[member.host]) for member in group.members)
    )


def _restarted(entry: HostPlan) -> set[int]:
    return {vhid for change in entry.plan.live for vhid in change.restarts} if entry.plan else set()


def settle_seconds(inventory: Inventory, groups: tuple[str, ...]) -> float:
    """Return how long the slowest of these groups may take: 3 x advbase + advskew/256 of its preferred master."""
    times = [
        3 * inventory.groups[name].advbase + min(m.advskew for m in inventory.groups[name].members) / 256
        for name in groups
    ]
    return max(times, default=0.0) + _NOTICE
