"""What the core asks its surroundings to do.  Reading this file is learning the output side of the package.

Every call that feeds the core returns a tuple of these, to be performed in order.  They are plain values, so tests
compare them and a simulated kernel may drop those that it has no use for.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from bsdcarp.carp.frames import frame_v4, frame_v6, virtual_mac
from bsdcarp.carp.packet import Advertisement
from bsdcarp.carp.vhid import GROUP_V4, GROUP_V6, Family, State

__all__ = [
    "Action",
    "AddAddresses",
    "DemotionChanged",
    "LinkState",
    "Log",
    "RemoveAddresses",
    "SendAdvert",
    "SendGratuitousArp",
    "SendUnsolicitedNa",
    "StateChanged",
]


@dataclass(frozen=True)
class Action:
    """The root of all actions."""


@dataclass(frozen=True)
class _OfVhid(Action):
    vhid: int
    interface: str
    """The parent: where packets go out, em0 and never carp0."""


@dataclass(frozen=True)
class SendAdvert(_OfVhid):
    """Put one advert on the segment of ``interface``.  Report failures with ``Machine.send_result``."""

    family: Family
    advertisement: Advertisement
    payload: bytes
    """The 36 bytes after the IP header, ready to send."""
    destination: IPv4Address | IPv6Address
    """The multicast group, or the configured peer."""
    traffic_class: int
    """The TOS byte of this release; TTL or hop limit is always 255."""

    def frame(
        self,
        source: IPv4Address | IPv6Address,
        source_mac: bytes | None = None,
        destination_mac: bytes | None = None,
    ) -> bytes:
        """The whole Ethernet frame.  ``source_mac`` defaults to the virtual MAC; a peer's MAC has to be given."""
        mac = virtual_mac(self.vhid) if source_mac is None else source_mac
        if isinstance(source, IPv4Address):
            group = self.destination if isinstance(self.destination, IPv4Address) else GROUP_V4
            return frame_v4(
                self.payload, source, mac, destination=group, destination_mac=destination_mac, tos=self.traffic_class
            )
        group6 = self.destination if isinstance(self.destination, IPv6Address) else GROUP_V6
        return frame_v6(
            self.payload,
            source,
            mac,
            destination=group6,
            destination_mac=destination_mac,
            traffic_class=self.traffic_class,
        )


@dataclass(frozen=True)
class SendGratuitousArp(_OfVhid):
    """Announce that ``address`` is now at the virtual MAC of this vhid."""

    address: IPv4Address


@dataclass(frozen=True)
class SendUnsolicitedNa(_OfVhid):
    """Announce that ``address`` is now at the virtual MAC of this vhid."""

    address: IPv6Address


@dataclass(frozen=True)
class AddAddresses(_OfVhid):
    """The role is MASTER: start answering for these addresses too (a kernel adds their routes)."""

    v4: tuple[IPv4Address, ...]
    v6: tuple[IPv6Address, ...]


@dataclass(frozen=True)
class RemoveAddresses(_OfVhid):
    """Stop answering for these addresses, each of them added before.

    They are all that are left when the role is not MASTER any more, or some that the configuration lost meanwhile.
    """

    v4: tuple[IPv4Address, ...]
    v6: tuple[IPv6Address, ...]


@dataclass(frozen=True)
class StateChanged(_OfVhid):
    """The role changed; from FreeBSD 10 on devd hears "system CARP, subsystem 1@em0, type MASTER" of it."""

    label: str
    """"1@em0", or "carp0" up to FreeBSD 9."""
    old: State
    new: State
    reason: str
    """Why, in the words of FreeBSD 11 and newer, also where that release logs nothing."""


@dataclass(frozen=True)
class LinkState(_OfVhid):
    """Up to FreeBSD 9 the link state of carpN mirrors the role; devd hears "system IFNET, type LINK_UP" of it."""

    name: str
    """The pseudo interface, carp0."""
    state: str
    """UP for MASTER, DOWN for BACKUP, UNKNOWN for INIT.  devd and the log say DOWN for all but UP."""


@dataclass(frozen=True)
class DemotionChanged(Action):
    """The host's demotion (suppress_preempt up to FreeBSD 9) changed."""

    amount: int
    total: int
    reason: str


@dataclass(frozen=True)
class Log(Action):
    """One line of the kernel's log, in the wording of the release, without time stamp and newline."""

    text: str
    level: str = "info"
    """info, notice (link state) or debug (bad packets, with net.inet.carp.log=2)."""
