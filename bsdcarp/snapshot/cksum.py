"""POSIX cksum(1), so that a host with nothing but a base system can tell whether a file is what was planned."""

from __future__ import annotations

from zlib import crc32

__all__ = ["cksum"]

# zlib's CRC has the same polynomial, but takes the bits of each octet, and gives those of the result, in reverse.
_REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))


def cksum(data: bytes) -> str:
    """Return what ``cksum < FILE`` prints: the CRC of POSIX.1 (cksum), a blank, the length in octets."""
    length = len(data).to_bytes((len(data).bit_length() + 7) // 8, "little")
    # zlib complements before and after; starting from ones begins at zero, as POSIX does.
    crc = crc32(length.translate(_REVERSED), crc32(data.translate(_REVERSED), 0xFFFFFFFF))
    return f"{int(f'{crc:032b}'[::-1], 2)} {len(data)}"
