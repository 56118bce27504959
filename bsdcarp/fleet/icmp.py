"""Echo requests and replies of ICMP and ICMPv6 as octets (RFC 792, RFC 4443); no socket in it."""

from __future__ import annotations

from typing import Literal

__all__ = ["echo_reply", "echo_request"]

_REQUEST = {4: 8, 6: 128}
_REPLY = {4: 0, 6: 129}
_HEADER = 8


def echo_request(version: Literal[4, 6], ident: int, sequence: int, payload: bytes) -> bytes:
    """Return an echo request.

    The checksum of ICMPv6 covers addresses, so only the kernel can make it, and does (RFC 3542, section 3.1).
    """
    head = bytes((_REQUEST[version], 0))
    rest = ident.to_bytes(2, "big") + sequence.to_bytes(2, "big") + payload
    checksum = _checksum(head + b"\0\0" + rest) if version == 4 else 0
    return head + checksum.to_bytes(2, "big") + rest


def echo_reply(version: Literal[4, 6], packet: bytes, payload: bytes) -> int | None:
    """Return the sequence number of an echo reply that carries ``payload``, None for anything else.

    Raw sockets of IPv4, and datagram sockets on some systems, show the IP header before it.
    """
    if version == 4 and packet[:1] and packet[0] >> 4 == 4:
        packet = packet[(packet[0] & 15) * 4 :]
    if len(packet) < _HEADER or packet[0] != _REPLY[version] or packet[1] != 0 or packet[_HEADER:] != payload:
        return None
    return int.from_bytes(packet[6:8], "big")


def _checksum(octets: bytes) -> int:
    """The one's complement of the one's complement sum of 16 bit words (RFC 1071)."""
    padded = octets + b"\0" * (len(octets) % 2)
    total = sum(int.from_bytes(padded[at : at + 2], "big") for at in range(0, len(padded), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
