"""What carpd asks the kernel to do, as values.  Pure: ``route`` sends them.

Everything that carpd adds is marked, so that it can be found after a crash: routes, rules and addresses carry the
protocol number 112, a macvlan carries an alias.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from errno import EADDRNOTAVAIL, EAFNOSUPPORT, EEXIST, ENODEV, ENOENT, ESRCH
from socket import AF_INET, AF_INET6

from bsdcarp.carpd.rtnl.codec import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, attribute, u8, u32
from bsdcarp.carpd.rtnl.messages import (
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELROUTE,
    RTM_DELRULE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    RTM_NEWRULE,
    IPAddress,
    RouteEntry,
    Rule,
)

__all__ = [
    "LOCAL",
    "MARK",
    "THROW",
    "UNICAST",
    "Request",
    "add_address",
    "add_macvlan",
    "add_route",
    "add_rule",
    "delete_address",
    "delete_group",
    "delete_link",
    "delete_route",
    "delete_rule",
    "set_alias",
    "set_group",
    "set_link",
    "silence_ipv6",
]

# RTA_PROTOCOL, FRA_PROTOCOL and IFA_PROTO of what is ours: the number of CARP's IP protocol, unused in rt_protos.
MARK = 112
UNICAST, LOCAL, THROW = 1, 2, 9
_RTM_SETLINK = 19
_IFF_UP = 1
_PRIVATE = 1
_IFA_F_NODAD, _IFA_F_NOPREFIXROUTE = 0x02, 0x200
_FOREVER = 0xFFFFFFFF
_RTNH_F_ONLINK = 4
_SCOPE_LINK = 253
_FR_ACT_TO_TBL = 1

_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBi")
_ROUTE = struct.Struct("=BBBBBBBBI")


@dataclass(frozen=True)
class Request:
    """One message to be acknowledged.  ``ignore`` are the errors that mean "already so"."""

    kind: int
    body: bytes
    what: str
    flags: int = 0
    ignore: frozenset[int] = frozenset()


def _family(ip: IPAddress) -> int:
    return AF_INET if ip.version == 4 else AF_INET6


def add_macvlan(name: str, parent: int, mac: bytes) -> Request:
    """A macvlan in private mode, down.

    Private: adverts of the other members come from the MAC that is ours as well, and the modes vepa and bridge drop
    such frames or answer them themselves.
    """
    data = attribute(2, attribute(1, u32(_PRIVATE)))
    body = _LINK.pack(0, 0, 0, 0, 0) + attribute(3, name.encode() + b"\0") + attribute(5, u32(parent))
    body += attribute(1, mac) + attribute(18, attribute(1, b"macvlan\0") + data)
    return Request(RTM_NEWLINK, body, f"macvlan {name}", NLM_F_CREATE | NLM_F_EXCL)


def set_alias(name: str, alias: str) -> Request:
    """The mark of an interface.  By name, because it follows the creation in the same batch."""
    body = _LINK.pack(0, 0, 0, 0, 0) + attribute(3, name.encode() + b"\0")
    return Request(_RTM_SETLINK, body + attribute(20, alias.encode("utf-8", "surrogateescape")), f"alias of {name}")


def silence_ipv6(name: str) -> Request:
    """Set addrgenmode none: no link-local address made of the virtual MAC, which every member would have alike."""
    spec = attribute(26, attribute(AF_INET6, attribute(8, u8(1))))
    body = _LINK.pack(0, 0, 0, 0, 0) + attribute(3, name.encode() + b"\0") + spec
    # EAFNOSUPPORT: the host, or this interface, has no IPv6, so there is nothing to be silenced.
    return Request(_RTM_SETLINK, body, f"addrgenmode of {name}", ignore=frozenset((EAFNOSUPPORT,)))


def set_link(index: int, *, up: bool) -> Request:
    body = _LINK.pack(0, 0, index, _IFF_UP if up else 0, _IFF_UP)
    what = f"link {index} {'up' if up else 'down'}"
    return Request(_RTM_SETLINK, body, what, ignore=frozenset() if up else frozenset((ENODEV,)))


def set_group(index: int, group: int) -> Request:
    """Put an interface into a group, which can then be deleted as a whole."""
    body = _LINK.pack(0, 0, index, 0, 0) + attribute(27, u32(group))
    return Request(_RTM_SETLINK, body, f"group of link {index}", ignore=frozenset((ENODEV,)))


def delete_group(group: int) -> Request:
    return Request(
        RTM_DELLINK,
        _LINK.pack(0, 0, 0, 0, 0) + attribute(27, u32(group)),
        f"link group {group}",
        0,
        frozenset((ENODEV,)),
    )


def delete_link(index: int) -> Request:
    return Request(RTM_DELLINK, _LINK.pack(0, 0, index, 0, 0), f"link {index}", ignore=frozenset((ENODEV,)))


def _address(ip: IPAddress, index: int) -> bytes:
    body = _ADDRESS.pack(_family(ip), ip.max_prefixlen, 0, 0, index)
    return body + attribute(2, ip.packed) + attribute(1, ip.packed)


def add_address(ip: IPAddress, index: int) -> Request:
    """A VIP as /32 or /128.

    nodad: the role says who holds it, and duplicate detection would keep it dead for a second.  Deprecated
    (preferred lifetime 0), so that the host does not choose it as the source of its own IPv6 connections, which would
    break when the role moves; IPv4 has no such choice between interfaces.  noprefixroute: no route to oneself.
    """
    body = _address(ip, index) + attribute(11, u8(MARK))
    if ip.version == 6:
        body += attribute(8, u32(_IFA_F_NODAD | _IFA_F_NOPREFIXROUTE))
        body += attribute(6, struct.pack("=IIII", 0, _FOREVER, 0, 0))
    return Request(RTM_NEWADDR, body, f"address {ip}", NLM_F_CREATE | NLM_F_EXCL, frozenset((EEXIST,)))


def delete_address(ip: IPAddress, index: int) -> Request:
    gone = frozenset((EADDRNOTAVAIL, ENODEV))
    return Request(RTM_DELADDR, _address(ip, index), f"address {ip}", ignore=gone)


def _rule(family: int, priority: int, table: int, source: bytes) -> bytes:
    body = _ROUTE.pack(family, 0, len(source) * 8, 0, 0, 0, 0, _FR_ACT_TO_TBL, 0)
    return (
        body + attribute(2, source) + attribute(6, u32(priority)) + attribute(15, u32(table)) + attribute(21, u8(MARK))
    )


def add_rule(source: IPAddress, table: int, priority: int) -> Request:
    """Traffic from this address looks into ``table`` first."""
    body = _rule(_family(source), priority, table, source.packed)
    return Request(RTM_NEWRULE, body, f"rule from {source}", NLM_F_CREATE | NLM_F_EXCL, frozenset((EEXIST,)))


def delete_rule(rule: Rule) -> Request:
    body = _rule(rule.family, rule.priority, rule.table, rule.source)
    return Request(RTM_DELRULE, body, f"rule {rule.priority}", ignore=frozenset((ENOENT, EAFNOSUPPORT)))


def _route(route: RouteEntry) -> bytes:
    gatewayed = bool(route.gateway or route.via)
    # IPv6 checks the gateway of an onlink route against the main table, which names the parent.
    onlink = _RTNH_F_ONLINK if gatewayed and route.family == AF_INET else 0
    scope = _SCOPE_LINK if route.kind == UNICAST and not gatewayed else 0
    body = _ROUTE.pack(route.family, route.length, 0, route.tos, 0, MARK, scope, route.kind, onlink)
    body += attribute(15, u32(route.table))
    if route.length:
        body += attribute(1, route.destination)
    if route.index:
        body += attribute(4, u32(route.index))
    for kind, value in ((5, route.gateway), (18, route.via), (8, route.metrics)):
        if value:
            body += attribute(kind, value)
    return body


def add_route(route: RouteEntry) -> Request:
    """``index`` 0 for a throw.  IPv4 onlink: the gateway was judged where this route was copied from."""
    return Request(RTM_NEWROUTE, _route(route), f"route in table {route.table}", NLM_F_CREATE | NLM_F_REPLACE)


def delete_route(route: RouteEntry) -> Request:
    gone = frozenset((ESRCH, ENOENT, ENODEV, EAFNOSUPPORT))
    return Request(RTM_DELROUTE, _route(route), f"route in table {route.table}", ignore=gone)
