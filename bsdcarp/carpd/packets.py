"""The port of a parent interface: CARP adverts in and out, gratuitous ARP and neighbour advertisements out."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from bsdcarp.carp import BadPacket, Family, SendAdvert, parse_frame
from bsdcarp.carp.frames import gratuitous_arp, unsolicited_na
from bsdcarp.carpd.errors import PortLost, SendError
from bsdcarp.carpd.filters import CARP
from bsdcarp.carpd.rtnl.messages import Address, IPAddress
from bsdcarp.carpd.rtnl.requests import MARK
from bsdcarp.carpd.sockets import index_of, is_there, join_groups, open_packet_socket, open_raw_socket, send_raw

__all__ = ["Arrival", "Port", "Sources", "choose_sources"]

# Frames taken per call, so that a flood does not keep the daemon from its timers.
_AT_ONCE = 64
_FRAME = 2048


@dataclass(frozen=True)
class Arrival:
    """An advert that came in, as ``Node.receive`` wants it."""

    payload: bytes
    family: Family
    ttl: int
    source: IPAddress
    destination: IPAddress
    source_mac: bytes


@dataclass(frozen=True)
class Sources:
    """The source addresses of our adverts; unspecified if the interface has none of its own."""

    v4: IPv4Address = IPv4Address(0)  # noqa: RUF009 - immutable
    v6: IPv6Address = IPv6Address(0)  # noqa: RUF009 - immutable


def choose_sources(addresses: Iterable[Address], vips: Collection[IPAddress]) -> Sources:
    """Pick from the addresses of an interface: the first IPv4 that is no VIP, and link-local before global IPv6."""
    own = [a for a in addresses if a.ip not in vips and a.protocol != MARK and not a.tentative]
    v4 = [a.ip for a in own if isinstance(a.ip, IPv4Address)]
    v6 = sorted((a.ip for a in own if isinstance(a.ip, IPv6Address)), key=lambda ip: not ip.is_link_local)
    return Sources(v4[0] if v4 else IPv4Address(0), v6[0] if v6 else IPv6Address(0))


class Port:
    """Register ``fileno()`` for reading.  After PortLost it is closed: make a new one when the interface is back."""

    def __init__(self, interface: str) -> None:
        self.interface = interface
        self.index = index_of(interface)
        self.sources = Sources()
        self.damaged = 0
        self._socket = open_packet_socket(interface, CARP)
        self._others: list[socket.socket] = []
        self._raw: dict[int, socket.socket] = {}
        try:
            self._others += join_groups(self._socket, self.index)
            for family in (socket.AF_INET, socket.AF_INET6):
                raw = open_raw_socket(interface, family)
                if raw is not None:
                    self._raw[family] = raw
        except OSError:
            self.close()
            raise

    @property
    def mac(self) -> bytes:
        """The MAC of the interface itself."""
        address: tuple[str, int, int, int, bytes] = self._socket.getsockname()
        return address[4]

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        for sock in (self._socket, *self._others, *self._raw.values()):
            sock.close()

    def receive(self) -> tuple[Arrival, ...]:
        """The adverts that are there, without waiting.  Raise PortLost if the interface is gone."""
        arrivals = []
        for taken in range(_AT_ONCE):
            try:
                data = self._socket.recv(_FRAME)
            except OSError as error:
                # Woken for nothing, or by an error: of an interface deleted while down there is no other sign.
                if not taken or error.errno not in (errno.EAGAIN, errno.EINTR):
                    self._judge(error)
                if error.errno in (errno.EAGAIN, errno.EINTR):
                    break
                continue
            arrival = self._open(data)
            if arrival:
                arrivals.append(arrival)
        return tuple(arrivals)

    def send(self, frame: bytes) -> None:
        """Put a whole Ethernet frame on the segment.  Raise SendError, or PortLost if the interface is gone."""
        try:
            self._socket.send(frame)
        except OSError as error:
            self._judge(error)
            raise SendError(self.interface, error.errno or errno.EIO) from None

    def send_advert(self, action: SendAdvert, mac: bytes) -> None:
        """Send an advert: to the group in a frame from ``mac``, to a peer as a plain IP packet of this host.

        A unicast advert leaves from the real MAC, as FreeBSD 15 sends it: switches learn the virtual one from ARP and
        NA, and the kernel resolves and refreshes the neighbour by itself.  Raises like ``send``.
        """
        if action.destination.is_multicast:
            source = self.sources.v4 if action.family is Family.IPV4 else self.sources.v6
            self.send(action.frame(source, mac))
            return
        family = socket.AF_INET if action.family is Family.IPV4 else socket.AF_INET6
        try:
            if family not in self._raw:
                raise OSError(errno.EAFNOSUPPORT, "no such family")
            send_raw(
                self._raw[family],
                action.payload,
                action.destination,
                source=self.sources.v4,
                index=self.index,
                traffic_class=action.traffic_class,
            )
        except OSError as error:
            self._judge(error)
            raise SendError(self.interface, error.errno or errno.EIO) from None

    def send_arp(self, address: IPv4Address, mac: bytes) -> None:
        """Announce by gratuitous ARP that ``address`` is at ``mac``.  Raises like ``send``."""
        self.send(gratuitous_arp(address, mac))

    def send_na(self, address: IPv6Address, mac: bytes) -> None:
        """Announce by a neighbour advertisement that ``address`` is at ``mac``.  Raises like ``send``."""
        self.send(unsolicited_na(address, mac, address))

    def _open(self, data: bytes) -> Arrival | None:
        try:
            frame = parse_frame(data)
        except BadPacket:
            self.damaged += 1
            return None
        family = Family.IPV4 if isinstance(frame.source, IPv4Address) else Family.IPV6
        return Arrival(frame.payload, family, frame.ttl, frame.source, frame.destination, frame.source_mac)

    def _judge(self, error: OSError) -> None:
        """A socket error is told once, when the interface goes down and when it is deleted: find out which."""
        if error.errno == errno.EBADF or not is_there(self.index):
            self.close()
            raise PortLost(self.interface) from None
