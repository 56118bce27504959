"""The sockets of a parent interface: packet sockets with a filter, group memberships, and raw IP for unicast peers."""

from __future__ import annotations

import array
import contextlib
import errno
import socket
import struct
from ipaddress import IPv4Address, IPv6Address

from bsdcarp.carp.vhid import GROUP_V4, GROUP_V6
from bsdcarp.carpd.errors import ParentMissing
from bsdcarp.carpd.filters import NOTHING, Program, packed

__all__ = ["index_of", "is_there", "join_groups", "open_packet_socket", "open_raw_socket", "send_raw"]

_ETH_P_ALL = 3
_SO_ATTACH_FILTER, _SO_PRIORITY, _SO_BINDTODEVICE = 26, 12, 25
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_IGNORE_OUTGOING = 263, 1, 23
_PACKET_MR_MULTICAST = 0
_IP_PKTINFO, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO = 8, 10, 2
_IPV6_PKTINFO, _IPV6_TCLASS = 50, 67
_CARP = 112
_TTL = 255
# TC_PRIO_CONTROL: ahead of everything else in the queue of a congested interface.
_CONTROL = 7


def index_of(interface: str) -> int:
    """The index of an interface; ParentMissing if there is none of this name."""
    try:
        return socket.if_nametoindex(interface)
    except (OSError, ValueError):
        raise ParentMissing(interface) from None


def is_there(index: int) -> bool:
    try:
        socket.if_indextoname(index)
    except OSError:
        return False
    return True


def _attach(sock: socket.socket, program: Program) -> None:
    # The kernel wants a pointer, and an array tells where it is: ctypes cannot be imported everywhere, see libc.
    code = array.array("B", packed(program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), code.buffer_info()[0]))


def open_packet_socket(interface: str, program: Program) -> socket.socket:
    """A non-blocking packet socket on the interface that sees what the program lets through.

    All protocols: while a private macvlan with the same MAC is up, a socket for one protocol does not get the
    adverts of the others any more.  The filter is in place before the first frame can come.
    """
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        sock.setblocking(False)
        _attach(sock, program)
        for level, option, value in (
            (_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1),  # from 4.20 on; the filter does it as well, later
            (socket.SOL_SOCKET, _SO_PRIORITY, _CONTROL),
        ):
            with contextlib.suppress(OSError):
                sock.setsockopt(level, option, value)
        sock.bind((interface, _ETH_P_ALL))
    except OSError as error:
        sock.close()
        if error.errno in (errno.ENODEV, errno.ENXIO):
            raise ParentMissing(interface) from None
        raise
    return sock


def join_groups(packet: socket.socket, index: int) -> tuple[socket.socket, ...]:
    """Let the interface take frames for CARP's groups, and tell switches that snoop; for as long as these are open.

    A family that the interface does not have is left out: the frames come nevertheless, by the packet membership.
    """
    for mac in (b"\x01\x00\x5e\x00\x00\x12", b"\x33\x33\x00\x00\x00\x12"):
        request = struct.pack("=iHH8s", index, _PACKET_MR_MULTICAST, len(mac), mac)
        with contextlib.suppress(OSError):
            packet.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, request)
    joined = []
    for family, level, option, request in (
        (
            socket.AF_INET,
            socket.IPPROTO_IP,
            socket.IP_ADD_MEMBERSHIP,
            struct.pack("=4s4si", GROUP_V4.packed, b"", index),
        ),
        (socket.AF_INET6, socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, struct.pack("=16si", GROUP_V6.packed, index)),
    ):
        with contextlib.suppress(OSError):
            sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            joined.append(sock)
            sock.setsockopt(level, option, request)
    return tuple(joined)


def open_raw_socket(interface: str, family: int) -> socket.socket | None:
    """A raw IP socket for protocol 112 on the interface, TTL 255; None if the host does not have the family.

    Nothing is read from it.  That it exists keeps the kernel from answering unicast adverts with "protocol
    unreachable".
    """
    try:
        sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _CARP)
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT):
            return None
        raise
    try:
        sock.setblocking(False)
        _attach(sock, NOTHING)
        sock.setsockopt(socket.SOL_SOCKET, _SO_BINDTODEVICE, interface.encode("utf-8", "surrogateescape") + b"\0")
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, _TTL)
            sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, _TTL)
    except OSError:
        sock.close()
        raise
    return sock


def send_raw(
    sock: socket.socket,
    payload: bytes,
    destination: IPv4Address | IPv6Address,
    *,
    source: IPv4Address,
    index: int,
    traffic_class: int,
) -> None:
    """One unicast advert.  The kernel finds the neighbour's MAC, and over IPv6 the source address too.

    ``source`` is for IPv4 only; 0.0.0.0 leaves it to the kernel as well.  Raises OSError.
    """
    if isinstance(destination, IPv4Address):
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, traffic_class)
        information = struct.pack("=i4s4s", index, source.packed, b"")
        sock.sendmsg([payload], [(socket.IPPROTO_IP, _IP_PKTINFO, information)], 0, (str(destination), 0))
        return
    sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_TCLASS, traffic_class)
    information = struct.pack("=16sI", b"", index)
    scope = index if destination.is_link_local else 0
    # Without a scope identifier in the text: from Python 3.9 on an address may carry one.
    address = str(IPv6Address(destination.packed))
    sock.sendmsg([payload], [(socket.IPPROTO_IPV6, _IPV6_PKTINFO, information)], 0, (address, 0, 0, scope))
