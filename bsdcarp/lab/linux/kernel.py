"""One simulated Linux kernel: interfaces, addresses, /proc/sys, and the packets that a daemon sends and hears."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Protocol

from bsdcarp.lab.clock import Clock
from bsdcarp.lab.interface import link_local
from bsdcarp.lab.linux.links import InterfaceIp, Link
from bsdcarp.lab.linux.proc import Proc
from bsdcarp.lab.nic import Nic
from bsdcarp.lab.segment import ArpFrame, CarpFrame, Frame

__all__ = ["LinuxKernel", "Listener"]


class Listener(Protocol):
    """The daemon: it hears adverts, is told of carriers, and has timers."""

    def hear(self, interface: str, frame: CarpFrame) -> None: ...

    def carrier(self, interface: str) -> None: ...

    def deadline(self) -> float | None: ...

    def on_timer(self, now: float) -> None: ...

    def roles(self) -> dict[str, str]: ...


class LinuxKernel:
    """``transmit`` hands a frame to a card.  All calls come under the lock of the network."""

    def __init__(self, *, clock: Clock, proc: Proc, transmit: Callable[[Nic, int | None, Frame], None]) -> None:
        self.clock = clock
        self.proc = proc
        self.links: dict[str, Link] = {}
        self.daemons: list[Listener] = []
        self.gateway: IPv4Address | None = None
        self._transmit = transmit
        self._next_index = 1
        self.loopback = self._add(Link("lo", self._index(), "loopback", mtu=65536))

    # -- interfaces -----------------------------------------------------------------------------------------------

    def attach(self, nic: Nic, *, link: bool) -> Link:
        """Attach the driver of a network card."""
        return self._add(Link(nic.name, self._index(), "ether", nic.ether, nic=nic, link=link))

    def add_vlan(self, name: str, parent: Link, tag: int) -> Link:
        """Make a VLAN interface on ``parent``."""
        made = Link(name, self._index(), "vlan", parent.ether, nic=parent.nic, tag=tag, parent=parent.name)
        made.link = parent.operational
        return self._add(made)

    def add_macvlan(self, name: str, parent: Link, ether: str, alias: str) -> Link:
        """Make a private macvlan on ``parent``; it is down."""
        made = Link(name, self._index(), "macvlan", ether, nic=parent.nic, tag=parent.tag, parent=parent.name)
        made.alias, made.link = alias, parent.operational
        return self._add(made)

    def remove(self, name: str) -> None:
        """Delete an interface."""
        del self.links[name]
        self.proc.remove_interface(name)

    def set_up(self, link: Link, *, up: bool) -> None:
        """Set an interface up or down, and tell those above it."""
        if link.up == up:
            return
        link.up = up
        if not up:
            # IPv6 addresses do not survive (net.ipv6.conf.*.keep_addr_on_down is 0), IPv4 addresses do.
            link.addresses = [address for address in link.addresses if address.version == 4]
        elif link.kind == "loopback":
            link.addresses += [IPv4Interface("127.0.0.1/8"), IPv6Interface("::1/128")]
        elif link.kind != "macvlan":
            self._link_local(link)
        self._follow(link)

    def set_carrier(self, nic: Nic, *, link: bool) -> None:
        """Take or give a card its carrier."""
        for each in list(self.links.values()):
            if each.nic == nic and each.kind == "ether":
                each.link = link
                self._follow(each)

    def _follow(self, below: Link) -> None:
        for above in [link for link in self.links.values() if link.parent == below.name]:
            above.link = below.operational
            self._follow(above)
        for daemon in tuple(self.daemons):
            daemon.carrier(below.name)

    def _link_local(self, link: Link) -> None:
        if self.proc.get(f"net/ipv6/conf/{link.name}/disable_ipv6") == "0":
            address = IPv6Interface((link_local(link.ether), 64))
            if address not in link.addresses:
                link.addresses.append(address)

    def _add(self, link: Link) -> Link:
        self.links[link.name] = link
        self.proc.add_interface(link.name)
        return link

    def _index(self) -> int:
        index, self._next_index = self._next_index, self._next_index + 1
        return index

    # -- addresses ------------------------------------------------------------------------------------------------

    def add_address(self, link: Link, address: InterfaceIp, *, nodad: bool = False) -> None:
        """Add an address; FileExistsError when it is there."""
        if address in link.addresses:
            raise FileExistsError(str(address))
        link.addresses.append(address)
        if nodad:
            link.nodad.add(address.ip)

    def remove_address(self, link: Link, address: InterfaceIp) -> None:
        """Remove an address; KeyError when it is not there."""
        if address not in link.addresses:
            raise KeyError(str(address))
        link.addresses.remove(address)

    def holder(self, ip: IPv4Address | IPv6Address) -> Link | None:
        """Find the interface that has an address and is up."""
        return next((link for link in self.links.values() if link.up and link.find(ip) is not None), None)

    def arp_answer(self, nic: str, target: IPv4Address, client: IPv4Address) -> str | None:
        """Return the Ethernet address that answers an ARP request heard on a card, or None for silence.

        A macvlan answers for its own addresses with its own address; with arp_ignore=1 nobody else does.
        """
        del client
        answering = self.holder(target)
        if answering is None or answering.nic is None or answering.nic.name != nic or not answering.operational:
            return None
        return answering.ether

    # -- packets --------------------------------------------------------------------------------------------------

    def transmit(self, interface: str, frame: Frame) -> None:
        """Send a frame out of an interface; it is lost when that is down."""
        link = self.links.get(interface)
        if link is not None and link.operational and link.nic is not None:
            self._transmit(link.nic, link.tag, frame)

    def receive(self, nic: str, tag: int | None, frame: Frame) -> None:
        """Take a frame from a card."""
        if isinstance(frame, ArpFrame):
            return
        for link in list(self.links.values()):
            if link.kind == "macvlan" or link.nic is None or (link.nic.name, link.tag) != (nic, tag):
                continue
            if link.operational and self._is_for_us(link, frame.destination):
                for daemon in tuple(self.daemons):
                    daemon.hear(link.name, frame)

    def _is_for_us(self, link: Link, destination: str) -> bool:
        return destination in {"224.0.0.18", "ff02::12"} or any(
            str(address.ip) == destination for address in link.addresses
        )

    # -- what the host asks ---------------------------------------------------------------------------------------

    def roles(self) -> dict[str, str]:
        """Return label -> role of every vhid of every daemon."""
        return {label: role for daemon in self.daemons for label, role in daemon.roles().items()}

    def deadline(self) -> float | None:
        return min(_times(self.daemons), default=None)

    def on_timer(self, now: float) -> None:
        for daemon in tuple(self.daemons):
            daemon.on_timer(now)


def _times(daemons: Iterable[Listener]) -> list[float]:
    return [deadline for daemon in daemons if (deadline := daemon.deadline()) is not None]
