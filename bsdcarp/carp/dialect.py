"""What depends on the protocol that a vhid speaks, apart from the state table and the timers, which do not.

CARP is the only dialect today.  VRRPv3, which FreeBSD 15 can speak instead, would be a second value of ``Dialect``: its
adverts carry centiseconds and a priority, a BACKUP waits for a multiple of the sender's interval, and nothing is
authenticated, yet roles, events and steps are the same.  Both protocols keep the version in the first four bits and
the vhid in the second byte, so a node can tell them apart before it knows anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bsdcarp.carp.packet import VERSION, Advertisement, check, decode
from bsdcarp.carp.state import Event, heard
from bsdcarp.carp.transmitter import Transmitter
from bsdcarp.carp.vhid import Protocol, Vhid

__all__ = ["CARP", "DIALECTS", "HELD_BACK", "Dialect", "seconds"]

# The least preferred advskew that can be configured, and less preferred than a demoted host's 240.
HELD_BACK = 254
# A large negative demotion makes an interval negative; the kernel then waits for one tick.
_TICK = 0.001


def seconds(advbase: int, advskew: int) -> float:
    """The kernel's struct timeval for a pair of settings: whole microseconds."""
    return max(_TICK, advbase + advskew * 1_000_000 // 256 / 1_000_000)


@dataclass(frozen=True)
class Dialect:
    """One protocol on the wire, as functions."""

    version: int
    """The upper half of the first byte."""
    interval: Callable[[Vhid, int], float]
    """(configuration, advskew in force) -> seconds from one advert to the next."""
    patience: Callable[[Vhid, bool], float]
    """(configuration, held back?) -> seconds without an advert after which a BACKUP takes over."""
    heard: Callable[[Vhid, int, Advertisement, bool], Event]
    """(configuration, advskew in force, valid advert, preempt) -> which event the advert is."""
    check: Callable[[bytes], None]
    """Raise BadPacket for what need not be looked at any further."""
    decode: Callable[[bytes], Advertisement]
    """Raise BadPacket and nothing else."""
    transmitter: Callable[..., Transmitter]
    """Makes what builds adverts and judges whether a received one is authentic."""


def _interval(config: Vhid, advskew: int) -> float:
    return seconds(config.advbase, advskew)


def _patience(config: Vhid, held_back: bool) -> float:
    # Two hosts that are both held back still differ by what they are configured as.
    return seconds(3 * config.advbase, config.advskew + (HELD_BACK if held_back else 0))


def _heard(config: Vhid, advskew: int, advert: Advertisement, preempt: bool) -> Event:
    return heard((config.advbase, advskew), advert.interval, preempt=preempt)


CARP = Dialect(VERSION, _interval, _patience, _heard, check, decode, Transmitter)
DIALECTS: Mapping[Protocol, Dialect] = {Protocol.CARP: CARP}
