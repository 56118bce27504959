"""The inside of a vhid: feeds events to ``state.TABLE`` and performs the steps of the row that answers.

Times follow carp_setrun() and carp_send_ad_locked(): adverts every advbase + advskew/256 seconds with the demoted
advskew, master-down after 3 x advbase + advskew/256 with the configured one.  Both are this host's own values, never
the sender's.  What may be called from outside is in ``machine``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from bsdcarp.carp.actions import Action, LinkState, Log, StateChanged
from bsdcarp.carp.addresses import Addresses
from bsdcarp.carp.counters import Heard
from bsdcarp.carp.dialect import HELD_BACK, Dialect
from bsdcarp.carp.moment import Moment
from bsdcarp.carp.packet import Advertisement
from bsdcarp.carp.personality import REASONS
from bsdcarp.carp.state import TABLE, Event, Step
from bsdcarp.carp.timers import Timers
from bsdcarp.carp.transmitter import BOW_OUT
from bsdcarp.carp.vhid import State, Vhid

if TYPE_CHECKING:
    from bsdcarp.carp.node import Node

__all__ = ["Engine"]

_LINK = {State.INIT: "UNKNOWN", State.BACKUP: "DOWN", State.MASTER: "UP"}


class Engine:
    """State, timers, transmitter and held addresses of one vhid.  Its methods add to the actions of a moment."""

    def __init__(self, node: Node, config: Vhid, parent: str, name: str, dialect: Dialect) -> None:
        self.config = config
        """The configuration in force."""
        self.parent = parent
        """The interface where packets go.  May be assigned when the interface is renamed."""
        self.name = name
        """carpN up to FreeBSD 9, otherwise the same as ``parent``."""
        self.state = State.INIT
        self.yielded = False
        """Whether it is held back: ``Machine.yield_role``."""
        self.dialect = dialect
        self.transmitter = dialect.transmitter(node.personality, node.draw, config)
        self.timers = Timers()
        self.heard = Heard()
        """Assign a new one to set its counters to zero."""
        self.replaying = False
        """Whether the last advert had been heard before."""
        self._node = node
        self._carrier = False
        self._stopped = False
        self._demoting = False
        self._addresses = Addresses(repeats=node.personality.repeats_announcement)

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
        return HELD_BACK if self.yielded else self._node.demoted(self.config.advskew)

    @property
    def patience(self) -> float:
        """Seconds without an advert after which this host takes over."""
        return self.dialect.patience(self.config, self.yielded)

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
        """The interface is up with a link, or is not."""
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
        """Act on an advert that is authentic.  A vhid that is held back never preempts."""
        preempt = bool(self._node.settings.preempt) and not self.yielded
        self.feed(self.dialect.heard(self.config, self.effective_advskew, advert, preempt), at)

    def tick(self, at: Moment) -> Moment:
        """Feed the timers that are due."""
        if self.timers.master_is_down(at.now):
            self.feed(Event.MASTER_DOWN, at)
        if self.timers.advert_is_due(at.now):
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
        self.timers.stop()

    def _stop_adverts(self, _: Moment) -> None:
        self.timers.stop_adverts()

    def _wait(self, at: Moment) -> None:
        self.timers.wait(at.now, self.config.families, self.patience)

    def _wait_also(self, at: Moment) -> None:
        self.timers.wait_also(at.now, self.config.families, self.patience)

    def _wait_family(self, at: Moment) -> None:
        heard_on = self.config.families if at.family is None else (at.family,)
        self.timers.wait(at.now, heard_on, self.patience)

    def _advertise(self, at: Moment) -> None:
        advskew = self.effective_advskew
        self._send((self.config.advbase, advskew), at)
        self.timers.advertise(at.now, self.dialect.interval(self.config, advskew))

    def _first_interval(self, at: Moment) -> None:
        self.timers.advertise(at.now, self.dialect.interval(self.config, self.config.advskew))

    def _bow_out(self, at: Moment) -> None:
        if self._node.personality.bows_out:
            self._send(BOW_OUT, at)

    def _send(self, interval: tuple[int, int], at: Moment) -> None:
        for advert in self.transmitter.adverts(self.config, self.parent, interval, self._node.traffic_class):
            self._node.statistics.sent(advert.family)
            at.out.append(advert)

    def _take_addresses(self, at: Moment) -> None:
        at.out.extend(self._addresses.take(self.config, self.parent))

    def _leave_addresses(self, at: Moment) -> None:
        at.out.extend(self._addresses.leave(self.config, self.parent))

    def _exchange_addresses(self, at: Moment) -> None:
        at.out.extend(self._addresses.exchange(self.config, self.parent))

    def _announce(self, at: Moment) -> None:
        at.out.extend(self._addresses.announce(self.parent))

    def _announce_again(self, at: Moment) -> None:
        at.out.extend(self._addresses.announce_again(self.parent))

    def _reassert(self, at: Moment) -> None:
        at.out.extend(self._addresses.reassert(self.parent))

    def _demote(self, at: Moment) -> None:
        if not self._demoting:
            self._demoting = True
            self._node.adjust(self._node.settings.ifdown_factor, "interface down", at)

    def _undemote(self, at: Moment, reason: str = "interface up") -> None:
        if self._demoting:
            self._demoting = False
            self._node.adjust(-self._node.settings.ifdown_factor, reason, at)

    _STEPS: ClassVar[dict[Step, Callable[[Engine, Moment], None]]] = {
        Step.STOP_TIMERS: _stop_timers,
        Step.STOP_ADVERTS: _stop_adverts,
        Step.WAIT: _wait,
        Step.WAIT_ALSO: _wait_also,
        Step.WAIT_FAMILY: _wait_family,
        Step.ADVERTISE: _advertise,
        Step.FIRST_INTERVAL: _first_interval,
        Step.TAKE_ADDRESSES: _take_addresses,
        Step.LEAVE_ADDRESSES: _leave_addresses,
        Step.EXCHANGE_ADDRESSES: _exchange_addresses,
        Step.ANNOUNCE: _announce,
        Step.ANNOUNCE_AGAIN: _announce_again,
        Step.REASSERT: _reassert,
        Step.BOW_OUT: _bow_out,
        Step.DEMOTE: _demote,
        Step.UNDEMOTE: _undemote,
    }
