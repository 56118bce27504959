"""One vhid on one interface: performs the steps of ``state.TABLE`` and answers for the vhid.

Times follow carp_setrun() and carp_send_ad_locked(): adverts every advbase + advskew/256 seconds with the demoted
advskew, master-down after 3 x advbase + advskew/256 with the configured one.  Both are this host's own values, never
the sender's.  ``now`` is monotonic seconds and must not go back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, ClassVar

from bsdcarp.carp.actions import Action, LinkState, Log, StateChanged
from bsdcarp.carp.addresses import Addresses
from bsdcarp.carp.frames import TTL
from bsdcarp.carp.moment import Moment
from bsdcarp.carp.packet import Advertisement
from bsdcarp.carp.personality import REASONS
from bsdcarp.carp.state import TABLE, Event, Step, heard
from bsdcarp.carp.timers import Timers
from bsdcarp.carp.transmitter import BOW_OUT, Transmitter
from bsdcarp.carp.vhid import Family, State, Vhid

if TYPE_CHECKING:
    from bsdcarp.carp.node import Node

__all__ = ["Machine"]

_LINK = {State.INIT: "UNKNOWN", State.BACKUP: "DOWN", State.MASTER: "UP"}


class Machine:
    """One vhid.  Made by ``Node.add``; every method that takes ``now`` returns the actions to perform, in order."""

    def __init__(self, node: Node, config: Vhid, parent: str, name: str) -> None:
        self.config = config
        """The configuration in force."""
        self.parent = parent
        """The interface where packets go."""
        self.name = name
        """carpN up to FreeBSD 9, otherwise the same as ``parent``."""
        self.state = State.INIT
        self.transmitter = Transmitter(node.personality, node.draw, config)
        self._node = node
        self._carrier = False
        self._stopped = False
        self._demoting = False
        self._timers = Timers()
        self._addresses = Addresses(parent, repeats=node.personality.repeats_announcement)

    def __repr__(self) -> str:
        return f"<Machine {self.label} {self.state.value}>"

    @property
    def label(self) -> str:
        """How the release calls it: "1@em0", or "carp0" up to FreeBSD 9."""
        return self.name if self._node.personality.pseudo_interfaces else f"{self.config.vhid}@{self.parent}"

    @property
    def runnable(self) -> bool:
        """Whether it may leave INIT: carrier, not stopped, at least one address, and allowed."""
        return self._carrier and not self._stopped and bool(self.config.families) and self._node.allowed

    @property
    def effective_advskew(self) -> int:
        """The advskew after demotion, what the election uses.  Negative before FreeBSD 14 if the demotion is."""
        return self._node.demoted(self.config.advskew)

    def deadline(self) -> float | None:
        """When ``on_timer`` is wanted next; None if no timer runs."""
        return self._timers.deadline()

    def up(self, now: float) -> tuple[Action, ...]:
        """The interface is up and has its link.  Nothing happens if that is no news."""
        return self._node.flush(self.carry(Moment(now), carrier=True))

    def down(self, now: float) -> tuple[Action, ...]:
        """The interface went down or lost its link: INIT, and the host is demoted once for this vhid."""
        return self._node.flush(self.carry(Moment(now), carrier=False))

    def stop(self, now: float) -> tuple[Action, ...]:
        """``ifconfig carpN down`` up to FreeBSD 9, or a daemon's clean end: bow out, then INIT.  No demotion."""
        self._stopped = True
        return self._node.flush(self.feed(Event.STOP, Moment(now)))

    def start(self, now: float) -> tuple[Action, ...]:
        """Undo ``stop``."""
        self._stopped = False
        at = Moment(now)
        if self.runnable:
            self.feed(Event.UP, at)
        return self._node.flush(at)

    def restart(self, now: float) -> tuple[Action, ...]:
        """The kernel looks at the interface again: INIT and then BACKUP, the role is lost for a while."""
        return self._node.flush(self.look(Moment(now)))

    def address_changed(
        self, now: float, *, v4: tuple[IPv4Address, ...] | None = None, v6: tuple[IPv6Address, ...] | None = None
    ) -> tuple[Action, ...]:
        """The complete new lists, None for unchanged.  Equal lists mean that an address was added once more."""
        at = Moment(now)
        old = {*self.config.v4, *self.config.v6}
        self.config = replace(
            self.config, v4=self.config.v4 if v4 is None else v4, v6=self.config.v6 if v6 is None else v6
        )
        self.transmitter.rekey(self.config)
        new = {*self.config.v4, *self.config.v6}
        rules = self._node.personality
        if new and new < old and not rules.restarts_on_removal:
            at.out.extend(self._addresses.drop(self.config))
            self._timers.keep(self.config.families)
        elif old != new or rules.restarts_on_repeat:
            self.look(at)
        return self._node.flush(at)

    def configure(self, now: float, **changes: Any) -> tuple[Action, ...]:
        """Change advskew, advbase, key, peer or peer6; no change of state.  Raise ValueError as ``Vhid`` does.

        An empty key keeps the old one from FreeBSD 10 on: a password can be replaced, never removed.
        """
        rules = self._node.personality
        if not changes.get("key", b"").strip(b"\0") and not rules.accepts_empty_key:
            changes.pop("key", None)
        self.config = replace(self.config, **changes)
        self.transmitter.rekey(self.config)
        at = Moment(now)
        if rules.configure_restarts_timers and self.runnable:
            self.feed(Event.UP, at)
            if self.state is State.BACKUP:
                self._wait(at)
            else:
                self._first_interval(at)
        return self._node.flush(at)

    def force_state(self, state: State, now: float) -> tuple[Action, ...]:
        """``ifconfig IF vhid N state ...``.  INIT is ignored, and so is everything while in INIT."""
        at = Moment(now)
        if state is not State.INIT:
            self.feed(Event.FORCE_MASTER if state is State.MASTER else Event.FORCE_BACKUP, at)
        return self._node.flush(at)

    def receive(self, payload: bytes, family: Family, now: float, ttl: int = TTL) -> tuple[Action, ...]:
        """An advert arrived on the parent interface; the same as ``Node.receive`` there."""
        return self._node.receive(payload, family, now, interface=self.parent, ttl=ttl)

    def on_timer(self, now: float) -> tuple[Action, ...]:
        """Do what is due at ``now``, each timer at most once however late it is."""
        return self._node.flush(self.tick(Moment(now)))

    def send_result(self, now: float, *, ok: bool, error: int = 0) -> tuple[Action, ...]:
        """One advert left, or failed with errno ``error``.  Three failures in a row demote the host."""
        at = Moment(now)
        factor = self._node.settings.senderr_factor
        if ok and self.transmitter.succeeded():
            self._node.adjust(-factor, f"send ok on {self.parent}", at)
        elif not ok and self.transmitter.failed():
            self._node.adjust(factor, f"send error {error} on {self.parent}", at)
        return self._node.flush(at)

    # What follows is for the node and for the machine itself.

    def look(self, at: Moment) -> Moment:
        """carp_sc_state(): start over, or stop if the interface is down or carp is not allowed."""
        if not self._carrier or not self._node.allowed:
            return self.feed(Event.DOWN, at)
        self.feed(Event.RESTART, at)
        if self.runnable:
            self.feed(Event.UP, at)
        self._undemote(at)
        return at

    def carry(self, at: Moment, *, carrier: bool) -> Moment:
        """``up`` or ``down`` as a part of something larger."""
        news = carrier is not self._carrier
        self._carrier = carrier
        return self.look(at) if news or not carrier else at

    def vanish(self, at: Moment) -> None:
        """The vhid is removed: leave its role without a word and give back the demotion that it holds."""
        self._stopped = True
        self.feed(Event.RESTART, at)
        self._undemote(at, "vhid removed")
        if self.transmitter.failing and self._node.personality.removal_forgives:
            self._node.adjust(-self._node.settings.senderr_factor, "vhid removed", at)

    def hear(self, advert: Advertisement, at: Moment) -> None:
        """Act on an advert whose digest is right."""
        own = (self.config.advbase, self.effective_advskew)
        self.feed(heard(own, advert.interval, preempt=bool(self._node.settings.preempt)), at)

    def tick(self, at: Moment) -> Moment:
        """Feed the timers that are due."""
        if self._timers.master_is_down(at.now):
            self.feed(Event.MASTER_DOWN, at)
        if self._timers.advert_is_due(at.now):
            self.feed(Event.ADVERT_DUE, at)
        return at

    def feed(self, event: Event, at: Moment) -> Moment:
        """One row of the table."""
        transition = TABLE[self.state, event]
        if transition.next is not self.state:
            self._enter(transition.next, event, at.out)
        for step in transition.steps:
            self._STEPS[step](self, at)
        return at

    def _enter(self, new: State, event: Event, out: list[Action]) -> None:
        rules, vhid = self._node.personality, self.config.vhid
        old, self.state = self.state, new
        if self._node.settings.log > 0 and event in rules.reasons:
            line = rules.transition.format(
                vhid=vhid, interface=self.parent, name=self.name, old=old.value, new=new.value
            )
            out.append(Log(f"{line} ({rules.reasons[event]})" if rules.reasons[event] else line))
        out.append(StateChanged(vhid, self.parent, self.label, old, new, REASONS[event]))
        if rules.pseudo_interfaces:
            out.append(LinkState(vhid, self.parent, self.name, _LINK[new]))
            # Only UP and DOWN are ever printed, the unknown link of INIT as DOWN.
            word = "UP" if new is State.MASTER else "DOWN"
            out.append(Log(f"{self.name}: link state changed to {word}", "notice"))

    # One method per step.

    def _stop_timers(self, _: Moment) -> None:
        self._timers.stop()

    def _stop_adverts(self, _: Moment) -> None:
        self._timers.stop_adverts()

    def _wait(self, at: Moment) -> None:
        self._timers.wait(at.now, self.config.families, self.config)

    def _wait_family(self, at: Moment) -> None:
        heard_on = self.config.families if at.family is None else (at.family,)
        self._timers.wait(at.now, heard_on, self.config)

    def _advertise(self, at: Moment) -> None:
        interval = (self.config.advbase, self.effective_advskew)
        self._send(interval, at)
        self._timers.advertise(at.now, interval)

    def _first_interval(self, at: Moment) -> None:
        self._timers.advertise(at.now, (self.config.advbase, self.config.advskew))

    def _bow_out(self, at: Moment) -> None:
        if self._node.personality.bows_out:
            self._send(BOW_OUT, at)

    def _send(self, interval: tuple[int, int], at: Moment) -> None:
        for advert in self.transmitter.adverts(self.config, self.parent, interval, self._node.traffic_class):
            self._node.statistics.sent(advert.family)
            at.out.append(advert)

    def _take_addresses(self, at: Moment) -> None:
        at.out.extend(self._addresses.take(self.config))

    def _leave_addresses(self, at: Moment) -> None:
        at.out.extend(self._addresses.leave(self.config))

    def _announce(self, at: Moment) -> None:
        at.out.extend(self._addresses.announce())

    def _announce_again(self, at: Moment) -> None:
        at.out.extend(self._addresses.announce_again())

    def _reassert(self, at: Moment) -> None:
        at.out.extend(self._addresses.reassert())

    def _demote(self, at: Moment) -> None:
        if not self._demoting:
            self._demoting = True
            self._node.adjust(self._node.settings.ifdown_factor, "interface down", at)

    def _undemote(self, at: Moment, reason: str = "interface up") -> None:
        if self._demoting:
            self._demoting = False
            self._node.adjust(-self._node.settings.ifdown_factor, reason, at)

    _STEPS: ClassVar[dict[Step, Callable[[Machine, Moment], None]]] = {
        Step.STOP_TIMERS: _stop_timers,
        Step.STOP_ADVERTS: _stop_adverts,
        Step.WAIT: _wait,
        Step.WAIT_FAMILY: _wait_family,
        Step.ADVERTISE: _advertise,
        Step.FIRST_INTERVAL: _first_interval,
        Step.TAKE_ADDRESSES: _take_addresses,
        Step.LEAVE_ADDRESSES: _leave_addresses,
        Step.ANNOUNCE: _announce,
        Step.ANNOUNCE_AGAIN: _announce_again,
        Step.REASSERT: _reassert,
        Step.BOW_OUT: _bow_out,
        Step.DEMOTE: _demote,
        Step.UNDEMOTE: _undemote,
    }
