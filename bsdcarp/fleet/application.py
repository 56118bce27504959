"""Applying plans: unit by unit, host after host inside one, then a second look at everything and a judgement."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bsdcarp.errors import BsdcarpError
from bsdcarp.fleet.course import Assessment, HostPlan, assess
from bsdcarp.fleet.hosts import Fleet, Look
from bsdcarp.fleet.order import units
from bsdcarp.fleet.progress import Event
from bsdcarp.fleet.results import Row, row_of_error
from bsdcarp.model import Finding, Inventory, Secret
from bsdcarp.transaction import Outcome

__all__ = ["Applied", "apply_plans", "electing", "settle_seconds"]

_UNSETTLED = frozenset({"verify-master-none", "verify-master-many"})
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
    seen: dict[str, Look] = {}

    def one_unit(unit: list[str]) -> None:
        bad = next((plans[name] for name in unit if plans[name].error), None)
        if bad and bad.error:
            for name in unit:
                error = plans[name].error
                rows[name] = row_of_error(name, error) if error else Row(name, "skipped", f"because of {bad.host}")
            return
        failed = ""
        for name in unit:
            if failed or fleet.stopping:
                rows[name] = Row(name, "skipped", f"because of {failed}" if failed else "interrupted before it began")
                continue
            if _is_linux(plans[name]):
                rows[name] = Row(name, "skipped", "bsdcarp has no daemon for Linux yet")
                continue
            rows[name] = _one_host(fleet, plans[name])
            if rows[name].result not in ("changed", "unchanged"):
                failed = name
        # Nobody outside the unit shares a group with it, so there is nothing else to wait for.
        if not wait and any(rows[name].result == "changed" for name in unit):
            ended = [name for name in unit if rows[name].result in ("changed", "unchanged")]
            seen.update({name: fleet.look_at(name) for name in ended})

    try:
        fleet.each(one_unit, units(fleet.inventory, plans), meanwhile=_import_judging)
    except KeyboardInterrupt:
        return Applied(tuple(_interrupted(name, rows.get(name)) for name in plans))
    return _verified(fleet, plans, [rows[name] for name in plans], secrets, seen, wait=wait)


def _import_judging() -> None:
    """Hosts are at work meanwhile."""
    import bsdcarp.judge

    del bsdcarp


def _is_linux(entry: HostPlan) -> bool:
    return entry.desired is not None and entry.desired.capabilities.syntax == "linux"


def _interrupted(name: str, row: Row | None) -> Row:
    """What ran has run to its end, the rest never began; nothing is verified any more."""
    if row is None:
        return Row(name, "skipped", "interrupted before it began")
    return Row(name, "not verified", f"{row.detail}; interrupted") if row.result == "changed" else row


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
    fleet: Fleet,
    plans: Mapping[str, HostPlan],
    rows: list[Row],
    secrets: Mapping[str, Secret],
    seen: Mapping[str, Look],
    *,
    wait: bool,
) -> Applied:
    changed = {row.host for row in rows if row.result == "changed"}
    ended = [row.host for row in rows if row.result in ("changed", "unchanged")]
    looks = {name: Look(name, snapshot=plans[name].snapshot, error=plans[name].error) for name in ended}
    restarted = electing(fleet.inventory, plans, changed)
    # Members of the same groups are looked at again too: the change may have moved a MASTER there.
    stale = {name for name in ended if name in changed or _near(fleet.inventory, name, changed)} - seen.keys()
    looks.update(seen)
    pending = restarted if wait else ()
    judgement = Assessment()
    for _ in range(2):
        if pending:
            seconds = settle_seconds(fleet.inventory, pending)
            fleet.tell(Event("", "waiting", "for the election", seconds))
            time.sleep(seconds)
        looks |= fleet.look([name for name in ended if name in stale])
        known = {name: desired for name in ended if (desired := plans[name].desired)}
        judgement = assess(fleet.inventory, looks, secrets, skip_groups=() if wait else restarted, known=known)
        # An election that was already going on, or took its longest, gets the time once more.
        pending = tuple(f.group for f in judgement.findings if f.rule in _UNSETTLED and wait)
        stale = {member.host for name in pending for member in fleet.inventory.groups[name].members}
        if not pending:
            break
    return Applied(tuple(_judged(row, judgement, fleet.inventory) for row in rows), judgement.findings)


def _near(inventory: Inventory, host: str, changed: Collection[str]) -> bool:
    return any(group.member(name) for group in inventory.groups_of(host) for name in changed)


def _judged(row: Row, judgement: Assessment, inventory: Inventory) -> Row:
    if row.result not in ("changed", "unchanged"):
        return row
    error = judgement.errors.get(row.host)
    if error:
        return row_of_error(row.host, error)
    return Row(row.host, "not verified", row.detail) if row.host in judgement.failing(inventory) else row


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
