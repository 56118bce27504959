"""The 36 bytes of a CARP advert: encode, decode, and why a packet is refused.

The checks and their order are those of carp_input() and carp_input_c() in FreeBSD's sys/netinet/ip_carp.c.  Type,
authentication length and the pad byte are not checked there, so they are carried but not judged here either.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

__all__ = [
    "ADVERTISEMENT",
    "AUTHLEN",
    "DIGEST_LENGTH",
    "LENGTH",
    "VERSION",
    "Advertisement",
    "BadPacket",
    "Reason",
    "check",
    "checksum",
    "decode",
    "encode",
]

VERSION = 2
ADVERTISEMENT = 1
# 8 bytes of counter and 20 of digest, in 32-bit words.
AUTHLEN = 7
DIGEST_LENGTH = 20
LENGTH = 36

# version and type, vhid, advskew, authlen, demotion, advbase, checksum, counter, digest
_HEADER = struct.Struct(f"!6BHQ{DIGEST_LENGTH}s")


class Reason(Enum):
    """Why a packet was dropped.  The value is the member of struct carpstats that counts it, or "" for none."""

    BAD_INTERFACE = "carps_badif"
    BAD_TTL = "carps_badttl"
    HEADER_DROPPED = "carps_hdrops"
    BAD_CHECKSUM = "carps_badsum"
    BAD_VERSION = "carps_badver"
    TOO_SHORT = "carps_badlen"
    BAD_AUTHENTICATION = "carps_badauth"
    BAD_VHID = "carps_badvhid"
    LOOPED = "looped"
    NOT_CARP = ""


class BadPacket(Exception):
    """The bytes are not an advert that can be used.  ``reason`` says which check failed."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(detail or reason.name.lower().replace("_", " "))


@dataclass(frozen=True)
class Advertisement:
    """One CARP advert as it stands on the wire, checksum left out because it follows from the rest."""

    vhid: int
    advskew: int
    """0 to 255; a demoted FreeBSD 10 or newer adds its demotion here."""
    advbase: int
    """0 to 255 seconds; 255 together with advskew 255 is the bow-out of a host that stops."""
    counter: int
    """64 bit; never demand that it grows, see the digest module."""
    digest: bytes
    """20 bytes, HMAC-SHA1.  It covers the counter and the addresses, but neither advbase nor advskew."""
    demotion_pad: int = 0
    """Byte 4: 0 on FreeBSD, the demotion counter on OpenBSD."""
    kind: int = ADVERTISEMENT
    authlen: int = AUTHLEN

    @property
    def interval(self) -> tuple[int, int]:
        """(seconds, 1/256 seconds): what the election compares.  Smaller is more frequent, hence better."""
        return (self.advbase, self.advskew)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of ``data``; 0 for data that carries its own correct checksum."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def encode(advertisement: Advertisement) -> bytes:
    """The 36 bytes of an advert, checksum filled in.  Raise ValueError if a field does not fit."""
    if len(advertisement.digest) != DIGEST_LENGTH:
        raise ValueError(f"the digest has {len(advertisement.digest)} bytes, not {DIGEST_LENGTH}")
    a = advertisement
    first = VERSION << 4 | a.kind

    def pack(total: int) -> bytes:
        return _HEADER.pack(first, a.vhid, a.advskew, a.authlen, a.demotion_pad, a.advbase, total, a.counter, a.digest)

    try:
        # No pseudo header, for IPv6 neither: the sum is over these 36 bytes alone.
        return pack(checksum(pack(0)))
    except struct.error as error:
        raise ValueError(f"a field of the advert is out of range: {error}") from None


def check(payload: bytes) -> None:
    """Raise BadPacket if the payload is too short or its checksum is wrong; what the kernel does first."""
    if len(payload) < LENGTH:
        raise BadPacket(Reason.TOO_SHORT, f"{len(payload)} bytes are fewer than {LENGTH}")
    # Bytes after the header are ignored: FreeBSD 12 sums the header only.
    if checksum(payload[:LENGTH]):
        raise BadPacket(Reason.BAD_CHECKSUM)


def decode(payload: bytes) -> Advertisement:
    """The advert in ``payload``, the bytes that follow the IP header.  Raise BadPacket and nothing else.

    The digest is not verified here, because that takes the key of the vhid.
    """
    check(payload)
    first, vhid, advskew, authlen, demotion, advbase, _, counter, digest = _HEADER.unpack_from(payload)
    if first >> 4 != VERSION:
        raise BadPacket(Reason.BAD_VERSION, f"version {first >> 4}")
    return Advertisement(vhid, advskew, advbase, counter, digest, demotion, first & 0x0F, authlen)
