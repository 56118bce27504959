"""One vhid on one interface, as its surroundings see it: everything that can be told to it, and what it answers.

``now`` is monotonic seconds and must not go back; a caller that is late is served once, not for each interval missed.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from bsdcarp.carp.actions import Action
from bsdcarp.carp.engine import Engine
from bsdcarp.carp.frames import TTL
from bsdcarp.carp.moment import Moment
from bsdcarp.carp.state import Event
from bsdcarp.carp.vhid import Family, State

__all__ = ["Machine"]


class Machine(Engine):
    """One vhid.  Made by ``Node.add``; every method that takes ``now`` returns the actions to perform, in order."""

    def deadline(self) -> float | None:
        """When ``on_timer`` is wanted next; None if no timer runs."""
        return self.timers.deadline()

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

    def yield_role(self, now: float) -> tuple[Action, ...]:
        """Hand the role over and hold this vhid back until ``release``: the daemon's failover.  No demotion, no INIT.

        A MASTER bows out, which makes a peer take over at once with or without preempt, and becomes BACKUP.  From then
        on the vhid advertises advskew 254, never preempts, and gives a silent MASTER 254/256 s more than configured:
        it takes the role only if nobody else is there.  A BACKUP's timer starts anew with that.  It stays held back in
        INIT, too.
        """
        self.yielded = True
        return self._node.flush(self.feed(Event.YIELD, Moment(now)))

    def release(self, now: float) -> tuple[Action, ...]:
        """Undo ``yield_role``: the configured advskew counts again, and preempt does what it does.

        A BACKUP's running timer is left alone, so a MASTER that is dead already is noticed up to 254/256 s late.
        """
        at = Moment(now)
        if self.yielded:
            self.yielded = False
            self.feed(Event.NEWS, at)
        return self._node.flush(at)

    def address_changed(
        self, now: float, *, v4: tuple[IPv4Address, ...] | None = None, v6: tuple[IPv6Address, ...] | None = None
    ) -> tuple[Action, ...]:
        """The complete new lists, None for unchanged.  Equal lists mean that an address was added once more.

        FreeBSD starts over, with exceptions by release.  On Linux a vhid keeps its role as long as it has an address
        before and after, and nothing is said about the addresses that stay.  Either way the digest is another one from
        now on: peers accept each other only once all have the same list.
        """
        at = Moment(now)
        old = {*self.config.v4, *self.config.v6}
        self.config = replace(
            self.config, v4=self.config.v4 if v4 is None else v4, v6=self.config.v6 if v6 is None else v6
        )
        self.transmitter.rekey(self.config)
        new = {*self.config.v4, *self.config.v6}
        rules = self._node.personality
        if old == new:
            if rules.restarts_on_repeat:
                self.look(at)
        elif (
            not old
            or not new
            or (rules.restarts_on_addition and not new <= old)
            or (rules.restarts_on_removal and not old <= new)
        ):
            self.look(at)
        else:
            if rules.tells_changes:
                self.feed(Event.NEWS, at)
            self.feed(Event.READDRESSED, at)
        return self._node.flush(at)

    def configure(self, now: float, **changes: Any) -> tuple[Action, ...]:
        """Change advskew, advbase, key, peer or peer6; no change of state.  Raise ValueError as ``Vhid`` does.

        Addresses change with ``address_changed``, because those that a MASTER holds have to follow.  An empty key keeps
        the old one from FreeBSD 10 on: a password can be replaced, never removed.
        """
        rules = self._node.personality
        if "v4" in changes or "v6" in changes:
            raise ValueError("addresses are changed with address_changed")
        if changes.get("protocol", self.config.protocol) is not self.config.protocol:
            raise ValueError("a vhid cannot change its protocol: remove it and add another one")
        if not changes.get("key", b"").strip(b"\0") and not rules.accepts_empty_key:
            changes.pop("key", None)
        before = self.config
        self.config = replace(self.config, **changes)
        self.transmitter.rekey(self.config)
        at = Moment(now)
        if rules.tells_changes and self.config != before:
            self.feed(Event.NEWS, at)
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
