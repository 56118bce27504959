"""What the core wants done, done: adverts and log lines at once, everything that takes the kernel longer one by one.

Bringing 255 vhids up or down takes seconds on a small machine.  So addresses, announcements and the news about a change
wait in a line, in their order, of which only a few milliseconds' worth are done in a round of the loop.  Adverts
overtake them: a bow-out leaves before the addresses are touched, and nobody misses an advert meanwhile.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from bsdcarp.carp import (
    Action,
    AddAddresses,
    DemotionChanged,
    Log,
    RemoveAddresses,
    SendAdvert,
    SendGratuitousArp,
    SendUnsolicitedNa,
    StateChanged,
)
from bsdcarp.carp.transmitter import BOW_OUT
from bsdcarp.carpd.errors import CarpdError, PortLost, SendError
from bsdcarp.carpd.observer import Change

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from bsdcarp.carpd.loop import Loop, Timer
    from bsdcarp.carpd.members import Member, Members
    from bsdcarp.carpd.observer import Observer
    from bsdcarp.carpd.packets import Port

__all__ = ["Performer"]

# Seconds of a round that may go into the line.
_SHARE = 0.01
# After a bow-out the addresses stay until another host is heard as MASTER, but not longer than this: meanwhile clients
# still get answers, and the switch sends their frames to whoever advertised last.
_LINGER = 0.02
# What the last MASTER's kernel still sends with the virtual MAC (a multicast listener report, for instance) leads the
# switch back to it.  One more frame from here repairs that, so these many seconds after the first ones more are sent.
# The last one is for clients of a vhid without virtual MAC: Linux believes no other MAC for a second (neigh locktime).
_INSIST = (0.008, 0.02, 0.05, 0.15, 1.1)


@dataclass
class _Lingering:
    """What is to be done when the next MASTER is heard."""

    actions: list[Action]
    accepted: int
    """How many adverts had been heard at the bow-out."""
    timer: Timer


class Performer:
    """Performs actions in their order, but for adverts and log lines, which overtake, and a lone takeover."""

    def __init__(
        self,
        loop: Loop,
        members: Members,
        observer: Observer,
        *,
        touch: Callable[[Member | None], None],
        failed: Callable[[Member, CarpdError], None],
    ) -> None:
        self._loop = loop
        self._members = members
        self._observer = observer
        self._touch = touch
        """Told that the timers of this vhid, or of all (None), may have changed."""
        self._failed = failed
        """Told that the addresses of a vhid could not be added."""
        self._line: deque[Action] = deque()
        self._lingering: dict[tuple[str, int], _Lingering] = {}
        self._coming = False
        self.port: Callable[[str], Port | None] = lambda _: None
        """Gives the open port of an interface that is up and has its link, or None."""
        self.lost: Callable[[str], None] = lambda _: None
        """Told that the port of this interface is closed."""
        self.silent: Callable[[Member, IPv4Address | IPv6Address], bool] = lambda *_: False
        """Whether a vhid does not announce this address (arpbalance)."""

    @property
    def lingering(self) -> bool:
        """Whether addresses are still there although this host has bowed out."""
        return bool(self._lingering)

    def heard(self, member: Member) -> None:
        """A packet for this vhid came in.  If it was another MASTER's, nobody needs our addresses any more."""
        waiting = self._lingering.get(member.config.key)
        if waiting is not None and member.machine.heard.accepted > waiting.accepted:
            self._release(member.config.key)

    def perform(self, actions: Iterable[Action]) -> None:
        """Do what cannot wait, put the rest in the line, and begin with it."""
        actions = tuple(actions)
        news: list[StateChanged] = []
        bowed: set[tuple[str, int]] = set()
        for action in actions:
            if isinstance(action, StateChanged):
                self._note(action)
        given_up = self._hurry(actions)
        for action in actions:
            if isinstance(action, SendAdvert):
                if (action.interface, action.vhid) in given_up:
                    continue
                if self._advertise(action) and action.advertisement.interval == BOW_OUT:
                    bowed.add((action.interface, action.vhid))
            elif isinstance(action, Log):
                self._observer.log(action.level, action.text)
            elif isinstance(action, DemotionChanged):
                self._touch(None)
                self._observer.demoted(action.amount, action.total, action.reason)
            elif isinstance(action, StateChanged):
                news.append(action)
            elif isinstance(action, RemoveAddresses) and (action.interface, action.vhid) in bowed:
                self._linger(action)
            else:
                if isinstance(action, AddAddresses):
                    self._release((action.interface, action.vhid))
                self._line.append(action)
        for action in news:
            waiting = self._lingering.get((action.interface, action.vhid))
            # The news of a change come after its deeds.
            (self._line if waiting is None else waiting.actions).append(action)
        self._begin()

    def _hurry(self, actions: tuple[Action, ...]) -> set[tuple[str, int]]:
        """Let a new MASTER's addresses appear before its first advert; return those that could not.

        The advert turns the switch's frames to this host, so from then on it should answer.  This takes a millisecond,
        which nobody has to spare if many take over at the same time: then the adverts go first.
        """
        given_up: set[tuple[str, int]] = set()
        coming = next((action for action in actions if isinstance(action, AddAddresses)), None)
        if coming is None or self._line or self._lingering:
            return given_up
        key = (coming.interface, coming.vhid)
        member = self._members.get(*key)
        if member is not None:
            self._appear(member)
            if not member.is_master:
                given_up.add(key)
        return given_up

    def _linger(self, action: RemoveAddresses) -> None:
        key = (action.interface, action.vhid)
        member = self._members.get(*key)
        if member is None or key in self._lingering:
            self._line.append(action)
            return
        timer = self._loop.call_later(_LINGER, partial(self._release, key))
        self._lingering[key] = _Lingering([action], member.machine.heard.accepted, timer)

    def _release(self, key: tuple[str, int]) -> None:
        waiting = self._lingering.pop(key, None)
        if waiting is not None:
            waiting.timer.cancel()
            self._line.extend(waiting.actions)
            self._begin()

    def _begin(self) -> None:
        if self._line and not self._coming:
            self._coming = True
            self._loop.soon(self._work)

    def finish(self) -> None:
        """Do all that waits, however long it takes."""
        for key in tuple(self._lingering):
            self._release(key)
        while self._line:
            self._do(self._line.popleft())

    def _work(self) -> None:
        end = time.monotonic() + _SHARE
        while self._line:
            self._do(self._line.popleft())
            if time.monotonic() >= end:
                break
        self._coming = bool(self._line)
        if self._coming:
            self._loop.soon(self._work)

    def _note(self, action: StateChanged) -> None:
        # The state is the machine's at once; the news of it wait for the addresses.
        member = self._members.get(action.interface, action.vhid)
        if member is not None:
            member.since, member.reason = self._loop.now(), action.reason

    def _advertise(self, action: SendAdvert) -> bool:
        """Whether it left."""
        member = self._members.get(action.interface, action.vhid)
        port = self.port(action.interface)
        if member is None or port is None:
            # The interface is down: the core wants adverts of a demotion from there too, the kernel drops them.
            return False
        try:
            port.send_advert(action, member.presence.mac)
        except SendError as error:
            self.perform(member.machine.send_result(self._loop.now(), ok=False, error=error.errno))
        except PortLost:
            self.lost(action.interface)
        else:
            self.perform(member.machine.send_result(self._loop.now(), ok=True))
            return True
        return False

    def _do(self, action: Action) -> None:
        if not isinstance(action, (AddAddresses, RemoveAddresses, SendGratuitousArp, SendUnsolicitedNa, StateChanged)):
            return
        member = self._members.get(action.interface, action.vhid)
        if member is None:
            return
        if isinstance(action, AddAddresses):
            self._appear(member)
        elif isinstance(action, RemoveAddresses):
            self._vanish(member, action)
        elif isinstance(action, StateChanged):
            self._tell(member, action)
        else:
            self._announce(member, action)

    def _appear(self, member: Member) -> None:
        # It may have stepped down again while this waited, or have them already.
        if not member.is_master or member.presence.appeared:
            return
        try:
            member.presence.appear()
        except CarpdError as error:
            self._failed(member, error)
            return
        for delay in _INSIST:
            self._loop.call_later(delay, partial(self._insist, member, member.since))

    def _insist(self, member: Member, since: float) -> None:
        """Send any one announcement, unless the role has changed."""
        if member.is_master and member.since == since and member.presence.appeared:
            interface, vhid = member.config.key
            for v4 in member.config.v4[:1]:
                self._announce(member, SendGratuitousArp(vhid, interface, v4))
            for v6 in member.config.v6[:1]:
                self._announce(member, SendUnsolicitedNa(vhid, interface, v6))

    def _vanish(self, member: Member, action: RemoveAddresses) -> None:
        config = member.config
        if not {*action.v4, *action.v6} & {*config.v4, *config.v6}:
            # These few left the configuration, and the presence has let go of them then.
            return
        try:
            member.presence.vanish()
        except CarpdError as error:
            self._observer.log("error", f"the addresses of {member.config.label} could not be removed: {error}")

    def _announce(self, member: Member, action: SendGratuitousArp | SendUnsolicitedNa) -> None:
        port = self.port(action.interface)
        if port is None or not member.presence.appeared or self.silent(member, action.address):
            return
        try:
            if isinstance(action, SendGratuitousArp):
                port.send_arp(action.address, member.presence.mac)
            else:
                port.send_na(action.address, member.presence.mac)
        except SendError as error:
            self._observer.log("warning", f"{action.address} could not be announced: {error}")
        except PortLost:
            self.lost(action.interface)

    def _tell(self, member: Member, action: StateChanged) -> None:
        addresses = tuple(str(address) for address in member.config.addresses)
        self._observer.changed(
            Change(
                member.config.group,
                action.vhid,
                action.interface,
                action.label,
                action.old,
                action.new,
                action.reason,
                addresses,
                time.time(),
            )
        )
