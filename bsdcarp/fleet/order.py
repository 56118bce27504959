"""Who may change at the same time: never two hosts that share a group, directly or through others."""

from __future__ import annotations

from collections.abc import Iterable

from bsdcarp.model import Inventory

__all__ = ["neighbours", "units"]


def units(inventory: Inventory, hosts: Iterable[str]) -> list[list[str]]:
    """Cut ``hosts`` into units that are independent of each other.

    Units may run side by side, the hosts inside one only after another: backups first, the preferred master last.
    Hosts that are not selected still tie their groups together.
    """
    selected = list(hosts)
    root = {name: name for name in inventory.hosts}

    def find(name: str) -> str:
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    for group in inventory.groups.values():
        members = [member.host for member in group.members]
        for other in members[1:]:
            root[find(other)] = find(members[0])
    found: dict[str, list[str]] = {}
    for name in selected:
        found.setdefault(find(name), []).append(name)
    position = {name: place for place, name in enumerate(inventory.hosts)}
    return [sorted(unit, key=lambda name: (-_advskew(inventory, name), -position[name])) for unit in found.values()]


def _advskew(inventory: Inventory, host: str) -> int:
    """How much of a backup a host is, over all its groups."""
    return sum(m.advskew for group in inventory.groups.values() for m in group.members if m.host == host)


def neighbours(inventory: Inventory, hosts: Iterable[str]) -> tuple[str, ...]:
    """Return these hosts and every member of their groups, in the order of the inventory."""
    near = set(hosts)
    for group in inventory.groups.values():
        members = {member.host for member in group.members}
        if members & set(hosts):
            near |= members
    return tuple(name for name in inventory.hosts if name in near)
