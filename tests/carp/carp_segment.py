"""A virtual Ethernet segment with a virtual clock, on which nodes of the protocol core hear each other."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Any

from hypothesis import settings

from bsdcarp.carp import Action, Family, Log, Machine, Node, SendAdvert, Settings, State, Vhid, personality

# A stall of the machine must not look like a slow example.
UNHURRIED = settings(deadline=None)
VIP = IPv4Address("192.0.2.10")
FREEBSD_RELEASES = ((6, 0), (7, 2), (9, 3), (10, 4), (11, 1), (12, 1), (14, 2), (15, 0))


def make_node(system: str = "freebsd", *release: int, seed: int = 1, **settings: Any) -> Node:
    return Node(personality(system, *release), Settings(**settings), draw=random.Random(seed).getrandbits)


def texts(actions: Iterable[Action]) -> list[str]:
    return [action.text for action in actions if isinstance(action, Log)]


def adverts(actions: Iterable[Action]) -> list[SendAdvert]:
    return [action for action in actions if isinstance(action, SendAdvert)]


class Host:
    """A node with its first machine, and everything that it was told to do."""

    def __init__(self, name: str, node: Node, group: int = 0) -> None:
        self.name = name
        self.node = node
        self.group = group
        self.plugged = True
        self.done: list[Action] = []

    @property
    def machine(self) -> Machine:
        return self.node.machines[0]

    @property
    def state(self) -> State:
        return self.machine.state

    @property
    def log(self) -> list[str]:
        return texts(self.done)


class Segment:
    """Delivers adverts after a delay, unless they are lost or the hosts are in different partitions."""

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.now = 1000.0
        self.hosts: dict[str, Host] = {}
        self.delay = (0.0001, 0.0001)
        self.loss = 0.0
        self.duplication = 0.0
        self._queue: list[tuple[float, int, str, str, SendAdvert]] = []
        self._number = itertools.count()

    def add(self, name: str, node: Node, *vhids: Vhid, parent: str = "em0") -> Host:
        host = self.hosts[name] = Host(name, node)
        for number, vhid in enumerate(vhids or (Vhid(1, v4=(VIP,)),)):
            node.add(vhid, parent, f"carp{number}" if node.personality.pseudo_interfaces else "")
        return host

    def start(self) -> None:
        for host in self.hosts.values():
            self.perform(host, host.node.interface_up(self.now, "em0"))

    def perform(self, host: Host, actions: Iterable[Action]) -> None:
        for action in actions:
            host.done.append(action)
            if isinstance(action, SendAdvert):
                self._transmit(host, action)

    def _transmit(self, sender: Host, advert: SendAdvert) -> None:
        for other in self.hosts.values():
            if other is sender or self.random.random() < self.loss:
                continue
            for _ in range(2 if self.random.random() < self.duplication else 1):
                when = self.now + self.random.uniform(*self.delay)
                heapq.heappush(self._queue, (when, next(self._number), sender.name, other.name, advert))

    def connected(self, one: Host, other: Host) -> bool:
        return one.plugged and other.plugged and one.group == other.group

    def last_delivery(self) -> float:
        return max((entry[0] for entry in self._queue), default=self.now)

    def observe(self) -> None:
        """Called whenever time has passed and before anything happens; a model puts its checks here."""

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            times = [d for d in (h.node.deadline() for h in self.hosts.values()) if d is not None]
            if self._queue:
                times.append(self._queue[0][0])
            upcoming = min(times, default=math.inf)
            if upcoming > end:
                break
            self.now = max(self.now, upcoming)
            self.observe()
            if self._queue and self._queue[0][0] <= self.now:
                _, _, sender, receiver, advert = heapq.heappop(self._queue)
                host = self.hosts[receiver]
                if self.connected(self.hosts[sender], host):
                    self.perform(
                        host, host.node.receive(advert.payload, advert.family, self.now, interface="em0", ttl=255)
                    )
                continue
            for host in self.hosts.values():
                self.perform(host, host.node.on_timer(self.now))
        self.now = end
        self.observe()

    def masters(self) -> list[str]:
        return [name for name, host in self.hosts.items() if host.state is State.MASTER]


def pair(
    system: str,
    *release: int,
    skews: tuple[int, int] = (0, 100),
    keys: tuple[bytes, bytes] = (b"testpass1",) * 2,
    **settings: Any,
) -> tuple[Segment, Host, Host]:
    """Two hosts of the same release, both up and settled for six seconds."""
    segment = Segment()
    for number, (name, skew, key) in enumerate(zip("ab", skews, keys, strict=True)):
        segment.add(
            name, make_node(system, *release, seed=number, **settings), Vhid(1, advskew=skew, key=key, v4=(VIP,))
        )
    segment.start()
    segment.run(6)
    return segment, segment.hosts["a"], segment.hosts["b"]


def forged(family: Family = Family.IPV4, **changes: Any) -> tuple[bytes, Family]:
    """An advert for vhid 1 that looks right in everything but its digest."""
    from bsdcarp.carp.packet import Advertisement, encode

    fields: dict[str, Any] = {"vhid": 1, "advskew": 0, "advbase": 1, "counter": 7, "digest": bytes(20)}
    return encode(Advertisement(**{**fields, **changes})), family
