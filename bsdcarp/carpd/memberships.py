"""The solicited-node groups of a vhid's IPv6 addresses, held by a socket from the preparation to the end.

An IPv6 address joins its group when it comes and leaves it when it goes, and leaving makes the kernel send a multicast
listener report (MLDv2: net/ipv6/mcast.c, mld_ifc_event, a jiffy later).  That would be the last MASTER's macvlan
speaking once more after the next MASTER has announced itself: the switch would learn the virtual MAC at the old port
again.  While somebody else is a member too, the kernel sends nothing.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv6Address

from bsdcarp.carpd.rtnl.messages import IPAddress

__all__ = ["Memberships", "solicited_node"]

_PREFIX = IPv6Address("ff02::1:ff00:0").packed[:13]


def solicited_node(address: IPv6Address) -> bytes:
    """The group that neighbours ask for this address, packed (RFC 4291, 2.7.1)."""
    return _PREFIX + address.packed[13:]


class Memberships:
    """``hold`` as often as the list changes; ``close`` when the interface is gone, so that nothing is said at the end.

    A host without IPv6, or one out of memory for options, has no memberships: what they prevent is a short disturbance.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._index = 0
        self._held: frozenset[bytes] = frozenset()

    def hold(self, index: int, vips: Iterable[IPAddress]) -> None:
        """Be a member of the groups of these addresses on the interface, and of no others."""
        wanted = frozenset(solicited_node(vip) for vip in vips if isinstance(vip, IPv6Address))
        if index != self._index:
            self.close()
        self._index = index
        for group in self._held - wanted:
            self._set(socket.IPV6_LEAVE_GROUP, group)
        for group in wanted - self._held:
            self._set(socket.IPV6_JOIN_GROUP, group)
        self._held = wanted

    def renew(self) -> None:
        """Before the addresses come: make sure of the memberships.

        The kernel joins for an address in a work item and leaves when it is deleted, whether it has joined or not.  An
        address that went again at once has thus taken ours along.  Leaving says nothing while the interface is down.
        """
        for group in self._held:
            self._set(socket.IPV6_LEAVE_GROUP, group)
            self._set(socket.IPV6_JOIN_GROUP, group)

    def close(self) -> None:
        """Be a member of none."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._index, self._held = None, 0, frozenset()

    def _set(self, option: int, group: bytes) -> None:
        with contextlib.suppress(OSError):
            if self._socket is None:
                self._socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setsockopt(socket.IPPROTO_IPV6, option, struct.pack("=16si", group, self._index))
