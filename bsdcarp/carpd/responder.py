"""ARP balancing: several vhids share an IPv4 address, and the client's address decides which one's MAC it is given.

FreeBSD had it up to release 9 (net.inet.carp.arpbalance).  On Linux the kernel keeps silent about such addresses
(arp_ignore 8 on the macvlan), and the daemon answers in its place.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from bsdcarp.carp import State, arpbalance, virtual_mac
from bsdcarp.carpd.errors import PortLost, SendError
from bsdcarp.carpd.filters import ARP_REQUESTS
from bsdcarp.carpd.sockets import index_of, is_there, open_packet_socket

__all__ = ["ArpRequest", "Responder", "choose", "kernel_order", "parse_request", "reply"]

_ETHERNET = struct.Struct("!6s6sH")
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_TYPE_ARP, _ETHER, _IPV4, _REQUEST, _REPLY = 0x0806, 1, 0x0800, 1, 2
_BROADCAST = b"\xff" * 6
_VIRTUAL = virtual_mac(0)[:5]
_AT_ONCE = 64


@dataclass(frozen=True)
class ArpRequest:
    """Somebody at ``sender`` asks who has ``target``."""

    sender_mac: bytes
    sender: IPv4Address
    target: IPv4Address


def parse_request(frame: bytes) -> ArpRequest | None:
    """The request in an Ethernet frame, or None if it is none, or none that a virtual host should answer.

    Gratuitous ones are left out: they ask for their own address, and an answer would be a quarrel.  Of the frames that
    are neither broadcast nor to a virtual MAC, those to this host's own MAC are for the kernel.
    """
    if len(frame) < _ETHERNET.size + _ARP.size:
        return None
    destination, _, kind = _ETHERNET.unpack_from(frame)
    hardware, protocol, hlen, plen, operation, mac, sender, _, target = _ARP.unpack_from(frame, _ETHERNET.size)
    if (kind, hardware, protocol, hlen, plen, operation) != (_TYPE_ARP, _ETHER, _IPV4, 6, 4, _REQUEST):
        return None
    if destination != _BROADCAST and destination[:5] != _VIRTUAL:
        return None
    # The sender's MAC becomes a destination: a group address there would make one request many answers.
    if mac[0] & 1 or sender == target:
        return None
    return ArpRequest(mac, IPv4Address(sender), IPv4Address(target))


def reply(request: ArpRequest, vhid: int) -> bytes:
    """The answer, from the virtual MAC of ``vhid``: a whole Ethernet frame."""
    mac = virtual_mac(vhid)
    ethernet = _ETHERNET.pack(request.sender_mac, mac, _TYPE_ARP)
    return ethernet + _ARP.pack(
        _ETHER, _IPV4, 6, 4, _REPLY, mac, request.target.packed, request.sender_mac, request.sender.packed
    )


def kernel_order(vhids: Iterable[int]) -> tuple[int, ...]:
    """The order in which FreeBSD 9 keeps the vhids of an interface, given the order of their configuration.

    Each goes behind the last one that is smaller, and to the end if none is (carp_set_addr() of FreeBSD 9.3).
    """
    order: list[int] = []
    for vhid in vhids:
        behind = [place for place, other in enumerate(order) if other < vhid]
        order.insert(behind[-1] + 1 if behind else len(order), vhid)
    return tuple(order)


def choose(request: ArpRequest, holders: Sequence[tuple[int, Collection[IPv4Address], State]]) -> int | None:
    """The vhid that this host answers for, or None if it keeps silent.

    ``holders`` are all running vhids of the interface in ``kernel_order``, with their addresses and states.
    """
    candidates = [(vhid, state) for vhid, addresses, state in holders if request.target in addresses]
    return arpbalance.answer(int(request.sender), candidates)


class Responder:
    """Register ``fileno()`` for reading.  After PortLost it is closed."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self.index = index_of(interface)
        self._socket = open_packet_socket(interface, ARP_REQUESTS)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def receive(self) -> tuple[ArpRequest, ...]:
        """The requests that are there, without waiting.  Raise PortLost if the interface is gone."""
        found = []
        for taken in range(_AT_ONCE):
            try:
                data = self._socket.recv(128)
            except OSError as error:
                # Woken for nothing, or by an error: of an interface deleted while down there is no other sign.
                if not taken or error.errno not in (errno.EAGAIN, errno.EINTR):
                    self._judge(error)
                if error.errno in (errno.EAGAIN, errno.EINTR):
                    break
                continue
            request = parse_request(data)
            if request:
                found.append(request)
        return tuple(found)

    def answer(self, request: ArpRequest, vhid: int) -> None:
        """Tell the client the virtual MAC of ``vhid``.  Raise SendError, or PortLost."""
        try:
            self._socket.send(reply(request, vhid))
        except OSError as error:
            self._judge(error)
            raise SendError(self.interface, error.errno or errno.EIO) from None

    def _judge(self, error: OSError) -> None:
        if error.errno == errno.EBADF or not is_there(self.index):
            self.close()
            raise PortLost(self.interface) from None
