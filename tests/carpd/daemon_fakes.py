"""Daemons on a segment that exists only here: real core, real daemon, no kernel, and time that the test moves.

What is faked are the edges alone: ports hand their adverts to the other ports, presences only remember.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from bsdcarp.carp import Family, SendAdvert
from bsdcarp.carpd import daemon as daemon_module
from bsdcarp.carpd import segment as segment_module
from bsdcarp.carpd import vhids as vhids_module
from bsdcarp.carpd.config import Config, Interface
from bsdcarp.carpd.daemon import Daemon
from bsdcarp.carpd.errors import CarpdError, PortLost, SendError
from bsdcarp.carpd.loop import Loop
from bsdcarp.carpd.observer import Change, Observer
from bsdcarp.carpd.packets import Arrival
from bsdcarp.carpd.presence import Spec
from bsdcarp.carpd.rtnl.messages import Address, Link
from bsdcarp.carpd.rtnl.monitor import Event, Everything, LinkEvent

REAL_MAC = b"\x02\0\0\0\0\x01"


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time

    boottime = monotonic


class VirtualLoop(Loop):
    """Does not wait: ``work`` does what is due at the clock's time and says whether that was anything."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.watched: dict[Any, Callable[[], None]] = {}

    def watch(self, fileobj: Any, callback: Callable[[], None], *, writing: bool = False) -> None:
        self.watched[fileobj] = callback

    def unwatch(self, fileobj: Any) -> None:
        self.watched.pop(fileobj, None)

    def work(self) -> bool:
        busy = [callback for fileobj, callback in self.watched.items() if fileobj.queue]
        soon = len(self._soon)
        timers = self.next() is not None and self.next() <= self.now()  # type: ignore[operator]  # not None
        for callback in busy:
            callback()
        self._run_timers()
        for _ in range(len(self._soon)):
            self._soon.popleft()()
        return bool(busy or soon or timers)

    def next(self) -> float | None:
        self._patience(0)
        return self._timers[0].when if self._timers else None


class Port:
    world: World

    def __init__(self, interface: str) -> None:
        host = self.world.opening
        link = host.links.get(interface)
        if link is None:
            raise PortLost(interface)
        self.host, self.interface, self.index, self.mac = host, interface, link.index, link.mac
        self.queue: list[Arrival] = []
        self.sources: object = None
        self.error = 0
        self.lost = self.closed = False
        host.ports[interface] = self

    def send_advert(self, action: SendAdvert, mac: bytes) -> None:
        if self.lost:
            raise PortLost(self.interface)
        if self.error:
            raise SendError(self.interface, self.error)
        host = self.host
        host.said.append(("advert", action.advertisement.interval))
        address: IPv4Address | IPv6Address = IPv4Address(f"192.0.2.{100 + host.number}")
        if action.family is Family.IPV6:
            address = IPv6Address(f"fe80::{host.number}")
        self.world.carry(host, Arrival(action.payload, action.family, 255, address, action.destination, mac))

    def send_arp(self, address: IPv4Address, mac: bytes) -> None:
        self._announce(address)

    def send_na(self, address: IPv6Address, mac: bytes) -> None:
        self._announce(address)

    def _announce(self, address: IPv4Address | IPv6Address) -> None:
        if self.error:
            raise SendError(self.interface, self.error)
        self.host.said.append(("announce", address))

    def receive(self) -> tuple[Arrival, ...]:
        if self.lost:
            raise PortLost(self.interface)
        found, self.queue = tuple(self.queue), []
        return found

    def close(self) -> None:
        self.closed = True


class Presence:
    def __init__(self, spec: Spec, kernel: Host) -> None:
        self.spec, self.host = spec, kernel
        self.prepared = self.appeared = False
        self.notes: tuple[str, ...] = ()
        self.mac = b"\0\0\x5e\0\1" + bytes([spec.vhid])
        self.index = 1000 + spec.vhid

    def prepare(self) -> None:
        if self.host.refusal:
            raise self.host.refusal
        self.prepared = True

    def appear(self) -> None:
        if self.host.failure:
            raise self.host.failure
        if not self.appeared:
            self.host.said.append(("appear", tuple(str(each.ip) for each in self.spec.addresses)))
        self.appeared = True

    def vanish(self) -> None:
        if self.appeared:
            self.host.said.append(("vanish", tuple(str(each.ip) for each in self.spec.addresses)))
        self.appeared = False

    def remove(self) -> None:
        self.vanish()
        self.prepared = False

    def change(self, addresses: tuple[Interface, ...]) -> None:
        if self.host.failure:
            raise self.host.failure
        self.spec = Spec(self.spec.vhid, self.spec.interface, addresses)
        self.host.said.append(("change", tuple(str(each.ip) for each in addresses)))

    def follow(self) -> bool:
        self.host.said.append(("follow", self.spec.vhid))
        return True

    def restore(self) -> tuple[Interface, ...]:
        if self.host.failure:
            raise self.host.failure
        gone, self.host.stolen = self.host.stolen, ()
        return gone


class Responder:
    def __init__(self, interface: str) -> None:
        self.queue: list[Any] = []
        self.answers: list[tuple[Any, int]] = []
        self.closed = False
        Port.world.opening.responders.append(self)

    def receive(self) -> tuple[Any, ...]:
        found, self.queue = tuple(self.queue), []
        return found

    def answer(self, request: Any, vhid: int) -> None:
        self.answers.append((request, vhid))

    def close(self) -> None:
        self.closed = True


