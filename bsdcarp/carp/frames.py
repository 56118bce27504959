"""Whole Ethernet frames: adverts, gratuitous ARP, unsolicited neighbour advertisements, and adverts taken apart again.

A daemon that sends through a packet socket writes these itself, because the source MAC of an advert has to be the
virtual one: it is what moves the address in the switch's table.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from bsdcarp.carp.packet import BadPacket, Reason, checksum
from bsdcarp.carp.vhid import GROUP_V4, GROUP_V6

__all__ = [
    "PROTOCOL_NUMBER",
    "TTL",
    "Frame",
    "frame_v4",
    "frame_v6",
    "gratuitous_arp",
    "multicast_mac",
    "parse_frame",
    "unsolicited_na",
    "virtual_mac",
]

# IP protocol of CARP, shared with VRRP.
PROTOCOL_NUMBER = 112
# A router would have lowered it, so a receiver knows that the sender is on the same segment.
TTL = 255
TOS = 0xE0
_DONT_FRAGMENT = 0x4000
_ETHERTYPE_IPV4, _ETHERTYPE_ARP, _ETHERTYPE_IPV6 = 0x0800, 0x0806, 0x86DD
_BROADCAST = b"\xff" * 6
_ALL_NODES = IPv6Address("ff02::1")
_ETHERNET = struct.Struct("!6s6sH")
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")


def virtual_mac(vhid: int) -> bytes:
    """00:00:5e:00:01:VHID, the MAC that moves with the role.  VRRP with the same id uses the same one."""
    return bytes((0x00, 0x00, 0x5E, 0x00, 0x01, vhid))


def multicast_mac(group: IPv4Address | IPv6Address) -> bytes:
    """The Ethernet address of an IP multicast group (RFC 1112, RFC 2464)."""
    if isinstance(group, IPv6Address):
        return b"\x33\x33" + group.packed[12:]
    low = group.packed
    return bytes((0x01, 0x00, 0x5E, low[1] & 0x7F, low[2], low[3]))


def _destination_mac(destination: IPv4Address | IPv6Address, mac: bytes | None) -> bytes:
    if mac is not None:
        return mac
    if not destination.is_multicast:
        raise ValueError(f"the MAC of {destination} has to be given: it is not a multicast group")
    return multicast_mac(destination)


def frame_v4(
    payload: bytes,
    source: IPv4Address,
    source_mac: bytes,
    *,
    destination: IPv4Address = GROUP_V4,
    destination_mac: bytes | None = None,
    tos: int = TOS,
    ttl: int = TTL,
    identification: int = 0,
) -> bytes:
    """An advert over IPv4: Ethernet, IPv4 with DF, payload.  A unicast destination needs its MAC."""
    header = _IPV4.pack(
        0x45,
        tos,
        _IPV4.size + len(payload),
        identification,
        _DONT_FRAGMENT,
        ttl,
        PROTOCOL_NUMBER,
        0,
        source.packed,
        destination.packed,
    )
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    return (
        _ETHERNET.pack(_destination_mac(destination, destination_mac), source_mac, _ETHERTYPE_IPV4) + header + payload
    )


def frame_v6(
    payload: bytes,
    source: IPv6Address,
    source_mac: bytes,
    *,
    destination: IPv6Address = GROUP_V6,
    destination_mac: bytes | None = None,
    traffic_class: int = TOS,
    hop_limit: int = TTL,
) -> bytes:
    """An advert over IPv6, flow label 0, no extension header.  A unicast destination needs its MAC."""
    ethernet = _ETHERNET.pack(_destination_mac(destination, destination_mac), source_mac, _ETHERTYPE_IPV6)
    return ethernet + _ipv6(payload, source, destination, traffic_class, hop_limit, PROTOCOL_NUMBER)


def _ipv6(
    payload: bytes, source: IPv6Address, destination: IPv6Address, traffic_class: int, hop_limit: int, following: int
) -> bytes:
    first = 6 << 28 | traffic_class << 20
    return _IPV6.pack(first, len(payload), following, hop_limit, source.packed, destination.packed) + payload


def gratuitous_arp(address: IPv4Address, mac: bytes, *, source_mac: bytes | None = None) -> bytes:
    """A broadcast ARP request that asks for ``address`` in the name of ``address`` at ``mac``.

    FreeBSD sends it from the physical MAC and names the virtual one only inside; ``source_mac`` defaults to ``mac``,
    which also teaches the switch.
    """
    ethernet = _ETHERNET.pack(_BROADCAST, source_mac or mac, _ETHERTYPE_ARP)
    return ethernet + struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, mac, address.packed, bytes(6), address.packed)


def unsolicited_na(address: IPv6Address, mac: bytes, source: IPv6Address, *, source_mac: bytes | None = None) -> bytes:
    """A neighbour advertisement to ff02::1 that tells all nodes to use ``mac`` for ``address`` from now on.

    Flag override only, as FreeBSD sends it: not solicited, and the router flag is left to the router daemon.
    """
    option = b"\x02\x01" + mac
    body = struct.pack("!BBHI16s", 136, 0, 0, 0x20000000, address.packed) + option
    pseudo = source.packed + _ALL_NODES.packed + struct.pack("!II", len(body), 58)
    body = body[:2] + checksum(pseudo + body).to_bytes(2, "big") + body[4:]
    ethernet = _ETHERNET.pack(multicast_mac(_ALL_NODES), source_mac or mac, _ETHERTYPE_IPV6)
    return ethernet + _ipv6(body, source, _ALL_NODES, 0, TTL, 58)


@dataclass(frozen=True)
class Frame:
    """An advert as it came in: addresses of both layers, the TTL that the node has to judge, and the payload."""

    source: IPv4Address | IPv6Address
    destination: IPv4Address | IPv6Address
    ttl: int
    payload: bytes
    source_mac: bytes
    destination_mac: bytes
    traffic_class: int


def parse_frame(frame: bytes) -> Frame:
    """Take apart an Ethernet frame that carries IP protocol 112.

    Raise BadPacket, and nothing else, if it is something else, cut short, a fragment, or has a wrong IP checksum.
    Padding after the end of the IP packet is removed.
    """
    if len(frame) < _ETHERNET.size:
        raise BadPacket(Reason.NOT_CARP, "no Ethernet header")
    destination_mac, source_mac, ethertype = _ETHERNET.unpack_from(frame)
    packet = frame[_ETHERNET.size :]
    if ethertype == _ETHERTYPE_IPV4:
        source, destination, ttl, tos, payload = _open_v4(packet)
    elif ethertype == _ETHERTYPE_IPV6:
        source, destination, ttl, tos, payload = _open_v6(packet)
    else:
        raise BadPacket(Reason.NOT_CARP, f"Ethernet type {ethertype:#06x}")
    return Frame(source, destination, ttl, payload, source_mac, destination_mac, tos)


def _open_v4(packet: bytes) -> tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address, int, int, bytes]:
    if len(packet) < _IPV4.size or packet[0] >> 4 != 4:
        raise BadPacket(Reason.NOT_CARP, "no IPv4 header")
    _, tos, total, _, fragment, ttl, protocol, _, source, destination = _IPV4.unpack_from(packet)
    header = (packet[0] & 0x0F) * 4
    if not _IPV4.size <= header <= total <= len(packet) or checksum(packet[:header]):
        raise BadPacket(Reason.NOT_CARP, "damaged IPv4 header")
    # More fragments, or an offset: an advert is never fragmented, and half of one must not be judged.
    if protocol != PROTOCOL_NUMBER or fragment & 0x3FFF:
        raise BadPacket(Reason.NOT_CARP, f"IP protocol {protocol}")
    return IPv4Address(source), IPv4Address(destination), ttl, tos, packet[header:total]


def _open_v6(packet: bytes) -> tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address, int, int, bytes]:
    if len(packet) < _IPV6.size or packet[0] >> 4 != 6:
        raise BadPacket(Reason.NOT_CARP, "no IPv6 header")
    first, length, following, hops, source, destination = _IPV6.unpack_from(packet)
    if following != PROTOCOL_NUMBER or len(packet) < _IPV6.size + length:
        raise BadPacket(Reason.NOT_CARP, f"next header {following}")
    payload = packet[_IPV6.size : _IPV6.size + length]
    return IPv6Address(source), IPv6Address(destination), hops, first >> 20 & 0xFF, payload
