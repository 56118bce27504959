"""HMAC-SHA1 over a vhid's addresses: what makes two hosts accept each other.

The message is version, type, vhid, all IPv4 addresses ascending, all IPv6 addresses ascending, counter
(carp_hmac_prepare() and carp_hmac_generate() in sys/netinet/ip_carp.c).  Two consequences matter to callers: hosts
with different address lists never accept each other, and advbase and advskew are not protected, so a replayed packet
stays valid for ever with any of them.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

from bsdcarp.carp.packet import ADVERTISEMENT, VERSION

__all__ = ["Key", "message"]


def _plain(address: IPv6Address) -> bytes:
    """The 16 bytes of an address, the interface index cleared that kernels embed in link-local ones."""
    packed = address.packed
    # fe80::/10, and multicast of interface-local (1) and link-local (2) scope: IN6_IS_SCOPE_EMBED.
    embedded = packed[0] == 0xFE and packed[1] & 0xC0 == 0x80
    embedded = embedded or (packed[0] == 0xFF and packed[1] & 0x0F in (1, 2))
    return packed[:2] + b"\0\0" + packed[4:] if embedded else packed


def _usable(packed: Iterable[bytes]) -> list[bytes]:
    """Without duplicates, zero and all-ones: the kernel's search starts at one and ends at the other."""
    unique = dict.fromkeys(packed)
    return [a for a in unique if a.strip(b"\0") and a.strip(b"\xff")]


def message(vhid: int, v4: Iterable[IPv4Address], v6: Iterable[IPv6Address], *, ordered: bool = True) -> bytes:
    """The part of the HMAC message that stays the same from packet to packet: everything but the counter.

    ``ordered=False`` is FreeBSD 5.4 and 6.0, which hashed IPv4 addresses in the interface's order.
    """
    four = [a.packed for a in v4]
    six = [_plain(a) for a in v6]
    if ordered:
        four, six = sorted(_usable(four)), sorted(_usable(six))
    return bytes((VERSION, ADVERTISEMENT, vhid)) + b"".join(four) + b"".join(six)


class Key:
    """The HMAC of one vhid, prepared up to the counter.  It shows neither the key nor the state of the hash."""

    __slots__ = ("_prepared",)

    def __init__(
        self, key: bytes, vhid: int, v4: Iterable[IPv4Address], v6: Iterable[IPv6Address], *, ordered: bool = True
    ) -> None:
        # The kernel pads the key with zeros to 20 bytes, as HMAC itself does to 64: no difference.
        self._prepared = hmac.new(key, message(vhid, v4, v6, ordered=ordered), "sha1")

    def digest(self, counter: int) -> bytes:
        """The 20 bytes for a packet with this 64-bit counter; the same for both families of a vhid."""
        mac = self._prepared.copy()
        mac.update(counter.to_bytes(8, "big"))
        return mac.digest()

    def verify(self, counter: int, digest: bytes) -> bool:
        """Whether the digest of a received packet is right, in constant time."""
        return hmac.compare_digest(self.digest(counter), digest)
