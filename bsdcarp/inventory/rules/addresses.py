"""Rules about shared addresses, and about the networks they are in."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Interface, ip_address
from itertools import combinations

from bsdcarp.inventory.rules.registry import Context, Hit, rule
from bsdcarp.inventory.rules.vhids import share_segment
from bsdcarp.model import Group, Host, Severity, Vip
from bsdcarp.platforms.capabilities import capabilities

__all__: list[str] = []

_SECTION = "Addresses"
_MANY = 64


@rule(_SECTION, "address-twice", Severity.ERROR, "An address stands in a group only once.")
def address_twice(context: Context) -> Iterator[Hit]:
    for group in context.inventory.groups.values():
        seen: set[str] = set()
        for vip in group.addresses:
            if vip.address in seen:
                yield Hit(f"{vip.address} is twice in group {group.name}", "remove one", vip.place, group=group.name)
            seen.add(vip.address)


@rule(
    _SECTION,
    "address-special",
    Severity.ERROR,
    "Loopback, multicast, unspecified and reserved addresses are not shared.",
)
def address_special(context: Context) -> Iterator[Hit]:
    for group, vip in _vips(context):
        ip = vip.interface.ip
        mapped = ip.version == 6 and ip.ipv4_mapped is not None
        if ip.is_loopback or ip.is_multicast or ip.is_unspecified or mapped or (ip.version == 4 and ip.is_reserved):
            message = f"{vip.address} of group {group.name} is not an address that a host can have"
            yield Hit(message, "use an address of the network that the members are on", vip.place, group=group.name)


@rule(
    _SECTION,
    "address-network",
    Severity.ERROR,
    "The first and last address of an IPv4 network, and the first of IPv6, are taken.",
)
def address_network(context: Context) -> Iterator[Hit]:
    for group, vip in _vips(context):
        own = (address for member in group.members for address in context.own_addresses(member))
        for network in (vip.interface.network, *(address.network for address in own)):
            if network.version != vip.interface.version or network.prefixlen >= network.max_prefixlen - 1:
                continue
            last = network.version == 4 and vip.interface.ip == network.broadcast_address
            if vip.interface.ip == network.network_address or last:
                name = "broadcast address" if last else "address of the network itself"
                message = f"{vip.address} of group {group.name} is the {name}, {network}"
                yield Hit(message, "use an address inside", vip.place, group=group.name)
                break


@rule(
    _SECTION,
    "address-outside",
    Severity.ERROR,
    "A shared address lies in a network of the interface, where `interfaces` gives it.",
)
def address_outside(context: Context) -> Iterator[Hit]:
    for group, vip in _vips(context):
        if vip.interface.is_link_local:
            continue
        for member in group.members:
            own = [
                a for a in context.own_addresses(member) if a.version == vip.interface.version and not a.is_link_local
            ]
            if own and not any(vip.interface.ip in address.network for address in own):
                networks = ", ".join(str(address.network) for address in own)
                message = (
                    f"{vip.address} of group {group.name} is outside {networks} of {member.interface} on {member.host}"
                )
                remedy = "use an address of that network, or correct interface or interfaces"
                yield Hit(message, remedy, vip.place, member.host, group.name)


@rule(
    _SECTION,
    "address-own",
    Severity.ERROR,
    "A shared address is nobody's own: not an interface's, not the one SSH goes to.",
)
def address_own(context: Context) -> Iterator[Hit]:
    for group, vip in _vips(context):
        for _, host in context.hosts_of(group):
            if where := _owner(context, vip, host):
                message = f"{vip.address} of group {group.name} is {where}"
                yield Hit(message, "give the host an address of its own", vip.place, host.name, group.name)


def _owner(context: Context, vip: Vip, host: Host) -> str:
    """Say how ``vip`` belongs to ``host``, a member: hosts elsewhere may well have the same private address."""
    try:
        if ip_address(host.address) == vip.interface.ip:
            return f"the address of host {host.name}, where SSH goes"
    except ValueError:
        pass
    for name, addresses in context.own.get(host.name, {}).items():
        if any(address.ip == vip.interface.ip for address in addresses):
            return f"the own address of {name} on {host.name}"
    return ""


@rule(
    _SECTION,
    "address-shared",
    Severity.ERROR,
    "Two groups share an address only by arpbalance: IPv4, FreeBSD up to 9 or Linux, all members.",
)
def address_shared(context: Context) -> Iterator[Hit]:
    for one, two, vip in _sharing(context):
        if refusal := _refusal(context, one, two, vip):
            message = f"groups {one.name} and {two.name} share {vip.address}, {refusal[0]}"
            yield Hit(message, refusal[1], vip.place, group=two.name)


def _sharing(context: Context) -> Iterator[tuple[Group, Group, Vip]]:
    """Yield each pair of groups with a common address, once, with that address as the second group has it."""
    having: dict[str, dict[str, tuple[Group, Vip]]] = {}
    for group, vip in _vips(context):
        having.setdefault(vip.address, {}).setdefault(group.name, (group, vip))
    seen: set[tuple[str, str]] = set()
    for holders in having.values():
        for (one, _), (two, vip) in combinations(holders.values(), 2):
            if (one.name, two.name) not in seen:
                seen.add((one.name, two.name))
                yield one, two, vip


def _refusal(context: Context, one: Group, two: Group, vip: Vip) -> tuple[str, str] | None:
    """Return reason and remedy when ``vip`` cannot be in both groups."""
    common = [host for member, host in context.hosts_of(one) if two.member(member.host)]
    if not common:
        if not share_segment(context, one, two):
            return None
        return (
            "and no host is in both",
            "give each its own address, or, on different networks, different segment: names",
        )
    if not isinstance(vip.interface, IPv4Interface):
        return "but arpbalance knows IPv4 only", "give each group its own IPv6 address"
    for host in common:
        if host.os is None:
            return f"and nothing says which release {host.name} runs", f"add os: to host {host.name}"
        if not capabilities(host.os).arpbalance:
            remedy = "give each group its own address, and spread clients by DNS, DHCP or gateway"
            return f"but {host.os} on {host.name} has no arpbalance", remedy
        if host.sysctl.arpbalance not in {1, "auto"}:
            return f"but arpbalance is off on {host.name}", "write sysctl: {arpbalance: auto} or 1"
    return None


@rule(
    _SECTION, "arpbalance-uneven", Severity.WARNING, "Groups that share an address by arpbalance have the same members."
)
def arpbalance_uneven(context: Context) -> Iterator[Hit]:
    for one, two, vip in _sharing(context):
        here, there = ({member.host for member in group.members} for group in (one, two))
        if here & there and here != there:
            message = f"groups {one.name} and {two.name} share {vip.address}, but not all their members"
            remedy = "clients that are mapped to an absent group get no answer; give both groups the same members"
            yield Hit(message, remedy, context.group_place(two, "members"), group=two.name)


@rule(
    _SECTION,
    "address-many",
    Severity.WARNING,
    f"More than {_MANY} addresses in one group; each change restarts them all.",
)
def address_many(context: Context) -> Iterator[Hit]:
    for group in context.inventory.groups.values():
        if len(group.addresses) > _MANY:
            message = f"group {group.name} has {len(group.addresses)} addresses"
            remedy = "split it, or route a network to one shared address"
            yield Hit(message, remedy, context.group_place(group, "addresses"), group=group.name)


def _vips(context: Context) -> Iterator[tuple[Group, Vip]]:
    for group in context.inventory.groups.values():
        for vip in group.addresses:
            yield group, vip
