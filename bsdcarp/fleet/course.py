"""The pure middle of every verb: looks -> plans, and looks -> findings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field, replace

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import BsdcarpError, HostRefused, PlanError
from bsdcarp.fleet.hosts import Look
from bsdcarp.model import Finding, Inventory, Secret, Severity
from bsdcarp.plan import Plan, plan
from bsdcarp.plan.check import check
from bsdcarp.platforms.desire import desire
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import Snapshot

__all__ = ["Assessment", "HostPlan", "assess", "plan_host", "plan_hosts"]


@dataclass(frozen=True, slots=True)
class HostPlan:
    """One host on its way to a change: what it should be, the plan, or why there is none."""

    host: str
    snapshot: Snapshot | None = None
    desired: Desired | None = None
    plan: Plan | None = None
    error: BsdcarpError | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """What judging a fleet found."""

    findings: tuple[Finding, ...] = ()
    errors: Mapping[str, BsdcarpError] = field(default_factory=dict)
    """Hosts that could not be judged at all."""

    @property
    def failed(self) -> bool:
        """Whether any finding is an error."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    def failing(self, inventory: Inventory) -> frozenset[str]:
        """Return the hosts that an error concerns; one of a whole group concerns every member."""
        errors = [finding for finding in self.findings if finding.severity is Severity.ERROR]
        whole = {finding.group for finding in errors if finding.group and not finding.host}
        members = {member.host for name in whole for member in inventory.groups[name].members}
        return frozenset(members | {finding.host for finding in errors if finding.host})


def plan_hosts(inventory: Inventory, looks: Mapping[str, Look], secrets: Mapping[str, Secret]) -> dict[str, HostPlan]:
    """Plan every host that could be read; one that cannot be planned carries the reason."""
    return {name: plan_host(inventory, look, secrets) for name, look in looks.items()}


def plan_host(inventory: Inventory, look: Look, secrets: Mapping[str, Secret]) -> HostPlan:
    """Plan one host; a reason why that is impossible becomes part of what is returned."""
    if look.snapshot is None:
        return HostPlan(look.host, error=look.error)
    try:
        if look.snapshot.rc_error:
            raise HostRefused(
                f"sh cannot parse rc.conf: {look.snapshot.rc_error}",
                place=look.host,
                remedy="repair it first; no rc script works until then",
            )
        desired = desire(inventory, inventory.hosts[look.host], secrets, look.snapshot)
        problems = check(desired, look.snapshot)
        if problems:
            first, more = problems[0], len(problems) - 1
            raise PlanError(
                first.message + (f" (and {more} more problems)" if more else ""),
                place=look.host,
                remedy=first.remedy,
            )
        if desired.kernel == "module" and look.snapshot.securelevel > 0:
            raise PlanError(
                f"kern.securelevel {look.snapshot.securelevel} forbids loading {desired.module}.ko",
                place=look.host,
                remedy=f'add {desired.module}_load="YES" to /boot/loader.conf and reboot',
            )
        return HostPlan(look.host, look.snapshot, desired, plan(desired, look.snapshot))
    except BsdcarpError as error:
        if not error.place:
            error.place = look.host
        return HostPlan(look.host, look.snapshot, error=error)


def _readable(snapshot: Snapshot) -> Snapshot:
    """Return ``snapshot`` without the rc.conf files where sh cannot read them.

    They could not be edited either, and what is wanted has to be known to say what the next boot lacks.
    """
    if not snapshot.rc_error:
        return snapshot
    return replace(snapshot, files={path: state for path, state in snapshot.files.items() if "/rc.conf" not in path})


def assess(
    inventory: Inventory,
    looks: Mapping[str, Look],
    secrets: Mapping[str, Secret],
    *,
    boot: bool = False,
    skip_groups: Collection[str] = (),
    known: Mapping[str, Desired] | None = None,
) -> Assessment:
    """Judge every host that could be read, and every group of which at least one member was looked at.

    With ``boot`` the files alone are judged, for what the host would come up with.  ``skip_groups`` are still
    electing and not judged as a whole.  ``known`` is what hosts should be, where that was worked out before: what was
    planned is then held against what is there now.
    """
    from bsdcarp.judge import persist, verify_group, verify_host  # not needed to plan, and not small

    findings: list[Finding] = []
    errors: dict[str, BsdcarpError] = {}
    judged: dict[str, tuple[Desired, Snapshot]] = {}
    for name, look in looks.items():
        try:
            if look.snapshot is None:
                raise look.error or HostRefused("not read", place=name)
            desired = (known or {}).get(name)
            if desired is None:
                snapshot = _readable(look.snapshot) if boot else look.snapshot
                desired = desire(inventory, inventory.hosts[name], secrets, snapshot)
        except BsdcarpError as error:
            errors[name] = error
            continue
        judged[name] = (desired, look.snapshot)
        findings += persist(desired, look.snapshot) if boot else verify_host(desired, look.snapshot)
    if not boot:
        for group in inventory.groups.values():
            members = {m.host: judged[m.host] for m in group.members if m.host in judged}
            # A group is judged as a whole only when every member was asked; --host may have left some out.
            asked = all(m.host in looks for m in group.members)
            if members and asked and group.name not in skip_groups:
                findings += verify_group(group, members, [n for n in errors if group.member(n)])
    return Assessment(tuple(findings), errors)
