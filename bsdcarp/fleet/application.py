"""Applying plans: unit by unit, host after host inside one, then a second look at everything and a judgement."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bsdcarp.errors import BsdcarpError
from bsdcarp.fleet.course import HostPlan, assess
from bsdcarp.fleet.hosts import Fleet, Look
from bsdcarp.fleet.order import units
from bsdcarp.fleet.progress import Event
from bsdcarp.fleet.results import Row, row_of_error
from bsdcarp.model import Finding, Inventory, Secret, Severity
from bsdcarp.transaction import Outcome

__all__ = ["Applied", "apply_plans", "electing", "settle_seconds"]

_NOTICE = 0.7
"""Seconds beyond the protocol's own time in which adverts cross the wire and hosts log their new state."""


@dataclass(frozen=True, slots=True)
class Applied:
    """How an apply ended: one row per host, and what the judgement afterwards found."""

    rows: tuple[Row, ...]
    findings: tuple[Finding, ...] = ()


def apply_plans(
    fleet: Fleet, plans: Mapping[str, HostPlan], secrets: Mapping[str, Secret], *, wait: bool = True
) -> Applied:
    """Put every plan into force and verify.

    A host that fails stops the rest of its unit (the hosts that share a group with it), nothing else.  With
    ``wait``, groups whose vhids were restarted get the time that the protocol needs to elect a MASTER.
    """
    rows: dict[str, Row] = {}

    def one_unit(unit: list[str]) -> None:
        bad = next((plans[name] for name in unit if plans[name].error), None)
        if bad and bad.error:
            for name in unit:
                error = plans[name].error
                rows[name] = row_of_error(name, error) if error else Row(name, "skipped", f"because of {bad.host}")
            return
        failed = ""
        for name in unit:
            if failed:
                rows[name] = Row(name, "skipped", f"because of {failed}")
                continue
            rows[name] = _one_host(fleet, plans[name])
            if rows[name].result not in ("changed", "unchanged"):
                failed = name

    fleet.each(one_unit, units(fleet.inventory, plans))
    ordered = [rows[name] for name in plans if name in rows]
    return _verified(fleet, plans, ordered, secrets, wait=wait)


def _one_host(fleet: Fleet, entry: HostPlan) -> Row:
    plan = entry.plan
    if plan is None or not plan:
        return Row(entry.host, "unchanged")
    try:
        outcome = fleet.transact(plan)
    except BsdcarpError as error:
        fleet.tell(Event(entry.host, "failed", str(error)))
        return row_of_error(entry.host, error)
    fleet.tell(Event(entry.host, "applied" if outcome.good else "failed", outcome.reason))
    return _row(outcome, files=len(plan.files), live=len(plan.live))


def _row(outcome: Outcome, *, files: int, live: int) -> Row:
    counted = f"{files} file{'' if files == 1 else 's'}, {live} live command{'' if live == 1 else 's'}"
    match outcome.state:
        case "done":
            return Row(outcome.host, "changed", counted)
        case "untouched":
            return Row(outcome.host, "refused", f"untouched: {outcome.reason}")
        case "locked":
            return Row(outcome.host, "refused", f"untouched: held by {outcome.reason or 'another transaction'}")
        case "undone":
            return Row(outcome.host, "undone", f"as it was before: {outcome.reason}")
        case "broken":
            return Row(outcome.host, "broken", f"could not be taken back: {outcome.reason}")
        case _:
            return Row(
                outcome.host, "unknown", f"the session was lost ({outcome.reason}); run diff to see where it stands"
            )


def _verified(
    fleet: Fleet, plans: Mapping[str, HostPlan], rows: list[Row], secrets: Mapping[str, Secret], *, wait: bool
) -> Applied:
    changed = [row.host for row in rows if row.result == "changed"]
    restarted = electing(fleet.inventory, plans, changed)
    fresh: dict[str, Look] = {}
    if changed:
        if restarted and wait:
            seconds = settle_seconds(fleet.inventory, restarted)
            fleet.tell(Event("", "waiting", "for the election", seconds))
            time.sleep(seconds)
        # Members of the same groups are looked at again too: the change may have moved a MASTER there.
        near = [g for g in fleet.inventory.groups.values() if any(g.member(name) for name in changed)]
        affected = {member.host for group in near for member in group.members}
        fresh = fleet.look([name for name in plans if name in changed or (name in affected and not plans[name].error)])
    looks = {
        name: fresh.get(name, Look(name, snapshot=entry.snapshot, error=entry.error)) for name, entry in plans.items()
    }
    ended = {row.host for row in rows if row.result in ("changed", "unchanged")}
    skip = set() if wait else set(restarted)
    judgement = assess(fleet.inventory, {n: look for n, look in looks.items() if n in ended}, secrets, skip_groups=skip)
    failing = {f.host for f in judgement.findings if f.severity is Severity.ERROR and f.host}
    groups = {f.group for f in judgement.findings if f.severity is Severity.ERROR and not f.host}
    failing |= {m.host for name in groups for m in fleet.inventory.groups[name].members}
    final = []
    for row in rows:
        error = judgement.errors.get(row.host)
        if row.host in ended and error:
            final.append(row_of_error(row.host, error))
        elif row.host in ended and row.host in failing:
            final.append(Row(row.host, "not verified", row.detail))
        else:
            final.append(row)
    return Applied(tuple(final), judgement.findings)


def electing(inventory: Inventory, plans: Mapping[str, HostPlan], changed: Collection[str]) -> tuple[str, ...]:
    """Return the groups whose vhid was restarted on a changed host: they elect anew."""
    return tuple(
        group.name
        for group in inventory.groups.values()
        if any(member.host in changed and group.vhid in _restarted(plans[member.host]) for member in group.members)
    )


def _restarted(entry: HostPlan) -> set[int]:
    return {change.restarts for change in entry.plan.live} if entry.plan else set()


def settle_seconds(inventory: Inventory, groups: tuple[str, ...]) -> float:
    """Return how long the slowest of these groups may take: 3 x advbase + advskew/256 of its preferred master."""
    times = [
        3 * inventory.groups[name].advbase + min(m.advskew for m in inventory.groups[name].members) / 256
        for name in groups
    ]
    return max(times, default=0.0) + _NOTICE
