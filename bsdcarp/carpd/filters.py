"""Classic BPF programs: what of a segment's traffic carpd's packet sockets are woken for.  Pure.

The sockets see every frame (ETH_P_ALL, see ``packets``), so the kernel has to pick.  Facts: linux/filter.h of
Linux 6.1 and Documentation/networking/filter.rst.
"""

from __future__ import annotations

import struct
from typing import Sequence, Tuple  # noqa: UP035 - evaluated, and tuple[] needs 3.9

__all__ = ["ARP_REQUESTS", "CARP", "NOTHING", "Program", "packed"]

# (code, jump if true, jump if false, k), struct sock_filter
Program = Tuple[Tuple[int, int, int, int], ...]  # noqa: UP006 - evaluated, and tuple[] needs 3.9

_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30
_AND, _RETURN = 0x54, 0x06
_JUMP_EQUAL, _JUMP_GREATER = 0x15, 0x25
# Ancillary data stands at negative offsets (SKF_AD_OFF).
_ANCILLARY = 0x100000000 - 0x1000
_PACKET_TYPE, _VLAN_TAG, _VLAN_PRESENT = _ANCILLARY + 4, _ANCILLARY + 44, _ANCILLARY + 48
# PACKET_HOST 0, BROADCAST 1, MULTICAST 2, OTHERHOST 3, and then our own: OUTGOING 4, LOOPBACK 5.
_MULTICAST, _OTHERHOST = 2, 3
_WHOLE_FRAME = 0x40000
# Jump targets that are filled in when the length is known.
_ACCEPT, _DROP = "accept", "drop"


def _assemble(lines: Sequence[tuple[int, int | str, int | str, int]]) -> Program:
    """Put "accept" and "drop" behind the lines, and turn the jumps there into distances."""
    targets = {_ACCEPT: len(lines), _DROP: len(lines) + 1}

    def distance(at: int, target: int | str) -> int:
        return targets[target] - at - 1 if isinstance(target, str) else target

    body = [(c, distance(at, t), distance(at, f), k) for at, (c, t, f, k) in enumerate(lines)]
    return (*body, (_RETURN, 0, 0, _WHOLE_FRAME), (_RETURN, 0, 0, 0))


def _of_the_interface(highest_type: int) -> list[tuple[int, int | str, int | str, int]]:
    """Frames up to this packet type that belong to the interface, not to a VLAN on it, which has its own."""
    return [
        (_LOAD_WORD, 0, 0, _PACKET_TYPE),
        (_JUMP_GREATER, _DROP, 0, highest_type),
        (_LOAD_WORD, 0, 0, _VLAN_PRESENT),
        (_JUMP_EQUAL, 3, 0, 0),
        # VLAN 0 is no VLAN but a priority: the frame is the interface's own (IEEE 802.1Q).
        (_LOAD_WORD, 0, 0, _VLAN_TAG),
        (_AND, 0, 0, 0x0FFF),
        (_JUMP_EQUAL, 0, _DROP, 0),
    ]


CARP = _assemble(
    [
        *_of_the_interface(_MULTICAST),
        (_LOAD_HALF, 0, 0, 12),
        (_JUMP_EQUAL, 0, 2, 0x0800),
        (_LOAD_BYTE, 0, 0, 14 + 9),
        (_JUMP_EQUAL, _ACCEPT, _DROP, 112),
        (_JUMP_EQUAL, 0, _DROP, 0x86DD),
        (_LOAD_BYTE, 0, 0, 14 + 6),
        (_JUMP_EQUAL, _ACCEPT, _DROP, 112),
    ]
)
"""IPv4 and IPv6 with protocol 112, to this host or to a group.  What this host sends itself is left out."""

# A client that knows the virtual MAC asks it directly; the interface takes such frames for somebody else's.
ARP_REQUESTS = _assemble(
    [
        *_of_the_interface(_OTHERHOST),
        (_LOAD_HALF, 0, 0, 12),
        (_JUMP_EQUAL, 0, _DROP, 0x0806),
        (_LOAD_HALF, 0, 0, 14 + 6),
        (_JUMP_EQUAL, _ACCEPT, _DROP, 1),
    ]
)
"""ARP requests to anybody."""

NOTHING: Program = ((_RETURN, 0, 0, 0),)
"""For a socket that is only sent through, or only has to exist."""


def packed(program: Program) -> bytes:
    """The instructions as the kernel wants them."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
