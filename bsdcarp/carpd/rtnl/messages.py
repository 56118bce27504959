"""Links, addresses, routes and rules as the kernel tells of them.  Pure, and safe for any bytes.

Each ``parse`` returns None for a message that is too short or of another family; it never raises.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6
from typing import Union

from bsdcarp.carpd.rtnl.codec import Message, attributes, number, text

__all__ = [
    "MAIN",
    "RTM_DELADDR",
    "RTM_DELLINK",
    "RTM_DELROUTE",
    "RTM_DELRULE",
    "RTM_GETADDR",
    "RTM_GETLINK",
    "RTM_GETROUTE",
    "RTM_GETRULE",
    "RTM_NEWADDR",
    "RTM_NEWLINK",
    "RTM_NEWROUTE",
    "RTM_NEWRULE",
    "Address",
    "IPAddress",
    "Link",
    "RouteEntry",
    "Rule",
    "parse_address",
    "parse_link",
    "parse_route",
    "parse_rule",
]

IPAddress = Union[IPv4Address, IPv6Address]  # noqa: UP007 - evaluated, and X | Y needs 3.10

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34

MAIN = 254
# if.h; LOWER_UP is the carrier at once, RUNNING also knows of 802.1X and of a bond that has no port yet.
_IFF_UP, _IFF_RUNNING, _IFF_LOWER_UP = 0x1, 0x40, 0x10000
_IFA_F_TENTATIVE, _IFA_F_DADFAILED = 0x40, 0x08
_RTM_F_CLONED = 0x200

_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBi")
_ROUTE = struct.Struct("=BBBBBBBBI")


@dataclass(frozen=True)
class Link:
    """An interface: what of it matters to carpd."""

    index: int
    name: str
    mac: bytes
    up: bool
    """The operator has set it up (IFF_UP)."""
    carrier: bool
    """There is a medium, and it may be used."""
    mtu: int = 1500
    kind: str = ""
    """macvlan, vlan, bridge, bond, veth ...; empty for hardware."""
    alias: str = ""
    parent: int | None = None
    """IFLA_LINK: the interface below a macvlan or VLAN.  For a veth its peer, perhaps in another namespace."""
    master: int | None = None
    """The bridge, bond or team that has taken this interface as its port."""
    arptype: int = 1
    """1 is Ethernet (if_arp.h)."""
    flags: int = 0

    @property
    def usable(self) -> bool:
        return self.up and self.carrier


@dataclass(frozen=True)
class Address:
    """An address of an interface."""

    index: int
    ip: IPAddress
    prefix: int
    scope: int = 0
    """0 global, 253 link, 254 host."""
    flags: int = 0
    protocol: int = 0
    """IFA_PROTO, who added it; the kernel keeps it from 5.18 on."""
    label: str = ""

    @property
    def tentative(self) -> bool:
        """Not to be used: duplicate address detection has not ended, or has ended badly."""
        return bool(self.flags & (_IFA_F_TENTATIVE | _IFA_F_DADFAILED))


@dataclass(frozen=True)
class RouteEntry:
    """One route.  ``gateway``, ``via`` and ``metrics`` are attribute values as they came, for an unchanged copy."""

    family: int
    destination: bytes
    """Packed, shortened or not as the kernel sent it; empty for a default route."""
    length: int
    table: int
    index: int
    """Of the outgoing interface; 0 if there are several, or none."""
    gateway: bytes = b""
    via: bytes = b""
    metrics: bytes = b""
    priority: int = 0
    scope: int = 0
    kind: int = 1
    """1 unicast, 2 local, 9 throw ... (rtnetlink.h)."""
    protocol: int = 0
    tos: int = 0
    cloned: bool = False
    """A cache entry, no route."""


@dataclass(frozen=True)
class Rule:
    """A policy rule, as far as carpd makes them: traffic from ``source`` looks into ``table``."""

    family: int
    priority: int
    table: int
    source: bytes
    length: int
    protocol: int


def parse_link(message: Message) -> Link | None:
    if len(message.body) < _LINK.size or message.kind not in (RTM_NEWLINK, RTM_DELLINK):
        return None
    family, arptype, index, flags, _ = _LINK.unpack_from(message.body)
    if family:  # AF_BRIDGE tells about ports in messages of the same type
        return None
    found = attributes(message.body[_LINK.size :])
    kind = text(attributes(found.get(18, b"")).get(1, b""))
    carrier = bool(flags & _IFF_RUNNING) and bool(flags & _IFF_LOWER_UP)
    return Link(
        index=index,
        name=text(found.get(3, b"")),
        mac=found.get(1, b""),
        up=bool(flags & _IFF_UP),
        carrier=carrier,
        mtu=number(found.get(4, b"")),
        kind=kind,
        alias=text(found.get(20, b"")),
        parent=number(found[5]) if 5 in found else None,
        master=number(found[10]) if 10 in found else None,
        arptype=arptype,
        flags=flags,
    )


def _ip(family: int, packed: bytes) -> IPAddress | None:
    if family == AF_INET and len(packed) == 4:
        return IPv4Address(packed)
    if family == AF_INET6 and len(packed) == 16:
        return IPv6Address(packed)
    return None


def parse_address(message: Message) -> Address | None:
    if len(message.body) < _ADDRESS.size or message.kind not in (RTM_NEWADDR, RTM_DELADDR):
        return None
    family, prefix, short_flags, scope, index = _ADDRESS.unpack_from(message.body)
    found = attributes(message.body[_ADDRESS.size :])
    # With a peer, IFA_ADDRESS is the peer's and IFA_LOCAL ours; IPv6 without a peer has IFA_ADDRESS only.
    ip = _ip(family, found.get(2, found.get(1, b"")))
    if ip is None:
        return None
    return Address(
        index=index,
        ip=ip,
        prefix=prefix,
        scope=scope,
        flags=number(found.get(8, b""), short_flags),
        protocol=number(found.get(11, b"")),
        label=text(found.get(3, b"")),
    )


def parse_route(message: Message) -> RouteEntry | None:
    if len(message.body) < _ROUTE.size or message.kind not in (RTM_NEWROUTE, RTM_DELROUTE):
        return None
    family, length, _, tos, table, protocol, scope, kind, flags = _ROUTE.unpack_from(message.body)
    if family not in (AF_INET, AF_INET6):
        return None
    found = attributes(message.body[_ROUTE.size :])
    return RouteEntry(
        family=family,
        destination=found.get(1, b""),
        length=length,
        table=number(found.get(15, b""), table),
        # Several next hops: no single interface, and a copy would be wrong.
        index=0 if 9 in found else number(found.get(4, b"")),
        gateway=found.get(5, b""),
        via=found.get(18, b""),
        metrics=found.get(8, b""),
        priority=number(found.get(6, b"")),
        scope=scope,
        kind=kind,
        protocol=protocol,
        tos=tos,
        cloned=bool(flags & _RTM_F_CLONED),
    )


def parse_rule(message: Message) -> Rule | None:
    if len(message.body) < _ROUTE.size or message.kind not in (RTM_NEWRULE, RTM_DELRULE):
        return None
    family, _, length, _, table, _, _, _, _ = _ROUTE.unpack_from(message.body)
    if family not in (AF_INET, AF_INET6):
        return None
    found = attributes(message.body[_ROUTE.size :])
    return Rule(
        family=family,
        priority=number(found.get(6, b"")),
        table=number(found.get(15, b""), table),
        source=found.get(2, b""),
        length=length,
        protocol=number(found.get(21, b"")),
    )
