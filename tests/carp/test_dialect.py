"""The seam for another protocol: a toy with VRRPv3's header and centiseconds runs on the same table and timers.

The toy is no VRRP (it looks at no source address and its checksum has no pseudo-header); it shows that nothing but a
``Dialect`` has to be written for intervals below a second.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from typing import Any

from carp_segment import VIP, Segment

from bsdcarp.carp import (
    Advertisement,
    BadPacket,
    Family,
    Node,
    Protocol,
    Reason,
    SendAdvert,
    Settings,
    State,
    Vhid,
    personality,
)
from bsdcarp.carp.dialect import CARP, Dialect
from bsdcarp.carp.packet import checksum
from bsdcarp.carp.state import Event, heard
from bsdcarp.carp.transmitter import Transmitter
from bsdcarp.carp.vhid import GROUP_V4

HEADER = struct.Struct("!BBBBHH")


def check(payload: bytes) -> None:
    if len(payload) < HEADER.size:
        raise BadPacket(Reason.TOO_SHORT)
    if checksum(payload):
        raise BadPacket(Reason.BAD_CHECKSUM)


def decode(payload: bytes) -> Advertisement:
    check(payload)
    _, vhid, priority, _, centiseconds, _ = HEADER.unpack_from(payload)
    return Advertisement(vhid, 255 - priority, centiseconds, 0, b"")


class Unauthenticated(Transmitter):
    """Adverts of 12 bytes, without counter and digest."""

    def accepts(self, advert: Advertisement) -> bool:
        return True

    def adverts(self, config: Vhid, parent: str, interval: tuple[int, int], _class: int = 0) -> Iterator[SendAdvert]:
        centiseconds, advskew = interval
        body = b"".join(address.packed for address in config.v4)
        fields = (0x31, config.vhid, 255 - advskew, len(config.v4), centiseconds)
        total = checksum(HEADER.pack(*fields, 0) + body)
        payload = HEADER.pack(*fields, total) + body
        yield SendAdvert(config.vhid, parent, Family.IPV4, decode(payload), payload, GROUP_V4, 0xC0)


def classify(config: Vhid, advskew: int, advert: Advertisement, preempt: bool) -> Event:
    if advert.advskew == 255:  # priority 0: the MASTER stops
        return Event.HEARD_TOO_SLOW
    return heard((0, advskew), (0, advert.advskew), preempt=preempt)


TOY = Dialect(
    version=3,
    interval=lambda config, advskew: config.advbase / 100,
    patience=lambda config, held_back: config.advbase / 100 * (3 + config.advskew / 256),
    heard=classify,
    check=check,
    decode=decode,
    transmitter=Unauthenticated,
)


def make(seed: int, **settings: Any) -> Node:
    dialects = {Protocol.CARP: CARP, Protocol.VRRP3: TOY}
    return Node(personality("linux"), Settings(**settings), draw=random.Random(seed).getrandbits, dialects=dialects)


def test_a_dialect_with_centiseconds_takes_over_in_a_third_of_a_second() -> None:
    segment = Segment()
    for seed, (name, skew) in enumerate([("a", 0), ("b", 100)]):
        fast = Vhid(1, advbase=10, advskew=skew, v4=(VIP,), protocol=Protocol.VRRP3)
        slow = Vhid(2, advbase=1, advskew=skew, key=b"k", v4=(VIP + 1,))
        segment.add(name, make(seed), fast, slow)
    segment.start()
    segment.run(5)
    a, b = segment.hosts["a"], segment.hosts["b"]
    assert [m.state for m in a.node.machines] == [State.MASTER] * 2
    assert [m.state for m in b.node.machines] == [State.BACKUP] * 2
    a.plugged = False
    a.node.interface_down(segment.now, "em0")
    segment.run(0.35)
    # The CARP vhid beside it needs its three seconds.
    assert [m.state for m in b.node.machines] == [State.MASTER, State.BACKUP]
    segment.run(3.1)
    assert [m.state for m in b.node.machines] == [State.MASTER] * 2


def test_an_advert_in_the_other_dialect_is_a_bad_version() -> None:
    node = make(1, log=2)
    speaks_toy = node.add(Vhid(1, advbase=10, v4=(VIP,), protocol=Protocol.VRRP3), "em0")
    speaks_carp = node.add(Vhid(2, key=b"k", v4=(VIP,)), "em0")
    for machine in (speaks_toy, speaks_carp):
        machine.up(0.0)
    before = [(m.state, m.deadline()) for m in node.machines]
    (toy,) = Unauthenticated(node.personality, node.draw, speaks_carp.config).adverts(speaks_carp.config, "em0", (1, 0))
    (carp,) = Transmitter(node.personality, node.draw, speaks_toy.config).adverts(speaks_toy.config, "em0", (1, 0))
    for payload in (toy.payload, carp.payload):
        node.receive(payload, Family.IPV4, 1.0, interface="em0")
    assert node.statistics.carps_badver == 2
    assert [(m.state, m.deadline()) for m in node.machines] == before
