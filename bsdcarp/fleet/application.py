"""Applying plans: units side by side, each verified and made final, or taken back, on its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import field

from bsdcarp.dataclass import dataclass
from bsdcarp.fleet.course import HostPlan, plan_hosts
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.fleet.interrupts import noted_interrupts
from bsdcarp.fleet.order import neighbours, units
from bsdcarp.fleet.policy import Policy
from bsdcarp.fleet.results import Row
from bsdcarp.fleet.terms import new_terms
from bsdcarp.fleet.unit import Task, UnitRun, run_unit
from bsdcarp.model import Finding, Secret
from bsdcarp.transaction import Terms

__all__ = ["Applied", "RollOut", "apply_plans"]


@dataclass(frozen=True, slots=True)
class Applied:
    """How an apply ended: one row per host, and what the judgement afterwards found."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...] = ()
    pending: Mapping[str, Terms] = field(default_factory=dict)
    """With ``--confirm manual``: what waits for its confirmation, by host."""


class RollOut:
    """One apply: its units begin when they are told to, side by side if need be, and how each ended is kept.

    A unit is the hosts that share groups.  One that fails is taken back as a whole; units that have not begun are
    begun no more once ``policy.max_failures`` is passed.  ``hosts`` are all that were chosen.
    """

    def __init__(self, fleet: Fleet, hosts: Iterable[str], secrets: Mapping[str, Secret], policy: Policy) -> None:
        self.fleet = fleet
        self.hosts = tuple(hosts)
        self.secrets = secrets
        self.policy = policy
        self.stopped = False
        """Whether no unit is begun any more that would change something."""
        self.runs: list[UnitRun] = []
        self._terms = new_terms(steal=policy.steal)
        self._lock = threading.Lock()

    def run(self, unit: list[str], plans: Mapping[str, HostPlan]) -> UnitRun:
        """Put the plans of one unit into force, verify, and confirm."""
        mine = {name: plans[name] for name in unit}
        run = _all(unit, "unknown", "bsdcarp itself failed; what was not confirmed goes back when its window is over")
        try:
            if self._must_not_begin() and any(entry.plan for entry in mine.values()):
                run = _all(unit, "skipped", "the roll-out was stopped")
            elif self.fleet.stopping:
                run = _all(unit, "skipped", "interrupted before it began")
            else:
                beside = {} if self.policy.back else self._beside(mine)
                run = run_unit(Task(self.fleet, mine, self.secrets, self.policy, self._terms, beside), unit)
        finally:
            with self._lock:
                self.runs.append(run)
        return run

    def _must_not_begin(self) -> bool:
        with self._lock:
            return self.stopped or sum(run.failed for run in self.runs) > self.policy.max_failures

    def _beside(self, plans: Mapping[str, HostPlan]) -> dict[str, HostPlan]:
        """Look at the members that were not chosen of groups that change, as far as they can be asked."""
        changing = [name for name, entry in plans.items() if entry.plan]
        names = [name for name in neighbours(self.fleet.inventory, changing) if name not in self.hosts]
        # One after the other: other units do the same meanwhile, and all of them count as one host at work each.
        looks = {name: self.fleet.look_at(name) for name in names}
        entries = plan_hosts(self.fleet.inventory, looks, self.secrets)
        return {name: entry for name, entry in entries.items() if entry.desired}

    def applied(self, *, left_out: str = "interrupted before it began") -> Applied:
        """Return how it all ended; ``left_out`` is why nothing was done to hosts that no unit was run for."""
        rows = {name: row for run in self.runs for name, row in run.rows.items()}
        findings = tuple(dict.fromkeys(finding for run in self.runs for finding in run.judgement.findings))
        return Applied(
            tuple(rows.get(name, Row(name, "skipped", left_out)) for name in self.hosts),
            findings,
            {
                name: terms
                for run in self.runs
                for name, terms in run.terms.items()
                if run.rows[name].result == "pending"
            },
        )


def apply_plans(
    fleet: Fleet,
    plans: Mapping[str, HostPlan],
    secrets: Mapping[str, Secret],
    policy: Policy | None = None,
) -> Applied:
    """Put every plan into force, verify, and confirm.

    With ``policy.canary`` one unit goes first, and if it does not end well the others are not begun.  An interrupt
    lets running units end: as planned if all of their hosts are changed, taken back otherwise.
    """
    policy = policy or Policy()
    roll_out = RollOut(fleet, plans, secrets, policy)

    def canary(unit: list[str]) -> None:
        roll_out.stopped = not roll_out.run(unit, plans).well

    every = units(fleet.inventory, plans)
    first = [unit for unit in every if any(plans[name].plan for name in unit)][:1] if policy.canary else []
    # The interpreter must not end, nor this go on, while a unit is between its change and its confirmation.
    with noted_interrupts(fleet.stop), contextlib.suppress(KeyboardInterrupt):
        # Not here, where the units that need it would wait for it.
        threading.Thread(target=_import_judging).start()
        fleet.each(canary, first)
        fleet.each(lambda unit: roll_out.run(unit, plans), [unit for unit in every if unit not in first])
    return roll_out.applied()


def _all(unit: list[str], result: str, why: str) -> UnitRun:
    return UnitRun(unit, {name: Row(name, result, why) for name in unit})


def _import_judging() -> None:
    """Hosts are at work meanwhile."""
    import bsdcarp.judge

    del bsdcarp
