"""One host: its settings, its demotion, its counters, and all its vhids.

Up to FreeBSD 9 demotion is ``suppress_preempt``, a count of troubles that makes any advskew 240; from 10.0 on it is a
signed sum that is added to each advskew.  Either way every MASTER advertises at once when it changes, which is what
makes a planned hand-over quick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bsdcarp.carp.actions import Action, DemotionChanged, Log
from bsdcarp.carp.counters import Statistics
from bsdcarp.carp.dialect import CARP, DIALECTS, Dialect
from bsdcarp.carp.frames import TTL
from bsdcarp.carp.machine import Machine
from bsdcarp.carp.moment import Moment
from bsdcarp.carp.packet import BadPacket, Reason
from bsdcarp.carp.personality import REFUSALS_V6, Personality
from bsdcarp.carp.state import Event
from bsdcarp.carp.timers import NEVER
from bsdcarp.carp.vhid import MAX_ADVSKEW, Family, Protocol, Settings, State, Vhid

__all__ = ["Node"]


class Node:
    """One kernel, or one daemon.  Methods that take ``now`` return the actions to perform, in order.

    ``draw(64)`` has to give 64 random bits, for instance ``secrets.randbits`` or ``random.Random(seed).getrandbits``
    with another seed for each node.
    """

    def __init__(
        self,
        personality: Personality,
        settings: Settings | None = None,
        *,
        draw: Callable[[int], int],
        dialects: Mapping[Protocol, Dialect] = DIALECTS,
    ) -> None:
        self.personality = personality
        self.settings = settings or Settings()
        self.draw = draw
        self.demotion = 0
        """net.inet.carp.demotion, or suppress_preempt up to FreeBSD 9."""
        self.statistics = Statistics()
        """Assign a new one to set all counters to zero."""
        self._dialects = dialects
        self._machines: list[Machine] = []
        self._found: dict[tuple[str, int], Machine] = {}
        self._tell_demotion = False

    @property
    def machines(self) -> tuple[Machine, ...]:
        """All vhids, in the order in which they were added."""
        return tuple(self._machines)

    @property
    def allowed(self) -> bool:
        """Whether allow=0 keeps vhids from running on this release."""
        return bool(self.settings.allow) or not self.personality.allow_stops

    @property
    def traffic_class(self) -> int:
        """The TOS byte that net.inet.carp.dscp stands for."""
        return self.settings.dscp << 2

    def find(self, interface: str, vhid: int) -> Machine | None:
        """The vhid on that parent interface."""
        known = self._found.get((interface, vhid))
        # Renamed, renumbered or removed since: look again.
        if known is None or known.parent != interface or known.config.vhid != vhid:
            here = (m for m in self._machines if m.parent == interface and m.config.vhid == vhid)
            known = next(here, None)
            if known is not None:
                self._found[interface, vhid] = known
        return known

    def add(self, config: Vhid, parent: str, name: str = "") -> Machine:
        """Make a vhid on ``parent``, in INIT until its ``up``.  ``name`` is carpN up to FreeBSD 9.

        Raise ValueError if the parent has that vhid already, or its protocol is not spoken.
        """
        dialect = self._dialects.get(config.protocol)
        if dialect is None:
            raise ValueError(f"{config.protocol.value} is not spoken yet")
        if self.find(parent, config.vhid):
            raise ValueError(f"vhid {config.vhid} is already on {parent}")
        machine = Machine(self, config, parent, name or parent, dialect)
        self._machines.append(machine)
        return machine

    def remove(self, machine: Machine, now: float) -> tuple[Action, ...]:
        """Destroy a vhid without a good-bye; ``Machine.stop`` first if it should say one."""
        at = Moment(now)
        machine.vanish(at)
        self._machines.remove(machine)
        self._found.clear()
        return self.flush(at)

    def interface_up(self, now: float, interface: str) -> tuple[Action, ...]:
        """``Machine.up`` for every vhid on that parent."""
        return self._carry(now, interface, carrier=True)

    def interface_down(self, now: float, interface: str) -> tuple[Action, ...]:
        """``Machine.down`` for every vhid on that parent."""
        return self._carry(now, interface, carrier=False)

    def _carry(self, now: float, interface: str, *, carrier: bool) -> tuple[Action, ...]:
        at = Moment(now)
        for machine in self._machines:
            if machine.parent == interface:
                machine.carry(at, carrier=carrier)
        return self.flush(at)

    def set(self, now: float, **changes: Any) -> tuple[Action, ...]:
        """Write sysctls, by the names of ``Settings``.  A new value of allow makes every vhid start over or stop."""
        at = Moment(now)
        before = self.allowed
        self.settings = replace(self.settings, **changes)
        if self.allowed is not before:
            # carp_allow_sysctl() walks carp_list, where the newest comes first.
            for machine in reversed(self._machines):
                machine.look(at)
        return self.flush(at)

    def demote(self, amount: int, now: float, reason: str = "sysctl") -> tuple[Action, ...]:
        """Add ``amount`` to the demotion: writing the sysctl, or pfsync's doing.  Only ever subtract what you added."""
        at = Moment(now)
        self._add(amount, reason, at)
        return self.flush(at)

    def demoted(self, advskew: int) -> int:
        """The advskew that a vhid configured with ``advskew`` has while the host is demoted as it is."""
        if not self.personality.adds_demotion:
            return max(advskew, MAX_ADVSKEW) if self.demotion else advskew
        total = min(MAX_ADVSKEW, advskew + self.demotion)
        return max(0, total) if self.personality.demotion_floor else total

    def receive(
        self, payload: bytes, family: Family, now: float, *, interface: str, ttl: int = TTL
    ) -> tuple[Action, ...]:
        """Act on the bytes that followed the IP header of a packet with protocol 112.

        Whatever they are, this returns: what cannot be used is counted, and logged with log=2.
        """
        at = Moment(now, family=family)
        self.statistics.received(family)
        if not self.settings.allow:
            return ()
        try:
            self._hear(payload, ttl, interface, at)
        except BadPacket as bad:
            self.statistics.dropped(bad.reason)
            self._refuse(bad.reason, payload, ttl, interface, at)
        return self.flush(at)

    def _hear(self, payload: bytes, ttl: int, interface: str, at: Moment) -> None:
        """The checks in the order of carp_input() and carp_input_c().  Raise BadPacket."""
        rules = self.personality
        # From 10.0 on carp_input() leaves this to the vhid look-up, carp6_input() does not.
        strict = rules.pseudo_interfaces or at.family is Family.IPV6
        if strict and all(m.parent != interface for m in self._machines):
            raise BadPacket(Reason.BAD_INTERFACE)
        if ttl != TTL and not rules.unicast:
            raise BadPacket(Reason.BAD_TTL)
        dialect = self._dialect_of(payload)
        dialect.check(payload)
        machine = self.find(interface, payload[1])
        if machine is None or not self._listens(machine, at.family):
            raise BadPacket(Reason.BAD_VHID)
        advert = dialect.decode(payload)
        if machine.dialect is not dialect:
            raise BadPacket(Reason.BAD_VERSION)
        peer = machine.config.peer if at.family is Family.IPV4 else machine.config.peer6
        if ttl != TTL and peer is None:
            raise BadPacket(Reason.BAD_TTL)
        if machine.transmitter.is_own(payload):
            machine.heard.looped += 1
            raise BadPacket(Reason.LOOPED)
        if not machine.transmitter.accepts(advert):
            machine.heard.bad_digests += 1
            machine.heard.bad_digest_at = at.now
            raise BadPacket(Reason.BAD_AUTHENTICATION)
        machine.heard.accepted += 1
        machine.heard.accepted_at = at.now
        if machine.transmitter.is_replay(payload):
            self._count_replay(machine, at)
        else:
            machine.replaying = False
        machine.hear(advert, at)

    def _dialect_of(self, payload: bytes) -> Dialect:
        """By the version.  What nobody speaks is CARP's to refuse."""
        version = payload[0] >> 4 if payload else CARP.version
        return next((spoken for spoken in self._dialects.values() if spoken.version == version), CARP)

    def _count_replay(self, machine: Machine, at: Moment) -> None:
        """The first of a row is logged: a peer that never changes its counter would fill the log."""
        self.statistics.replayed += 1
        machine.heard.replayed += 1
        if not machine.replaying and self.settings.log >= self.personality.debug_level:
            at.out.append(Log(f"carp: {machine.label}: packet received again on {machine.parent}", "debug"))
        machine.replaying = True

    def _listens(self, machine: Machine, family: Family | None) -> bool:
        """Whether packets of that family reach the vhid."""
        return machine.runnable if self.personality.pseudo_interfaces else family in machine.config.families

    def _refuse(self, reason: Reason, payload: bytes, ttl: int, interface: str, at: Moment) -> None:
        texts = {**self.personality.refusals, **(REFUSALS_V6 if at.family is Family.IPV6 else {})}
        if self.settings.log < self.personality.debug_level or reason not in texts:
            return
        machine = self.find(interface, payload[1]) if len(payload) > 1 else None
        function = "carp6_input" if at.family is Family.IPV6 else "carp_input"
        if reason is Reason.BAD_TTL and self.personality.unicast:
            function = "carp_input_c"
        line = texts[reason].format(
            function=function,
            interface=interface,
            name=machine.name if machine else interface,
            vhid=machine.config.vhid if machine else 0,
            version=payload[0] >> 4 if payload else 0,
            length=len(payload),
            ttl=ttl,
        )
        at.out.append(Log(line, "debug"))

    def deadline(self) -> float | None:
        """When ``on_timer`` is wanted next; None if no timer runs."""
        first = min([machine.timers.earliest for machine in self._machines], default=NEVER)
        return None if first == NEVER else first

    def on_timer(self, now: float) -> tuple[Action, ...]:
        """Do everything that is due at ``now``."""
        at = Moment(now)
        for machine in self._machines:
            if machine.timers.earliest <= now:
                machine.tick(at)
        return self.flush(at)

    # What follows is for the machines.

    def adjust(self, factor: int, reason: str, at: Moment) -> None:
        """Demote by ``factor``, or by one trouble more or less where troubles are only counted."""
        one = 1 if factor > 0 else -1
        self._add(factor if self.personality.adds_demotion else one, reason, at)

    def _add(self, amount: int, reason: str, at: Moment) -> None:
        rules = self.personality
        self.demotion += amount
        at.out.append(DemotionChanged(amount, self.demotion, reason))
        if rules.adds_demotion and self.settings.log > 0:
            at.out.append(Log(f"carp: demoted by {amount} to {self.demotion} ({reason})"))
        # Up to 9.x only the first trouble is worth an advert; its end is noticed at the next tick.
        self._tell_demotion |= rules.adds_demotion or (amount > 0 and self.demotion == amount)

    def flush(self, at: Moment) -> tuple[Action, ...]:
        """End of a call: if the demotion changed in it, every MASTER says so, the newest vhid first."""
        if self._tell_demotion:
            self._tell_demotion = False
            for machine in reversed(self._machines):
                if machine.state is State.MASTER:
                    machine.feed(Event.NEWS, at)
        return tuple(at.out)
