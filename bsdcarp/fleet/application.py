"""Applying plans: units side by side, each verified and made final, or taken back, on its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
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

__all__ = ["Applied", "apply_plans"]


@dataclass(frozen=True, slots=True)
class Applied:
    """How an apply ended: one row per host, and what the judgement afterwards found."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...] = ()
    pending: Mapping[str, Terms] = field(default_factory=dict)
    """With ``--confirm manual``: what waits for its confirmation, by host."""


def apply_plans(
    fleet: Fleet,
    plans: Mapping[str, HostPlan],
    secrets: Mapping[str, Secret],
    policy: Policy | None = None,
    *,
    meanwhile: Callable[[], object] | None = None,
) -> Applied:
    """Put every plan into force, verify, and confirm.

    A unit is the hosts that share groups.  One that fails is taken back as a whole; units that have not begun are
    begun no more once ``policy.max_failures`` is passed, or when the canary did not end well.  An interrupt lets
    running units end: as planned if all of their hosts are changed, taken back otherwise.  ``meanwhile`` is called once
    while hosts are at work; what it raises is raised here, when all that has begun has ended.
    """
    policy = policy or Policy()
    beside = {} if policy.back else _beside(fleet, plans, secrets)
    task = Task(fleet, plans, secrets, policy, new_terms(steal=policy.steal), beside)
    runs: list[UnitRun] = []
    lock = threading.Lock()

    def one_unit(unit: list[str]) -> None:
        changing = any(plans[name].plan for name in unit)
        spoilt = bool(canary and runs) and not runs[0].well
        run = _all(unit, "unknown", "bsdcarp itself failed; what was not confirmed goes back when its window is over")
        try:
            if changing and (spoilt or sum(run.failed for run in runs) > policy.max_failures):
                run = _all(unit, "skipped", "the roll-out was stopped")
            elif fleet.stopping:
                run = _all(unit, "skipped", "interrupted before it began")
            else:
                run = run_unit(task, unit)
        finally:
            with lock:
                runs.append(run)

    every = units(fleet.inventory, plans)
    canary = [unit for unit in every if any(plans[name].plan for name in unit)][:1] if policy.canary else []
    # The interpreter must not end, nor this go on, while a unit is between its change and its confirmation.
    with noted_interrupts(fleet.stop), contextlib.suppress(KeyboardInterrupt):
        # Not here, where the units that need it would wait for it.
        threading.Thread(target=_import_judging).start()
        fleet.each(one_unit, canary)
        fleet.each(one_unit, [unit for unit in every if unit not in canary], meanwhile=meanwhile)
    rows = {name: row for run in runs for name, row in run.rows.items()}
    findings = tuple(dict.fromkeys(finding for run in runs for finding in run.judgement.findings))
    return Applied(
        tuple(rows.get(name, Row(name, "skipped", "interrupted before it began")) for name in plans),
        findings,
        {name: terms for run in runs for name, terms in run.terms.items() if run.rows[name].result == "pending"},
    )


def _beside(fleet: Fleet, plans: Mapping[str, HostPlan], secrets: Mapping[str, Secret]) -> dict[str, HostPlan]:
    """Look at the members that were not chosen of groups that change, as far as they can be asked."""
    changing = [name for name, entry in plans.items() if entry.plan]
    names = [name for name in neighbours(fleet.inventory, changing) if name not in plans]
    looks = fleet.look(names) if names else {}
    entries = plan_hosts(fleet.inventory, looks, secrets)
    return {name: entry for name, entry in entries.items() if entry.desired}


def _all(unit: list[str], result: str, why: str) -> UnitRun:
    return UnitRun(unit, {name: Row(name, result, why) for name in unit})


def _import_judging() -> None:
    """Hosts are at work meanwhile."""
    import bsdcarp.judge

    del bsdcarp
