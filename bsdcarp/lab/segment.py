"""The wires of the lab: segments that carry frames between machines, with loss, partitions and cut cables for tests."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bsdcarp.carp import Family
from bsdcarp.lab.clock import Clock, ManualClock, MonotonicClock
from bsdcarp.lab.network import Network
from bsdcarp.lab.nic import Nic

if TYPE_CHECKING:
    from ipaddress import IPv4Address

__all__ = [
    "ArpFrame",
    "CarpFrame",
    "Clock",
    "Frame",
    "ManualClock",
    "MonotonicClock",
    "Network",
    "Segment",
    "Station",
]

LATENCY = 0.0002
"""Seconds a frame is under way; more than nothing, so that a sender finishes its step before the answer arrives."""


@dataclass(frozen=True, slots=True)
class CarpFrame:
    """One advertisement: ``payload`` is what follows the IP header, ``destination`` the group or a unicast peer."""

    payload: bytes
    family: Family
    destination: str
    ttl: int = 255


@dataclass(frozen=True, slots=True)
class ArpFrame:
    """An ARP packet; a gratuitous one is a request whose sender asks for its own address (RFC 5227, section 3)."""

    sender_ip: IPv4Address
    sender_mac: str
    target_ip: IPv4Address
    request: bool = True


Frame = CarpFrame | ArpFrame


class Station(Protocol):
    """What a segment needs of a machine."""

    @property
    def name(self) -> str: ...

    def receive(self, nic: str, tag: int | None, frame: Frame) -> None:
        """Take a frame that arrived on the card ``nic``, with its VLAN tag."""


class Segment:
    """One broadcast domain per VLAN, to which any number of network cards is connected."""

    def __init__(self, network: Network, name: str) -> None:
        self.name = name
        self.loss = 0.0
        self.drop: Callable[[str, str, Frame], bool] = lambda _sender, _receiver, _frame: False
        """Called with the names of sender and receiver and the frame; true loses this frame."""
        self._network = network
        self._ports: list[tuple[Station, Nic]] = []
        self._unplugged: set[tuple[str, str]] = set()
        self._islands: tuple[frozenset[str], ...] = ()
        self._dice = random.Random(f"loss on {name}")  # noqa: S311  # a simulation, repeatable on purpose

    def connect(self, station: Station, nic: Nic) -> None:
        """Plug a card into the segment."""
        self._ports.append((station, nic))

    def plug(self, station: str, nic: str, *, connected: bool) -> None:
        """Pull or plug a cable; the machine is told by its owner, not here."""
        (self._unplugged.discard if connected else self._unplugged.add)((station, nic))

    def partition(self, *islands: Iterable[str]) -> None:
        """Let frames pass only between machines named in the same island; machines in none are alone."""
        self._islands = tuple(frozenset(island) for island in islands)

    def heal(self) -> None:
        """Undo :meth:`partition`, and lose nothing any more."""
        self._islands = ()
        self.loss = 0.0
        self.drop = lambda _sender, _receiver, _frame: False

    def transmit(self, sender: Station, nic: Nic, tag: int | None, frame: Frame) -> None:
        """Send a frame from a card to every other card of its VLAN."""
        if (sender.name, nic.name) in self._unplugged:
            return
        vlan = nic.vlan if tag is None else tag
        for station, port in self._ports:
            if (station is sender and port.name == nic.name) or self._lost(sender.name, station.name, frame):
                continue
            if port.vlan == vlan:
                self._deliver(station, port.name, None, frame)
            elif vlan is not None:
                self._deliver(station, port.name, vlan, frame)

    def stations(self) -> Sequence[Station]:
        """Return the machines connected here."""
        return tuple(station for station, _nic in self._ports)

    def _deliver(self, station: Station, nic: str, tag: int | None, frame: Frame) -> None:
        def arrive() -> None:
            if (station.name, nic) not in self._unplugged:
                station.receive(nic, tag, frame)

        self._network.schedule(LATENCY, arrive)

    def _lost(self, sender: str, receiver: str, frame: Frame) -> bool:
        apart = bool(self._islands) and not any(sender in island and receiver in island for island in self._islands)
        return apart or self._dice.random() < self.loss or self.drop(sender, receiver, frame)