@dataclass(eq=False)
class Host(Observer):
    """A machine: the fake of host.Host, and the observer of its daemon."""

    number: int
    loop: VirtualLoop
    links: dict[str, Link] = field(default_factory=dict)
    ports: dict[str, Port] = field(default_factory=dict)
    responders: list[Responder] = field(default_factory=list)
    said: list[tuple[str, Any]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    calls: list[object] = field(default_factory=list)
    queue: list[Event] = field(default_factory=list)
    addresses_: tuple[Address, ...] = ()
    recovered: tuple[str, ...] = ()
    refusal: CarpdError | None = None
    failure: CarpdError | None = None
    stolen: tuple[Interface, ...] = ()
    deaf: bool = False
    wanted: Config | Exception | None = None
    daemon: Daemon = field(init=False)

    # The fake of host.Host; one object plays all its parts.
    @property
    def route(self) -> Host:
        return self

    kernel = monitor = route

    @property
    def everything(self) -> Everything:
        return Everything(tuple(self.links.values()), ())

    def link(self, which: str | int) -> Link | None:
        if isinstance(which, int):
            return Link(which, f"carp{which}", b"", True, True) if which >= 1000 else None
        return self.links.get(which)

    def addresses(self) -> tuple[Address, ...]:
        return self.addresses_

    def refresh(self) -> None:
        self.said.append(("refresh", None))

    def read(self) -> tuple[Event, ...]:
        found, self.queue = tuple(self.queue), []
        return found

    def close(self, presences: Iterable[Presence]) -> None:
        for presence in presences:
            presence.remove()
        self.said.append(("closed", None))

    # The observer.
    def log(self, level: str, text: str) -> None:
        self.lines.append(f"{level}: {text}")

    def changed(self, change: Change) -> None:
        self.changes.append(change)
        self.said.append(("told", change.new.value))

    def demoted(self, amount: int, total: int, reason: str) -> None:
        self.calls.append(("demoted", amount, total, reason))

    def ready(self) -> None:
        self.calls.append("ready")

    def reloading(self) -> None:
        self.calls.append("reloading")

    def reloaded(self, error: str | None) -> None:
        self.calls.append(("reloaded", error))

    def stopping(self) -> None:
        self.calls.append("stopping")

    # For tests.
    def states(self) -> list[str]:
        return [vhid.state.value for vhid in self.daemon.snapshot().vhids]

    def findings(self) -> list[str]:
        return [finding.text for finding in self.daemon.snapshot().findings]

    def set_link(self, name: str, *, index: int = 2, usable: bool = True, gone: bool = False) -> None:
        """Change an interface, and let netlink tell so."""
        link = Link(index, name, REAL_MAC, usable, usable)
        if gone:
            self.queue.append(LinkEvent(self.links.pop(name), new=False))
        else:
            self.links[name] = link
            self.queue.append(LinkEvent(link, new=True))

    def reload(self, config: Config | Exception) -> str | None:
        self.wanted = config
        return self.daemon.reload()

    def load(self) -> Config:
        if isinstance(self.wanted, Exception):
            raise self.wanted
        assert self.wanted is not None
        return self.wanted


class World:
    """The segment, with one clock for all hosts."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        self.hosts: list[Host] = []
        self.opening: Host
        Port.world = self
        patch.setattr(segment_module, "Port", Port)
        patch.setattr(segment_module, "Responder", Responder)
        patch.setattr(segment_module, "choose_sources", lambda addresses, vips: (tuple(addresses), frozenset(vips)))
        patch.setattr(vhids_module, "Presence", Presence)
        patch.setattr(daemon_module, "Host", lambda _: self.opening)

    def add(self, config: Config, *interfaces: str, opened: bool = True) -> Host:
        """A host with a daemon; its interfaces are up unless there are none."""
        host = Host(len(self.hosts) + 1, VirtualLoop(self.clock))
        for index, name in enumerate(interfaces or ("eth0",), 2):
            host.links[name] = Link(index, name, REAL_MAC, True, True)
        self.hosts.append(host)
        host.daemon = Daemon(config, run_directory="/nowhere", load=host.load, observer=host, loop=host.loop)
        if opened:
            self.open(host)
        return host

    def open(self, host: Host) -> None:
        self.opening = host
        host.daemon.open()

    def carry(self, sender: Host, arrival: Arrival) -> None:
        for host in self.hosts:
            port = host.ports.get("eth0")
            if host is not sender and port is not None and not port.closed and not host.deaf:
                port.queue.append(arrival)

    def settle(self) -> None:
        """Everything that is due now."""
        while any(self._work(host) for host in self.hosts):
            pass

    def _work(self, host: Host) -> bool:
        self.opening = host
        return host.loop.work()

    def pass_time(self, seconds: float) -> None:
        """Let it pass, with everything that happens meanwhile."""
        end = self.clock.time + seconds
        while True:
            self.settle()
            due = [when for when in (host.loop.next() for host in self.hosts) if when is not None]
            if not due or min(due) > end:
                break
            self.clock.time = max(self.clock.time, min(due))
        self.clock.time = end
        self.settle()
