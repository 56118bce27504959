"""The parent interfaces of the daemon: what their coming, going and failing means for the vhids, and what they hear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bsdcarp.carpd.badpackets import BadPackets
from bsdcarp.carpd.errors import CarpdError, ParentMissing
from bsdcarp.carpd.segment import Segment

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from bsdcarp.carpd.loop import Loop
    from bsdcarp.carpd.members import Member
    from bsdcarp.carpd.observer import Observer
    from bsdcarp.carpd.packets import Arrival, Port
    from bsdcarp.carpd.rtnl.messages import Link
    from bsdcarp.carpd.vhids import Vhids

__all__ = ["Segments"]


class Segments:
    """All of them by name.  A segment stays while its interface is away, as long as it has vhids."""

    def __init__(self, vhids: Vhids, loop: Loop, observer: Observer) -> None:
        self._vhids = vhids
        self._loop = loop
        self._observer = observer
        self.all: dict[str, Segment] = {}
        self.bad = BadPackets(observer.log)
        vhids.performer.port = self._port
        vhids.performer.lost = self._lost
        vhids.prepared = self._prepared

    def begin(self, interface: str, link: Link | None) -> None:
        """Attach to an interface, which may be missing at the moment; nothing to do if that was done."""
        if interface not in self.all:
            segment = Segment(interface, self._loop, heard=self._heard, lost=self._lost)
            segment.members = lambda: self._vhids.members.on(interface)
            self.all[interface] = segment
            self.linked(segment, link)

    def join(self, member: Member) -> None:
        """A vhid is new where others are already."""
        segment = self.all[member.config.interface]
        if segment.index and self._vhids.prepare(member):
            self._carry(segment)
        else:
            if not segment.index:
                member.trouble = ParentMissing(segment.name)
            self._vhids.performer.perform(member.machine.down(self._loop.now()))

    def prune(self) -> None:
        """Leave the interfaces on which there are no vhids any more."""
        for name in [name for name, segment in self.all.items() if not segment.members()]:
            self.all.pop(name).detach()

    def close(self) -> None:
        """Leave all of them."""
        for segment in self.all.values():
            segment.detach()

    def balance(self) -> None:
        """Answer ARP, or leave it to the kernel, as it is set now."""
        for segment in self.all.values():
            try:
                segment.balance(arpbalance=self._vhids.arpbalance)
            except (CarpdError, OSError) as error:
                self._observer.log("error", f"{segment.name}: ARP cannot be answered: {error}")

    def linked(self, segment: Segment, link: Link | None) -> None:
        """The parent interface is there, or changed, or (None) gone."""
        if link is None or (segment.index and segment.index != link.index):
            self._gone(segment)
        if link is None:
            return
        if not segment.index:
            if self._attach(segment, link):
                self.choose_sources()
                self._carry(segment)
            return
        again = [self._vhids.prepare(member) for member in segment.members() if self._is_waiting(member)]
        if segment.usable != link.usable or any(again):
            segment.usable = link.usable
            self._carry(segment)

    def choose_sources(self) -> None:
        """The addresses of the machine are others than before, or those of the vhids."""
        host = self._vhids.host
        if host is None:
            return
        addresses = host.route.addresses()
        vips: set[IPv4Address | IPv6Address] = set()
        for member in self._vhids.members:
            vips.update(member.config.v4)
            vips.update(member.config.v6)
        for segment in self.all.values():
            segment.choose_sources(addresses, vips)

    @staticmethod
    def _is_waiting(member: Member) -> bool:
        return not member.presence.prepared and member.retry is None

    def _attach(self, segment: Segment, link: Link) -> bool:
        try:
            segment.attach(link, arpbalance=self._vhids.arpbalance)
        except (CarpdError, OSError) as error:
            self._observer.log("error", f"{segment.name}: {error}")
            self._gone(segment)
            return False
        for member in segment.members():
            self._vhids.prepare(member)
        return True

    def _gone(self, segment: Segment) -> None:
        """The interface does not exist, and with it went the macvlans."""
        segment.detach()
        vhids = self._vhids
        vhids.performer.perform(vhids.node.interface_down(self._loop.now(), segment.name))
        vhids.performer.finish()
        for member in segment.members():
            member.presence.remove()
            member.trouble = ParentMissing(segment.name)
            vhids.agenda.touch(member)

    def _lost(self, interface: str) -> None:
        """A socket says that the interface is gone; netlink will say the same, or that it is back."""
        segment = self.all.get(interface)
        if segment is not None and segment.port is not None:
            self._gone(segment)

    def _prepared(self, member: Member) -> None:
        self._carry(self.all[member.config.interface])

    def _carry(self, segment: Segment) -> None:
        """Tell the machines whether they may run."""
        vhids, now = self._vhids, self._loop.now()
        if segment.usable:
            for member in segment.members():
                machine = member.machine
                vhids.performer.perform(machine.up(now) if member.trouble is None else machine.down(now))
        else:
            vhids.performer.perform(vhids.node.interface_down(now, segment.name))
        for member in segment.members():
            vhids.agenda.touch(member)

    def _port(self, interface: str) -> Port | None:
        segment = self.all.get(interface)
        return segment.port if segment is not None and segment.usable else None

    def _heard(self, segment: Segment, arrivals: Sequence[Arrival]) -> None:
        vhids, name = self._vhids, segment.name
        for arrival in arrivals:
            now, payload = self._loop.now(), arrival.payload
            actions = vhids.node.receive(payload, arrival.family, now, interface=name, ttl=arrival.ttl)
            if actions:
                vhids.performer.perform(actions)
            member = vhids.members.get(name, payload[1]) if len(payload) > 1 else None
            if member is not None:
                vhids.agenda.touch(member)
                vhids.performer.heard(member)
                self.bad.look(arrival, member, vhids.node, now)
