"""POSIX cksum(1), so that a host with nothing but a base system can tell whether a file is still what was planned."""

from __future__ import annotations

from functools import cache

__all__ = ["cksum"]


@cache
def _table() -> tuple[int, ...]:
    table = []
    for index in range(256):
        crc = index << 24
        for _ in range(8):
            crc = ((crc << 1) ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
        table.append(crc)
    return tuple(table)


def cksum(data: bytes) -> str:
    """Return what ``cksum < FILE`` prints: the CRC of POSIX.1 (cksum), a blank, the length in octets."""
    table = _table()
    crc = 0
    for byte in data:
        crc = ((crc << 8) ^ table[(crc >> 24) ^ byte]) & 0xFFFFFFFF
    length = len(data)
    while length:
        crc = ((crc << 8) ^ table[(crc >> 24) ^ (length & 0xFF)]) & 0xFFFFFFFF
        length >>= 8
    return f"{crc ^ 0xFFFFFFFF} {len(data)}"
