"""What can be done with the vhids of the daemon: make, prepare, change, hand over, remove."""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from bsdcarp.carp import Node, personality
from bsdcarp.carpd.agenda import Agenda
from bsdcarp.carpd.errors import CarpdError, ParentMissing
from bsdcarp.carpd.host import spec
from bsdcarp.carpd.members import Member, Members
from bsdcarp.carpd.perform import Performer
from bsdcarp.carpd.presence import Presence

if TYPE_CHECKING:
    from ipaddress import IPv6Address

    from bsdcarp.carp import Settings
    from bsdcarp.carpd.config import VhidConfig
    from bsdcarp.carpd.host import Host
    from bsdcarp.carpd.loop import Loop
    from bsdcarp.carpd.observer import Observer
    from bsdcarp.carpd.reload import ChangeVhid

__all__ = ["Vhids"]

# Seconds until a vhid whose addresses could not be added has another try.
_AGAIN = 10.0


class Vhids:
    """The core's node, a ``Member`` for each of its machines, and what performs their actions."""

    def __init__(self, settings: Settings, loop: Loop, observer: Observer) -> None:
        self._loop = loop
        self._observer = observer
        self._by_hand = 0
        self.node = Node(personality("linux"), settings, draw=random.SystemRandom().getrandbits)
        self.members = Members()
        self.performer = Performer(loop, self.members, observer, touch=self._touch, failed=self.broken)
        self.performer.silent = self._silent
        self.agenda = Agenda(loop, self.members, self.performer.perform)
        self.host: Host | None = None
        """None while the daemon is not open."""
        self.prepared: Callable[[Member], None] = lambda _: None
        """Told that a vhid which could not work may run now."""

    @property
    def arpbalance(self) -> bool:
        """Whether the daemon answers ARP itself."""
        return bool(self.node.settings.arpbalance)

    def add(self, config: VhidConfig, host: Host) -> Member:
        """Make one, in INIT."""
        machine = self.node.add(config.core(), config.interface)
        presence = Presence(spec(config, arpbalance=self.arpbalance), host.kernel)
        member = Member(config, machine, presence, self._loop.now())
        self.members.add(member)
        return member

    def remove(self, member: Member) -> None:
        """Bow out, and leave nothing of it."""
        now = self._loop.now()
        member.cancel_timers()
        self.performer.perform(member.machine.stop(now))
        # While the presence is still known by this number: the next one may have the same.
        self.performer.finish()
        member.presence.remove()
        actions = self.node.remove(member.machine, now)
        self.performer.perform(actions)
        self.members.drop(member)

    def change(self, step: ChangeVhid) -> None:
        """Other values for the same vhid.  A MASTER stays MASTER and keeps the addresses that both have."""
        member = self.members.get(*step.new.key)
        if member is None:
            return
        member.config = step.new
        now = self._loop.now()
        if step.in_place:
            self.performer.perform(member.machine.configure(now, **step.in_place))
        if step.addresses:
            # What waits in the line is about the old list.
            self.performer.finish()
            actions = member.machine.address_changed(now, v4=step.new.v4, v6=step.new.v6)
            try:
                member.presence.change(step.new.addresses)
            except CarpdError as error:
                self.performer.perform(actions)
                self.broken(member, error)
            else:
                self.performer.perform(actions)
        self.agenda.touch(member)

    def prepare(self, member: Member) -> bool:
        """Make it ready for the role of MASTER; if that fails it has to stay in INIT, and a finding says why."""
        before = str(member.trouble)
        try:
            member.presence.prepare()
        except CarpdError as error:
            member.trouble = error
            if str(error) != before:
                self._observer.log("warning", f"carp: {member.config.label}: {error}")
            return False
        member.trouble = None
        return True

    def broken(self, member: Member, error: CarpdError) -> None:
        """Its addresses cannot be added: somebody else shall be MASTER, until another try succeeds."""
        member.trouble = error
        self._observer.log("error", f"carp: {member.config.label}: {error}")
        if self.host is None:
            return
        self.performer.perform(member.machine.stop(self._loop.now()))
        self._try_again(member)

    def _try_again(self, member: Member) -> None:
        if member.retry is None:
            member.retry = self._loop.call_later(_AGAIN, lambda: self._retry(member))

    def _retry(self, member: Member) -> None:
        member.retry = None
        if self.prepare(member):
            self.performer.perform(member.machine.start(self._loop.now()))
            self.prepared(member)
        elif not isinstance(member.trouble, ParentMissing):
            self._try_again(member)

    def start_over(self, seconds: float) -> None:
        """The host slept for so long: where it was MASTER, somebody else is by now."""
        # The last advert was due up to one interval before; the others wait for three of them.
        late = [member for member in self.members if seconds > 2 * member.config.advbase]
        if not late:
            return
        self._observer.log("warning", f"carp: did not run for {seconds:.1f} s, so starting over as BACKUP")
        for member in late:
            self.performer.perform(member.machine.restart(self._loop.now()))
            self.agenda.touch(member)

    def set(self, changes: dict[str, int]) -> None:
        """Write host-wide settings."""
        self.performer.perform(self.node.set(self._loop.now(), **changes))
        self.agenda.touch(None)

    def demote(self, amount: int) -> None:
        """Add ``amount``, which may be negative, to the demotion."""
        self._by_hand += amount
        self.performer.perform(self.node.demote(amount, self._loop.now()))

    def undemote(self) -> int:
        """Take back all that ``demote`` added, and return it."""
        amount, self._by_hand = self._by_hand, 0
        if amount:
            self.performer.perform(self.node.demote(-amount, self._loop.now()))
        return amount

    def failover(self, vhid: int, interface: str | None, *, undo: bool) -> None:
        """Hand a vhid over to another host, or take part in the election again.  Raise LookupError with a text."""
        member = self._one(vhid, interface)
        machine, now = member.machine, self._loop.now()
        if undo and not machine.yielded:
            raise LookupError(f"vhid {vhid} on {member.config.interface} has not been handed over")
        self.performer.perform(machine.release(now) if undo else machine.yield_role(now))
        done = "takes part in the election again" if undo else "handed over by hand"
        self._observer.log("notice", f"carp: {member.config.label}: {done}")
        self.agenda.touch(member)

    def _one(self, vhid: int, interface: str | None) -> Member:
        found = [m for m in self.members.with_vhid(vhid) if interface is None or m.config.interface == interface]
        if not found:
            raise LookupError(f"vhid {vhid} is not configured" + (f" on {interface}" if interface else ""))
        if len(found) > 1:
            names = ", ".join(member.config.interface for member in found)
            raise LookupError(f"vhid {vhid} is on {names}: name the interface")
        return found[0]

    def _touch(self, member: Member | None) -> None:
        self.agenda.touch(member)

    def _silent(self, member: Member, address: IPv4Address | IPv6Address) -> bool:
        """Whether others share the address: announcing it would lead all clients to one MAC."""
        if not self.arpbalance or not isinstance(address, IPv4Address):
            return False
        return any(
            other is not member and address in other.config.v4 for other in self.members.on(member.config.interface)
        )
