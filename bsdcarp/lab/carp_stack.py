"""The CARP of a simulated kernel, the part that both eras share: sysctls, packets in and out, and the kernel log."""

from __future__ import annotations

import errno
import random
from abc import ABC, abstractmethod
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from bsdcarp import carp
from bsdcarp.lab.errnos import kernel_error
from bsdcarp.lab.interface import Address, Interface
from bsdcarp.lab.segment import ArpFrame, CarpFrame

if TYPE_CHECKING:
    from bsdcarp.lab.kernel import Kernel

__all__ = ["CarpStack", "split"]

_LINK_DELAY = 0.0001
# sysctl name -> field of Settings
_SETTINGS = {
    "allow": "allow",
    "preempt": "preempt",
    "log": "log",
    "arpbalance": "arpbalance",
    "dscp": "dscp",
    "ifdown_demotion_factor": "ifdown_factor",
    "senderr_demotion_factor": "senderr_factor",
}


class CarpStack(ABC):
    """CARP as one kernel runs it.  ``node`` is the protocol core; this class performs what the core asks for."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.node = carp.Node(
            carp.personality("freebsd", *kernel.release.version),
            carp.Settings(),
            # Not for secrecy: the same lab should give the same packets.
            draw=random.Random(f"{kernel.host} {kernel.boots}").getrandbits,  # noqa: S311  # counters of a simulation
        )

    @property
    def now(self) -> float:
        return self.kernel.clock.now()

    def value(self, oid: str) -> int:
        """Read the sysctl ``net.inet.carp.<oid>``."""
        if oid in {"demotion", "suppress_preempt"}:
            return self.node.demotion
        return int(getattr(self.node.settings, _SETTINGS[oid]))

    def write(self, oid: str, value: int) -> None:
        """Write a sysctl; ``demotion`` adds.  Raises OSError (EINVAL) for a dscp out of range."""
        if oid == "demotion":
            self.perform(self.node.demote(value, self.now))
        elif oid == "dscp" and not (0 <= value <= 63):
            raise kernel_error(errno.EINVAL)
        else:
            self.perform(self.node.set(self.now, **{_SETTINGS[oid]: value}))

    def deadline(self) -> float | None:
        return self.node.deadline()

    def on_timer(self, now: float) -> None:
        self.perform(self.node.on_timer(now), in_command=False)

    def receive(self, interface: Interface, frame: CarpFrame) -> None:
        """Take an advertisement that arrived on ``interface``."""
        heard = self.node.receive(frame.payload, frame.family, self.now, interface=interface.name, ttl=frame.ttl)
        self.perform(heard, in_command=False)

    def perform(self, actions: Iterable[carp.Action], *, in_command: bool = True) -> None:
        """Do what the protocol core asks for, in order.

        Link states are logged by a task queue (if.c), which interrupts a system call, but not a timer or a packet.
        """
        for action in actions:
            if isinstance(action, carp.SendAdvert):
                frame = CarpFrame(action.payload, action.family, str(action.destination))
                self.kernel.transmit(action.interface, frame)
            elif isinstance(action, carp.SendGratuitousArp):
                mac = ":".join(f"{octet:02x}" for octet in carp.virtual_mac(action.vhid))
                self.kernel.transmit(action.interface, ArpFrame(action.address, mac, action.address))
            elif isinstance(action, carp.Log):
                self._log(action.text, later=action.level == "notice" and not in_command)

    def _log(self, line: str, *, later: bool) -> None:
        if later and self.kernel.user_land:
            self.kernel.later(_LINK_DELAY, lambda: self.kernel.log(line))
        else:
            self.kernel.log(line)

    @abstractmethod
    def link_changed(self, interface: Interface, *, was: bool) -> None:
        """React to ``interface`` having gained or lost carrier, or having been set up or down."""

    @abstractmethod
    def renamed(self, interface: Interface, old: str) -> None:
        """Follow an interface that was called ``old`` until now."""

    @abstractmethod
    def roles(self) -> dict[str, str]:
        """Return label -> state of every vhid, for instance ``{"1@em0": "MASTER"}``."""

    @abstractmethod
    def busy(self) -> bool:
        """Say whether the module refuses to be unloaded."""

    @abstractmethod
    def answer(self, interface: Interface, target: IPv4Address, client: IPv4Address) -> int | None:
        """Return the vhid whose virtual MAC answers an ARP request that ``client`` sent for ``target`` here."""


def split(addresses: Iterable[Address]) -> tuple[tuple[IPv4Address, ...], tuple[IPv6Address, ...]]:
    """Sort addresses into the ``v4`` and ``v6`` that the protocol core wants."""
    ips = [address.ip for address in addresses]
    four = tuple(ip for ip in ips if isinstance(ip, IPv4Address))
    return four, tuple(ip for ip in ips if isinstance(ip, IPv6Address))
