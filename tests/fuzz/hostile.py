"""Hostile frames for the protocol core, and the judge that says what may become of them.

``Mutator`` changes valid adverts, recorded ones and other frames field by field, bit by bit and by splicing, and mends
checksums half of the time, because a mutation that dies at the first checksum tests nothing behind it.  ``Judge`` hands
each frame to the decoder, the frame parser and a running node, and knows from a digest of its own making which adverts
are authentic: all others must leave state, timers, counters of the protocol and everything else as they were.
"""

from __future__ import annotations

import hashlib
import hmac
import random
import struct
from collections import Counter, deque
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from bsdcarp.carp import (
    BadPacket,
    Family,
    Log,
    Machine,
    Node,
    SendAdvert,
    Settings,
    State,
    Vhid,
    decode,
    parse_frame,
    personality,
)
from bsdcarp.carp.frames import gratuitous_arp, unsolicited_na, virtual_mac

CAPTURES = Path(__file__).parent.parent / "carp" / "data"
SYSTEMS: tuple[tuple[Any, ...], ...] = (
    ("linux",),
    ("freebsd", 14, 2),
    ("freebsd", 12, 1),
    ("freebsd", 10, 4),
    ("freebsd", 9, 3),
    ("freebsd", 6, 0),
)
V4, SIX = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")
SOURCE, SOURCE6 = IPv4Address("192.0.2.77"), IPv6Address("fe80::77")
VHIDS = (
    Vhid(1, advskew=50, key=b"secret", v4=(V4,)),
    Vhid(7, advskew=0, key=b"", v4=(V4 + 1, V4 + 2), v6=(SIX,)),
    Vhid(42, advskew=254, advbase=3, key=b"x" * 20, v6=(SIX + 1, IPv6Address("fe80::1"))),
    Vhid(255, advskew=100, key=b"unicast", v4=(V4 + 3,), v6=(SIX + 2,), peer=SOURCE, peer6=SOURCE6),
)


def frames_of_a_peer() -> Iterator[bytes]:
    """What another host with the same vhids sends: normal adverts, demoted ones and bow-outs."""
    for skew in (0, 51, 200):
        node = Node(personality("linux"), Settings(log=0), draw=random.Random(skew).getrandbits)
        for config in VHIDS:
            node.add(Vhid(config.vhid, 1, skew, config.key, config.v4, config.v6), "em0")
        actions = [*node.interface_up(0.0, "em0"), *node.on_timer(9.0), *node.demote(100, 9.0)]
        for machine in node.machines:
            actions += machine.stop(10.0)
        for action in actions:
            if isinstance(action, SendAdvert):
                yield action.frame(SOURCE if action.family is Family.IPV4 else SOURCE6)


def recorded_frames() -> Iterator[bytes]:
    """All frames of the two captures."""
    for path in sorted(CAPTURES.glob("*.pcap")):
        data = path.read_bytes()
        offset = 24
        while offset < len(data):
            (length,) = struct.unpack_from("<I", data, offset + 8)
            yield data[offset + 16 : offset + 16 + length]
            offset += 16 + length


def corpus() -> list[bytes]:
    """What mutation starts from."""
    others = [gratuitous_arp(V4, virtual_mac(1)), unsolicited_na(SIX, virtual_mac(7), SOURCE6), b"", bytes(14)]
    return [*frames_of_a_peer(), *recorded_frames(), *others]


def ones_complement(data: bytes) -> int:
    """The Internet checksum, made here a second time so that the core is not judged by itself."""
    total = sum(data[0::2]) * 256 + sum(data[1::2])
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return 0xFFFF - total


def start_of_advert(frame: bytes | bytearray) -> int:
    """Where the payload of an IP packet in this frame would begin."""
    if frame[12:14] == b"\x86\xdd":
        return 54
    return 14 + (frame[14] & 0x0F) * 4 if len(frame) > 14 else 34


def mend(frame: bytearray) -> None:
    """Make the checksums of the IPv4 header and of the advert right, where there is room for them."""
    start = start_of_advert(frame)
    if frame[12:14] == b"\x08\x00" and len(frame) >= 34:
        frame[24:26] = b"\0\0"
        frame[24:26] = ones_complement(bytes(frame[14:start])).to_bytes(2, "big")
    if len(frame) >= start + 36:
        frame[start + 6 : start + 8] = b"\0\0"
        frame[start + 6 : start + 8] = ones_complement(bytes(frame[start : start + 36])).to_bytes(2, "big")


# Offsets that mean something in Ethernet, IPv4, IPv6 and in an advert after either.
FIELDS = (
    0,
    6,
    12,
    13,
    14,
    15,
    16,
    17,
    18,
    19,
    20,
    21,
    22,
    23,
    24,
    34,
    35,
    36,
    37,
    38,
    39,
    42,
    50,
    54,
    55,
    56,
    57,
    59,
    62,
)
NASTY = (
    0,
    1,
    2,
    6,
    7,
    8,
    0x20,
    0x21,
    0x22,
    0x2F,
    0x31,
    0x40,
    0x44,
    0x45,
    0x46,
    0x4F,
    0x60,
    0x70,
    112,
    0x7F,
    0x80,
    254,
    255,
)


