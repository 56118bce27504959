"""Rules about vhids, timers and the members of a group."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network
from itertools import combinations

from bsdcarp.inventory.rules.registry import UNREAD_VHID, Context, Hit, rule
from bsdcarp.model import Group, Member, Severity
from bsdcarp.plaintext import printable

__all__ = ["MAX_WIRE_ADVSKEW", "share_segment"]

_SECTION = "Groups and members"
_Network = IPv4Network | IPv6Network

MAX_WIRE_ADVSKEW = 240
"""Highest skew on the wire (CARP_MAXSKEW in sys/netinet/ip_carp.c); 241 to 254 are sent as 240."""


def share_segment(context: Context, one: Group, two: Group) -> str:
    """Return why the two groups are taken to be on one layer 2 segment, or nothing when they are not."""
    for member in one.members:
        other = two.member(member.host)
        if other is not None and other.interface == member.interface and member.interface:
            return f"both are on {member.interface} of {member.host}"
    if one.segment or two.segment:
        same = one.segment == two.segment
        return f"both are on segment {one.segment}" if same else ""
    for network in _networks(context, one):
        for other_network in _networks(context, two):
            if _overlap(network, other_network):
                wider = min(network, other_network, key=lambda candidate: candidate.prefixlen)
                return f"both use addresses of {wider}"
    return ""


def _networks(context: Context, group: Group) -> list[_Network]:
    own = [address for member in group.members for address in context.own_addresses(member)]
    return list(dict.fromkeys(address.network for address in (*own, *(vip.interface for vip in group.addresses))))


def _overlap(one: _Network, two: _Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(two, IPv4Network) and one.overlaps(two)
    return isinstance(two, IPv6Network) and one.overlaps(two) and not one.is_link_local


@rule(_SECTION, "vhid-range", Severity.ERROR, "A vhid is a number from 1 to 255; it is one byte of the packet.")
def vhid_range(context: Context) -> Iterator[Hit]:
    for group in context.inventory.groups.values():
        if not 1 <= group.vhid <= 255 and group.vhid != UNREAD_VHID:
            place = context.group_place(group, "vhid")
            yield Hit(
                f"vhid {group.vhid} of group {group.name} is out of range", "use 1 to 255", place, group=group.name
            )


@rule(_SECTION, "vhid-twice", Severity.ERROR, "A vhid is unique on its segment: it makes the virtual MAC address.")
def vhid_twice(context: Context) -> Iterator[Hit]:
    by_vhid: dict[int, list[Group]] = defaultdict(list)
    for group in context.inventory.groups.values():
        if group.vhid != UNREAD_VHID:
            by_vhid[group.vhid].append(group)
    for groups in by_vhid.values():
        for one, two in combinations(groups, 2):
            if why := share_segment(context, one, two):
                message = f"groups {one.name} and {two.name} both use vhid {two.vhid}, and {why}"
                remedy = (
                    "give one of them another vhid, or, if they are on different networks, different segment: names"
                )
                yield Hit(message, remedy, context.group_place(two, "vhid"), group=two.name)


@rule(_SECTION, "advbase-range", Severity.ERROR, "advbase is 1 to 255 seconds; 0 means `leave it` from FreeBSD 10 on.")
def advbase_range(context: Context) -> Iterator[Hit]:
    for group in context.inventory.groups.values():
        if not 1 <= group.advbase <= 255:
            place = context.group_place(group, "advbase")
            message = f"advbase {group.advbase} of group {group.name} is out of range"
            yield Hit(message, "use 1 to 255; 1 is usual and fastest", place, group=group.name)


@rule(_SECTION, "advskew-range", Severity.ERROR, "advskew is 0 to 254; the kernel refuses 255.")
def advskew_range(context: Context) -> Iterator[Hit]:
    for group, member in _members(context):
        if not 0 <= member.advskew <= 254:
            message = f"advskew {member.advskew} of {member.host} in group {group.name} is out of range"
            yield Hit(message, "use 0 to 240", member.place, member.host, group.name)


@rule(_SECTION, "advskew-capped", Severity.WARNING, "An advskew above 240 is advertised as 240, as if it were demoted.")
def advskew_capped(context: Context) -> Iterator[Hit]:
    for group, member in _members(context):
        if MAX_WIRE_ADVSKEW < member.advskew <= 254:
            message = f"advskew {member.advskew} of {member.host} in group {group.name} goes out as {MAX_WIRE_ADVSKEW}"
            yield Hit(message, "use 0 to 240", member.place, member.host, group.name)


@rule(
    _SECTION,
    "equal-advskew",
    Severity.ERROR,
    "Two members with equal advskew both step down when they hear each other.",
)
def equal_advskew(context: Context) -> Iterator[Hit]:
    for group in context.inventory.groups.values():
        first: dict[int, Member] = {}
        for member in group.members:
            other = first.setdefault(min(member.advskew, MAX_WIRE_ADVSKEW), member)
            if other.host == member.host:
                continue
            skews = f"advskew {member.advskew}"
            if other.advskew != member.advskew:
                skews = f"advskews {other.advskew} and {member.advskew}, both sent as {MAX_WIRE_ADVSKEW}"
            message = f"{other.host} and {member.host} have {skews} in group {group.name}"
            remedy = f"give each member its own: {{host: {member.host}, advskew: {_free(group)}}}"
            yield Hit(message, remedy, member.place, member.host, group.name)


def _free(group: Group) -> int:
    """Return a skew that no member has, 50 above the highest where there is room."""
    taken = {min(member.advskew, MAX_WIRE_ADVSKEW) for member in group.members}
    candidates = [max(taken) + 50, *range(200, -1, -10), *range(MAX_WIRE_ADVSKEW)]
    return next((skew for skew in candidates if 0 <= skew <= MAX_WIRE_ADVSKEW and skew not in taken), 0)


@rule(_SECTION, "unknown-host", Severity.ERROR, "A group names a member that is not under `hosts`.")
def unknown_host(context: Context) -> Iterator[Hit]:
    for group, member in _members(context):
        if member.host not in context.inventory.hosts and member.host not in context.declared:
            near = get_close_matches(member.host[:64], context.declared | set(context.inventory.hosts), n=1)
            remedy = f"did you mean {near[0]}?" if near else f"add {printable(member.host)} under hosts"
            message = f"group {group.name} names {member.host}, which is not under hosts"
            yield Hit(message, remedy, member.place, group=group.name)


@rule(_SECTION, "duplicate-member", Severity.ERROR, "A host is a member of a group only once.")
def duplicate_member(context: Context) -> Iterator[Hit]:
    for group in context.inventory.groups.values():
        seen: Counter[str] = Counter()
        for member in group.members:
            seen[member.host] += 1
            if seen[member.host] == 2:
                message = f"{member.host} is a member of group {group.name} twice"
                yield Hit(message, "remove one", member.place, member.host, group.name)


@rule(_SECTION, "single-member", Severity.WARNING, "A group with one member is never taken over by another host.")
def single_member(context: Context) -> Iterator[Hit]:
    for group in context.inventory.groups.values():
        if len(group.members) == 1:
            message = f"{group.members[0].host} is the only member of group {group.name}"
            yield Hit(message, "add a second host", context.group_place(group, "members"), group=group.name)


@rule(_SECTION, "host-idle", Severity.WARNING, "A host is in no group, so nothing shared is configured on it.")
def host_idle(context: Context) -> Iterator[Hit]:
    if not context.complete:
        return
    for host in context.inventory.hosts.values():
        if host.name not in context.memberships:
            yield Hit(
                f"host {host.name} is in no group", "add it to a group's members, or remove it", host.place, host.name
            )


def _members(context: Context) -> Iterator[tuple[Group, Member]]:
    for group in context.inventory.groups.values():
        for member in group.members:
            yield group, member
