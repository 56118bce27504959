"""What the daemon's edge makes of hostile frames: its port's frame parser, its ARP parser, its look at VRRP."""

from __future__ import annotations

import random
import struct
import sys

import pytest
from hostile import V4, Mutator, change, corpus
from hypothesis import given, settings
from hypothesis import strategies as st

from bsdcarp.carp import Family
from bsdcarp.carp.frames import gratuitous_arp

if sys.platform != "linux":
    pytest.skip("the daemon's edge is Linux only", allow_module_level=True)

from bsdcarp.carpd.badpackets import is_vrrp
from bsdcarp.carpd.packets import Arrival, Port
from bsdcarp.carpd.responder import parse_request, reply

FRAMES = 10_000


def port() -> Port:
    """Without a socket: taking frames apart needs none."""
    made = object.__new__(Port)
    made.damaged = 0
    return made


def look(edge: Port, frame: bytes) -> Arrival | None:
    arrival = edge._open(frame)
    if arrival is not None:
        assert arrival.payload in frame
        assert arrival.family is Family(arrival.source.version) is Family(arrival.destination.version)
        assert 0 <= arrival.ttl <= 255
        assert isinstance(is_vrrp(arrival), bool)
    return arrival


def test_the_port_opens_what_is_an_advert_and_counts_the_rest() -> None:
    mutator, edge = Mutator(5), port()
    opened = sum(look(edge, mutator.frame()) is not None for _ in range(FRAMES))
    assert opened + edge.damaged == FRAMES
    assert min(opened, edge.damaged) > FRAMES / 10
    assert all(look(edge, frame) is not None for frame in corpus()[:20])


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_the_port_survives_noise(noise: bytes) -> None:
    edge = port()
    for frame in (noise, bytes(12) + b"\x08\x00" + noise, bytes(12) + b"\x86\xdd" + noise):
        look(edge, frame)


def test_only_an_arp_request_is_a_request() -> None:
    chance, asked, others = random.Random(3), 0, corpus()
    gratuitous = gratuitous_arp(V4, b"\x02" + bytes(5))
    assert parse_request(gratuitous) is None
    request = gratuitous[:28] + (V4 + 99).packed + gratuitous[32:]
    assert parse_request(request) is not None
    for _ in range(FRAMES):
        frame = bytearray(request)
        for _ in range(chance.randrange(4)):
            change(frame, chance.randrange(8), chance.randrange(60), chance.randrange(256), chance.choice(others))
        found = parse_request(bytes(frame))
        if found is not None:
            asked += 1
            assert struct.unpack_from("!HHHBBH", frame, 12) == (0x0806, 1, 0x0800, 6, 4, 1)
            assert found.target.packed == bytes(frame[38:42])
            assert len(reply(found, 7)) >= 42
    assert FRAMES / 10 < asked < FRAMES


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_the_arp_parser_survives_noise(noise: bytes) -> None:
    parse_request(noise)
    parse_request(bytes(12) + b"\x08\x06" + noise)
