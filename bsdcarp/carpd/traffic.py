"""Which routes make the traffic of a VIP leave through its macvlan, and so carry the virtual MAC.  Pure.

The host's routes name the parent.  A rule "from VIP" looks into a table of its own first, which holds the parent's
routes again with the macvlan as the interface.  Whatever the main table sends elsewhere, and a copy would swallow,
becomes a throw route: the lookup goes on to the main table as if there were no copy.

The prefix of a VIP is on the segment even where the parent has no address in it, or none at all: FreeBSD's kernel makes
the connected route with the address, and so does the table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from socket import AF_INET, AF_INET6

from bsdcarp.carpd.rtnl.messages import MAIN, IPAddress, RouteEntry
from bsdcarp.carpd.rtnl.requests import LOCAL, MARK, THROW, UNICAST
from bsdcarp.carpd.spec import Interface

__all__ = ["PRIORITY", "Choice", "choose", "connected", "copies", "deliveries", "is_ours", "table_of"]

# Behind "local" (0), before "main" (32766), and out of the way of the small numbers that operators choose.
PRIORITY = 11200
# Tables 0x70000000 to 0x70ffffff: 0x70 is 112, then 16 bits of the interface's index and the vhid.
_TABLES = 0x70000000
# The largest metric: any route that really is in the main table goes before.
_LAST = 0xFFFFFFFF
_LOCAL_TABLE = 255


def table_of(parent: int, vhid: int) -> int:
    """The number of the table of a vhid on the interface with this index."""
    return _TABLES | (parent & 0xFFFF) << 8 | vhid


def is_ours(table: int, protocol: int) -> bool:
    """Whether a rule or route is one that carpd made."""
    return protocol == MARK and table >> 24 == _TABLES >> 24


@dataclass(frozen=True)
class Choice:
    """What of the main table matters to the VIPs on one parent, for one family."""

    copied: tuple[RouteEntry, ...] = ()
    thrown: tuple[RouteEntry, ...] = ()


def _network(route: RouteEntry) -> int:
    """The prefix as a number of its own length."""
    width = 32 if route.family == AF_INET else 128
    value = int.from_bytes(route.destination.ljust(width // 8, b"\0")[: width // 8], "big")
    return value >> (width - min(route.length, width))


def _best(routes: Iterable[RouteEntry], parent: int) -> list[RouteEntry]:
    """The route that the kernel would take for each prefix; at the same metric the parent's."""
    best: dict[tuple[int, int, int], RouteEntry] = {}
    for route in routes:
        key = (_network(route), route.length, route.tos)
        rival = best.get(key)
        if rival is None or (route.priority, route.index != parent) < (rival.priority, rival.index != parent):
            best[key] = route
    return list(best.values())


def connected(addresses: Iterable[Interface], family: int, parent: int) -> tuple[RouteEntry, ...]:
    """The routes that the prefixes of these addresses would bring to the parent, last of all that lead there."""
    prefixes = dict.fromkeys(
        (interface.network.network_address.packed, interface.network.prefixlen)
        for interface in addresses
        if interface.version == (4 if family == AF_INET else 6)
        and 0 < interface.network.prefixlen < interface.max_prefixlen
    )
    return tuple(RouteEntry(family, packed, length, MAIN, parent, priority=_LAST) for packed, length in prefixes)


def choose(main: Iterable[RouteEntry], family: int, parent: int, connections: tuple[RouteEntry, ...] = ()) -> Choice:
    """Sort the routes of the main table into those to copy, those to except, and those that do not matter.

    ``connections`` are treated as if they stood in the main table.
    """
    best = _best((*(r for r in main if r.family == family and r.table == MAIN), *connections), parent)
    ours = [r for r in best if r.index == parent and r.kind == UNICAST]
    others = [r for r in best if not (r.index == parent and r.kind == UNICAST)]
    covers: dict[int, set[int]] = {}
    for route in ours:
        covers.setdefault(route.length, set()).add(_network(route))
    thrown = [
        r for r in others if any(n <= r.length and _network(r) >> (r.length - n) in nets for n, nets in covers.items())
    ]
    return Choice(tuple(ours), tuple(thrown))


def copies(choice: Choice, device: int, table: int) -> tuple[RouteEntry, ...]:
    """What has to stand in ``table`` so that what leaves over the parent leaves over ``device``, and no more.

    Throw routes come first: at no moment does a packet follow a copy that it should not.
    """
    thrown = [
        RouteEntry(r.family, r.destination, r.length, table, 0, kind=THROW, protocol=MARK, tos=r.tos)
        for r in choice.thrown
    ]
    copied = [replace(r, table=table, index=device, priority=0, scope=0, protocol=MARK) for r in choice.copied]
    # IPv6 takes a gateway only if the table says how to reach it: subnets before the routes that go over them.
    copied.sort(key=lambda r: bool(r.gateway or r.via))
    return tuple(thrown + copied)


def deliveries(vips: Iterable[IPAddress], device: int) -> tuple[RouteEntry, ...]:
    """The routes by which packets for the IPv6 addresses on ``device`` reach this host, from the first moment on.

    The kernel makes them itself, but in a work item that follows the address (net/ipv6/addrconf.c, addrconf_dad_work):
    on a busy machine that took up to 30 ms, in which it dropped what came.  Its own is preferred once it is there.
    """
    return tuple(
        RouteEntry(AF_INET6, vip.packed, vip.max_prefixlen, _LOCAL_TABLE, device, kind=LOCAL, protocol=MARK)
        for vip in vips
        if vip.version == 6
    )
