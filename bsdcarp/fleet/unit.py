"""One unit, the hosts that share groups: changed one after another, verified anew, then confirmed or taken back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field, replace

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import BsdcarpError
from bsdcarp.fleet.course import Assessment, HostPlan, assess
from bsdcarp.fleet.drain import digest_groups, drained, masters_last
from bsdcarp.fleet.final import make_final, take_back
from bsdcarp.fleet.hosts import Fleet, Look
from bsdcarp.fleet.order import neighbours
from bsdcarp.fleet.policy import Policy
from bsdcarp.fleet.progress import Event
from bsdcarp.fleet.reboot import BOOTING, reboot_host
from bsdcarp.fleet.results import Row, row_of_error, row_of_outcome
from bsdcarp.fleet.terms import shortest_window
from bsdcarp.fleet.verification import Verification, electing, unsettled, wait_for_election
from bsdcarp.model import Secret
from bsdcarp.plan import FREEBSD_STATE, LINUX_STATE
from bsdcarp.snapshot import Snapshot
from bsdcarp.transaction import Terms

__all__ = ["Task", "UnitRun", "run_unit"]

_MARGIN = 3.0
"""Seconds before the end of a window in which nothing is confirmed any more: it might be true of some hosts only."""
_PAUSE = 0.5
"""Seconds between two looks at a host that is still at its boot."""


@dataclass(frozen=True, slots=True)
class Task:
    """One apply: what it changes, and how."""

    fleet: Fleet
    plans: Mapping[str, HostPlan]
    secrets: Mapping[str, Secret]
    policy: Policy
    terms: Terms
    beside: Mapping[str, HostPlan] = field(default_factory=dict)
    """Members of the same groups that were not chosen: nothing is changed there, but they have to hear the others."""

    @property
    def all(self) -> dict[str, HostPlan]:
        """What is known of all members."""
        return {**self.plans, **self.beside}

    def verification(self, hosts: Iterable[str], *, anew: bool = True) -> Verification:
        """Return what these hosts are held against, together with the members beside them."""
        chosen = tuple(hosts)
        beside = frozenset(neighbours(self.fleet.inventory, chosen)) & frozenset(self.beside)
        return Verification(self.fleet, (*chosen, *sorted(beside)), self.all, self.secrets, anew=anew, beside=beside)


@dataclass(slots=True)
class UnitRun:
    """How far one unit came."""

    hosts: list[str]
    rows: dict[str, Row] = field(default_factory=dict)
    terms: dict[str, Terms] = field(default_factory=dict)
    """Of the hosts whose change is in force, or may be, and waits for its end."""
    judgement: Assessment = field(default_factory=Assessment)
    over: float = float("inf")
    """When the first window ends, on the clock of ``time.monotonic``."""

    @property
    def failed(self) -> bool:
        """Whether something went wrong on a host after its change had begun."""
        bad = ("undone", "rolled back", "broken", "unknown", "not verified")
        return any(row.result in bad for row in self.rows.values())

    @property
    def well(self) -> bool:
        """Whether every host ended as planned."""
        return self.fault is None

    @property
    def fault(self) -> Row | None:
        """The first host that did not."""
        good = ("changed", "unchanged", "pending")
        rows = (row for row in self.rows.values() if row.result not in good)
        return min(rows, key=lambda row: row.result == "skipped", default=None)


def run_unit(task: Task, unit: list[str]) -> UnitRun:
    """Change the hosts of one unit, verify them over new connections, and make the change final, or take it back.

    A host that fails ends it: what was changed before it in this unit is taken back at once.
    """
    fleet, plans, policy = task.fleet, task.plans, task.policy
    run = UnitRun(masters_last(fleet.inventory, unit, plans))
    run.rows.update((row.host, row) for row in _refused(task, run.hosts))
    if run.rows:
        first = next(iter(run.rows))
        run.rows.update({n: Row(n, "skipped", f"because of {first}") for n in run.hosts if n not in run.rows})
        return run
    _transact(task, run)
    if policy.confirm == "never":
        return _unguarded(task, run)
    if run.fault:
        _take_back(task, run, f"because of {run.fault.host}" if run.fault.result != "skipped" else "interrupted")
        return run
    verification = task.verification(run.hosts)
    if not run.terms:
        return _only_judged(task, run, verification)
    why = _verified(task, run, verification)
    if not why and policy.confirm == "after-reboot":
        why = _rebooted(task, run, verification)
    if why:
        _take_back(task, run, why)
        return run
    if policy.confirm == "manual":
        run.rows.update((name, Row(name, "pending", f"{t.name}, for {t.window} s")) for name, t in run.terms.items())
    else:
        _on_each(run, lambda name: _confirmed(task, run, name))
    _mark(task, run)
    return run


def _refused(task: Task, hosts: list[str]) -> Iterator[Row]:
    for name in hosts:
        entry = task.plans[name]
        if entry.error:
            yield row_of_error(name, entry.error)
        elif entry.snapshot and (waiting := entry.snapshot.pending):
            yield Row(name, "refused", f"untouched: {waiting} waits for `bsdcarp confirm` or `bsdcarp rollback`")
    if task.beside:
        yield from _cut_off(task, hosts)


def _cut_off(task: Task, hosts: list[str]) -> Iterator[Row]:
    """A member with another digest is not heard any more: what changes it has to reach all of them."""
    inventory = task.fleet.inventory
    outside = digest_groups(inventory, task.beside, task.beside, task.secrets)
    for name in digest_groups(inventory, hosts, task.plans, task.secrets):
        members = [member.host for member in inventory.groups[name].members]
        left = [host for host in members if host in task.beside and name in outside]
        if left:
            why = f"untouched: the password or the addresses of {name} change, and {', '.join(left)} was not chosen"
            remedy = f"they would not hear each other any more: choose all members (--group {name})"
            yield from (Row(host, "refused", f"{why}; {remedy}") for host in members if host in hosts)


def _state(entry: HostPlan) -> str:
    linux = entry.snapshot is not None and entry.snapshot.release.family == "linux"
    return LINUX_STATE if linux else FREEBSD_STATE


def _transact(task: Task, run: UnitRun) -> None:
    """Change host after host; all at once where they could not hear each other in between."""
    fleet, plans, policy = task.fleet, task.plans, task.policy
    together = policy.back or bool(digest_groups(fleet.inventory, run.hosts, plans, task.secrets))
    if together and len(run.hosts) > 1:
        with ThreadPoolExecutor(len(run.hosts)) as pool:
            run.rows.update(zip(run.hosts, pool.map(lambda n: _one_host(task, run, plans[n]), run.hosts), strict=True))
        return
    for name in run.hosts:
        if fault := run.fault:
            run.rows[name] = Row(name, "skipped", f"because of {fault.host}")
        elif fleet.stopping:
            run.rows[name] = Row(name, "skipped", "interrupted before it began")
        else:
            run.rows[name] = _one_host(task, run, drained(fleet.inventory, name, task.all))


def _one_host(task: Task, run: UnitRun, entry: HostPlan) -> Row:
    fleet, plan = task.fleet, entry.plan
    if not plan:
        return Row(entry.host, "unchanged")
    terms = _terms(task, run)
    run.over = min(run.over, time.monotonic() + terms.window)
    try:
        outcome = fleet.transact(plan, terms)
    except BsdcarpError as error:
        fleet.tell(Event(entry.host, "failed", str(error)))
        return row_of_error(entry.host, error)
    if outcome.state in ("done", "lost", "overdue"):
        run.terms[entry.host] = terms
    fleet.tell(Event(entry.host, "applied" if outcome.good else "failed", outcome.reason))
    return row_of_outcome(outcome, files=len(plan.files), live=len(plan.live), window=terms.window)


def _terms(task: Task, run: UnitRun) -> Terms:
    policy = task.policy
    if policy.confirm == "never":
        return replace(task.terms, window=0)
    window = max(policy.window, shortest_window(task.fleet.inventory, run.hosts))
    if policy.confirm != "after-reboot":
        return replace(task.terms, window=window)
    window += int(policy.deadline) * len(run.hosts)
    return replace(task.terms, window=window, reboot_window=window)


def _unguarded(task: Task, run: UnitRun) -> UnitRun:
    """What was done is final already: it is verified over the connection that did it, and only told."""
    done = tuple(name for name in run.hosts if run.rows[name].result in ("changed", "unchanged"))
    changed = [name for name in done if run.rows[name].result == "changed"]
    verification = task.verification(done, anew=False)
    run.judgement = verification.judge_anew(electing(task.fleet.inventory, task.plans, changed), wait=task.policy.wait)
    run.rows.update((name, row_of_error(name, error)) for name, error in run.judgement.errors.items())
    _mark(task, run)
    return run


def _only_judged(task: Task, run: UnitRun, verification: Verification) -> UnitRun:
    """Nothing had to change: what was read is what there is."""
    if task.policy.back:
        return run
    judgement = verification.as_read()
    if task.policy.wait and (groups := unsettled(judgement)):
        # An election may be going on; it gets its time.
        wait_for_election(task.fleet, groups)
        judgement = verification.judge_anew((), wait=False)
    run.judgement = judgement
    _mark(task, run)
    return run


def _verified(task: Task, run: UnitRun, verification: Verification) -> str:
    """Look at every member anew; return what speaks against making the change final, empty when nothing does."""
    if task.policy.back:
        looks = verification.look_anew()
        run.judgement = Assessment(errors={name: look.error for name, look in looks.items() if look.error})
    else:
        restarted = electing(task.fleet.inventory, task.plans, run.terms)
        run.judgement = verification.judge_anew(restarted, wait=task.policy.wait)
    return _objection(run, verification)


def _objection(run: UnitRun, verification: Verification) -> str:
    for name, error in run.judgement.errors.items():
        run.rows[name] = row_of_error(name, error)
        return str(error)
    if serious := verification.worse(run.judgement):
        return f"not verified: {serious[0].message}"
    return "" if time.monotonic() < run.over - _MARGIN else "its window was over before it was verified"


def _mark(task: Task, run: UnitRun) -> None:
    for name in run.judgement.failing(task.fleet.inventory):
        if name in run.rows and run.rows[name].result in ("changed", "unchanged"):
            run.rows[name] = replace(run.rows[name], result="not verified")


def _confirmed(task: Task, run: UnitRun, name: str) -> Row:
    terms = run.terms[name]
    try:
        ending, why = make_final(task.fleet, name, _state(task.plans[name]), terms.name, terms.claim)
    except BsdcarpError as error:
        ending, why = "lost", str(error)
    match ending:
        case "confirmed":
            task.fleet.tell(Event(name, "done"))
            return run.rows[name]
        case "late":
            return Row(name, "undone", f"as it was before: {why or 'its window was over'}")
        case "lost":
            either = f"either it is final, or it is taken back within {terms.window} s: `bsdcarp pending` tells"
            return Row(name, "unknown", f"the answer to its confirmation was lost ({why}); {either}")
        case "broken":
            return Row(name, "broken", f"could not be taken back: {why}")
        case _:
            return Row(name, "unknown", f"not confirmed ({why or ending}): it is taken back within {terms.window} s")


def _take_back(task: Task, run: UnitRun, why: str) -> None:
    """Roll back every host of the unit that was changed, now rather than when its window is over."""

    def undo(name: str) -> Row:
        terms, before = run.terms[name], run.rows.get(name)
        lost = f" ({before.detail})" if before and before.result in ("unknown", "undone") else ""
        try:
            ending, said = take_back(task.fleet, name, _state(task.plans[name]), terms.name, why)
        except BsdcarpError as error:
            return Row(name, "unknown", f"{why}; cannot be told so ({error}): it takes itself back in {terms.window} s")
        match ending:
            case "undone":
                return Row(name, "rolled back", f"as it was before: {said or why}{lost}")
            case "unknown" if lost:
                return Row(name, "undone", f"untouched: it had not begun{lost}")
            case "broken":
                return Row(name, "broken", f"could not be taken back: {said}")
            case "late":
                return Row(name, "broken", f"not taken back: somebody ended it otherwise: {said}")
            case _:
                return Row(name, "unknown", f"{why}; the answer was lost: it takes itself back in {terms.window} s")

    _on_each(run, undo)


def _on_each(run: UnitRun, work: Callable[[str], Row]) -> None:
    names = list(run.terms)
    with ThreadPoolExecutor(max(len(names), 1)) as pool:
        run.rows.update(zip(names, pool.map(work, names), strict=True))


def _rebooted(task: Task, run: UnitRun, verification: Verification) -> str:
    """Reboot host after host, each verified before the next; return why all have to go back, empty if none has."""
    fleet = task.fleet
    for name in [host for host in run.hosts if host in run.terms]:
        try:
            before = fleet.read(name)
            if not _boots_well(task, run, name, before):
                return f"{name} would not come up as it should"
            back = reboot_host(fleet, name, before, deadline=task.policy.deadline)
        except BsdcarpError as error:
            return str(error)
        if not _boots_well(task, run, name, back.snapshot):
            return f"{name} did not come up as it should"
        if why := _verified_after_boot(task, run, name, verification):
            return why
    return ""


def _verified_after_boot(task: Task, run: UnitRun, host: str, verification: Verification) -> str:
    """Judge the unit until all is well, or until the boot of ``host`` must be over; return what is not well then."""
    groups = tuple(group.name for group in task.fleet.inventory.groups_of(host))
    rows = dict(run.rows)
    until = time.monotonic() + BOOTING
    while True:
        run.judgement = verification.judge_anew(groups, wait=task.policy.wait)
        why = _objection(run, verification)
        if not why or time.monotonic() >= min(until, run.over - _MARGIN):
            return why
        run.rows.update(rows)
        time.sleep(_PAUSE)


def _boots_well(task: Task, run: UnitRun, name: str, snapshot: Snapshot) -> bool:
    judgement = assess(task.fleet.inventory, {name: Look(name, snapshot=snapshot)}, task.secrets, boot=True)
    if judgement.failed or judgement.errors:
        run.judgement = judgement
        return False
    return True
