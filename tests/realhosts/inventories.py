"""Inventories for clusters: pairs of hosts that share an address, as many as wanted."""

from __future__ import annotations

from collections.abc import Sequence

from bsdcarp.model import Group, Host, Inventory, Member, PasswordSource, Release, vip

__all__ = ["pairs"]


def pairs(releases: Sequence[str], password: str = "secret") -> Inventory:
    """One host for each of ``releases`` (``9.3``), in pairs of neighbours; each pair shares one address.

    Hosts are called h1, h2 ... at 10.7.PAIR.2 and .3, groups g1, g2 ... at 10.7.PAIR.1.
    """
    hosts: dict[str, Host] = {}
    groups: dict[str, Group] = {}
    for number, release in enumerate(releases):
        pair, side = divmod(number, 2)
        major, minor = (int(part) for part in release.split("."))
        name = f"h{number + 1}"
        system = Release("freebsd", major, minor, f"freebsd-{release}")
        hosts[name] = Host(name, f"10.7.{pair}.{side + 2}", "em0", system, legacy_ssh=major < 9)
    names = list(hosts)
    for pair in range((len(names) + 1) // 2):
        members = tuple(Member(name, 100 * side, "em0") for side, name in enumerate(names[2 * pair : 2 * pair + 2]))
        group = f"g{pair + 1}"
        source = PasswordSource("plain", password)
        groups[group] = Group(group, pair % 255 + 1, source, (vip(f"10.7.{pair}.1/24"),), members)
    return Inventory("pairs.yml", hosts, groups)