def change(frame: bytearray, kind: int, position: int, value: int, other: bytes) -> None:
    """One mutation.  Any numbers will do; they are brought into range."""
    length = len(frame)
    if kind == 0 and length:
        frame[position % length] ^= 1 << value % 8
    elif kind == 1 and length:
        frame[position % length] = value % 256
    elif kind == 2:
        field = FIELDS[position % len(FIELDS)]
        if field < length:
            frame[field] = NASTY[value % len(NASTY)]
    elif kind == 3:
        del frame[position % (length + 1) :]
    elif kind == 4:
        frame.extend(bytes([value % 256]) * (position % 40))
    elif kind == 5:
        cut = position % (length + 1)
        frame[cut:] = other[cut:]
    elif kind == 6:
        cut = position % (length + 1)
        frame[cut:cut] = other[: value % 9]
    elif kind == 7:
        start = position % (length + 1)
        del frame[start : start + value % 9]


class Mutator:
    """An endless source of hostile frames; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._corpus = corpus()

    def frame(self) -> bytes:
        """The next one: up to six mutations of a frame of the corpus; one of thirty is noise."""
        draw = self._random
        if draw.random() < 1 / 30:
            return bytes(draw.randrange(256) for _ in range(draw.randrange(120)))
        frame = bytearray(draw.choice(self._corpus))
        for _ in range(draw.randrange(1, 7)):
            change(frame, draw.randrange(8), draw.randrange(256), draw.randrange(256), draw.choice(self._corpus))
        if draw.random() < 0.5 and len(frame) > 14:
            mend(frame)
        return bytes(frame)


def authentic(config: Vhid, payload: bytes) -> bool:
    """Whether the digest is right, computed from the definition."""
    four = sorted(a.packed for a in config.v4)
    six = sorted(a.packed for a in config.v6)
    text = b"".join((b"\x02\x01", bytes([config.vhid]), *four, *six, payload[8:16]))
    return hmac.new(config.key, text, hashlib.sha1).digest() == payload[16:36]


def _frozen(value: Any) -> Any:
    if isinstance(value, deque):
        return tuple(value)
    return tuple(value.items()) if isinstance(value, dict) else value


_NOT_STATE = {"heard", "timers", "transmitter", "_addresses", "_node"}


def everything(node: Node) -> list[Any]:
    """All that a node and its vhids remember, but for the statistics: whatever attribute is added later is in it."""
    found: list[Any] = [node.demotion, node.settings, node._tell_demotion, len(node.machines)]
    for machine in node.machines:
        for part in (machine, machine.timers, machine.transmitter, machine._addresses):
            found.extend(_frozen(value) for name, value in vars(part).items() if name not in _NOT_STATE)
    return found


class Judge:
    """One node that lives through all of the frames it is given, its clock going on by a hundredth of a second each."""

    def __init__(self, *system: Any, seed: int = 1) -> None:
        self.system = system
        self.now = 1000.0
        self.outcomes: Counter[str] = Counter()
        settings = Settings(preempt=seed % 2, log=2)
        self.node = Node(personality(*system), settings, draw=random.Random(seed).getrandbits)
        for number, config in enumerate(VHIDS):
            machine = self.node.add(config, "em0", f"carp{number}" if self.node.personality.pseudo_interfaces else "")
            if number != seed % 5:
                machine.up(self.now)
        # The largest timer is 3 x 3 + 254/256 s; some have the role from the start, some do not.
        self.node.on_timer(self.now + 3.5)
        self.now += 4
        self._before = everything(self.node)

    def try_frame(self, frame: bytes, interface: str = "em0") -> None:
        """Give it to the frame parser, and what it makes of it, or guesses, to the decoder and to the node."""
        try:
            parsed = parse_frame(frame)
        except BadPacket:
            self.outcomes["no frame"] += 1
            start = start_of_advert(frame)
            family = Family.IPV6 if frame[12:14] == b"\x86\xdd" else Family.IPV4
            self.try_payload(frame[start:], family, frame[22] if len(frame) > 22 else 0, interface)
        else:
            self.outcomes["frame"] += 1
            assert frame.find(parsed.payload) >= 0
            self.try_payload(parsed.payload, Family(parsed.source.version), parsed.ttl, interface)

    def try_payload(self, payload: bytes, family: Family, ttl: int, interface: str = "em0") -> None:
        """Give the bytes behind an IP header to the decoder and to the node."""
        try:
            decode(payload)
        except BadPacket:
            self.outcomes["no advert"] += 1
        else:
            self.outcomes["advert"] += 1
        self.now += 0.01
        accepted = self._accepted()
        deadline = self.node.deadline()
        if deadline is not None and deadline <= self.now:
            self.node.on_timer(self.now)
            self._before = everything(self.node)
        actions = self.node.receive(payload, family, self.now, interface=interface, ttl=ttl)
        after = everything(self.node)
        if self._accepted() == accepted:
            self.outcomes["refused"] += 1
            assert after == self._before, "a packet that was not accepted changed something"
            assert all(isinstance(action, Log) and action.level == "debug" for action in actions)
            return
        self.outcomes["accepted"] += 1
        machine = self._addressee(payload, interface)
        assert machine is not None
        assert ones_complement(payload[:36]) == 0
        assert payload[0] >> 4 == 2
        assert authentic(machine.config, payload), "a packet without the right digest was accepted"
        assert machine.state in State
        self._before = after

    def _accepted(self) -> int:
        return sum(machine.heard.accepted for machine in self.node.machines)

    def _addressee(self, payload: bytes, interface: str) -> Machine | None:
        return next((m for m in self.node.machines if m.config.vhid == payload[1] and interface == m.parent), None)
