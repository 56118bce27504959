"""Which host gives its roles away before it is touched, in which order members are, and what changes the digest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from bsdcarp.fleet.course import HostPlan
from bsdcarp.model import Inventory, Secret
from bsdcarp.plan import Drain
from bsdcarp.plan.command import command
from bsdcarp.snapshot import Snapshot, VhidState

__all__ = ["digest_groups", "drained", "masters_last"]

_AMOUNT = 240
"""What the kernel itself adds when an interface goes down: no advskew of a peer is behind it."""


def masters_last(inventory: Inventory, unit: Iterable[str], plans: Mapping[str, HostPlan]) -> list[str]:
    """Order a unit by the roles its hosts have now: who is MASTER of the least comes first; ties stay."""
    return sorted(unit, key=lambda name: len(_roles(inventory, plans[name], "MASTER")))


def drained(inventory: Inventory, name: str, plans: Mapping[str, HostPlan]) -> HostPlan:
    """Return the plan of ``name``, with a drain where its change would interrupt a role that somebody can take over.

    Demotion moves a role only where a peer is BACKUP, healthy and preempts; up to FreeBSD 9 nothing can demote a host.
    On Linux the daemon bows out when it is restarted, which is as good, and moves nothing when it is reloaded.
    """
    entry = plans[name]
    if entry.plan is None or entry.desired is None or entry.snapshot is None:
        return entry
    can = entry.desired.capabilities
    if can.syntax == "linux" or can.demotion != "demotion":
        return entry
    restarted = {vhid for change in entry.plan.live for vhid in change.restarts}
    held = [group for group in _roles(inventory, entry, "MASTER") if inventory.groups[group].vhid in restarted]
    if not any(_has_heir(inventory, group, name, plans) for group in held):
        return entry
    return replace(entry, plan=replace(entry.plan, drain=_drain()))


def _drain() -> Drain:
    oid = "net.inet.carp.demotion"
    return Drain(
        _AMOUNT,
        command(f"sysctl {oid}={_AMOUNT}"),
        command(f"sysctl {oid}=-{_AMOUNT}"),
        command(f"sysctl -n {oid}"),
        command("ifconfig"),
    )


def _has_heir(inventory: Inventory, group: str, name: str, plans: Mapping[str, HostPlan]) -> bool:
    return any(
        member.host != name
        and (other := plans.get(member.host)) is not None
        and other.snapshot is not None
        and other.snapshot.sysctls.get("preempt", 0)
        and group in _roles(inventory, other, "BACKUP")
        for member in inventory.groups[group].members
    )


def _roles(inventory: Inventory, entry: HostPlan, role: str) -> list[str]:
    """Return the groups in which a host has ``role`` now."""
    if entry.snapshot is None:
        return []
    groups = inventory.groups_of(entry.host)
    return [g.name for g in groups if any(v.state == role for v in _states(entry.snapshot, g.vhid))]


def _states(snapshot: Snapshot, vhid: int) -> list[VhidState]:
    return [state for interface in snapshot.interfaces.values() if (state := interface.vhid(vhid))]


def digest_groups(
    inventory: Inventory, unit: Iterable[str], plans: Mapping[str, HostPlan], secrets: Mapping[str, Secret]
) -> list[str]:
    """Return the groups of a unit whose digest changes on a member that carries them already.

    The digest covers the addresses and the password.  Members with different ones do not accept each other, so all
    of them have to change in one short time.
    """
    found: dict[str, None] = {}
    for name in unit:
        entry = plans[name]
        if entry.desired is None or entry.snapshot is None or not entry.plan:
            continue
        for group in inventory.groups_of(name):
            if not _states(entry.snapshot, group.vhid):
                continue
            # Not needed for hosts that are new, and not small.  By way of the package, which another thread may be
            # importing: whoever takes the module first and that package second has a deadlock with it.
            from bsdcarp.judge import read_member

            member = read_member(group.name, name, entry.desired, entry.snapshot)
            if member is None or member.live is None:
                continue
            wanted = {str(vip.interface.ip) for vip in group.addresses}
            key = member.live.fingerprint
            if set(member.address_list) != wanted or (key and key != secrets[group.name].digest):
                found[group.name] = None
    return list(found)
