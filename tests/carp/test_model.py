"""Two to five nodes of any release on a segment that loses, repeats and reorders packets, splits and heals.

Two promises are checked at every instant at which anything can happen.

*Never more than one MASTER* once nothing has been disturbed for 3 x advbase + 1 second.  Of two MASTERs the less
preferred one steps down at the first advert of the other, and adverts are at most advbase + 254/256 s apart.  While a
host is demoted the bound is one interval longer, because its master-down timer goes by its configured advskew, as in the
kernel: it may run out together with the best host's, and its first advert, which is slow, makes a third host preempt
that has not heard the best one yet.  That third one hears it an interval later.

*Never without a MASTER* for longer than the shortest patience of the hosts that hear each other (3 x advbase +
advskew/256 s, advskew as configured, 254/256 s more for one that is held back) plus the longest delay of a packet.  The
reason: without a MASTER nobody sends, so all that can restart a master-down timer is an advert still on its way, and it
arrives within that delay; then the timers run undisturbed, and the first that ends makes its host MASTER.  A timer that
was started under an earlier configuration may have longer to run; it counts with what it has left.

The hosts differ in effective advskew, as the protocol demands; what happens otherwise is shown at the end.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from carp_segment import FREEBSD_RELEASES, VIP, Host, Segment, forged, make_node
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bsdcarp.carp import Family, State, Vhid

SIX = IPv6Address("2001:db8::10")
OTHER = IPv4Address("192.0.2.11")
SYSTEMS: list[tuple[Any, ...]] = [*(("freebsd", *release) for release in FREEBSD_RELEASES), ("linux",)]
SLOW = 0.05
"""The longest delay on an undisturbed segment, in seconds."""
REORDERED = 1.5
"""The longest delay on a disturbed one: longer than an interval, so packets overtake each other."""


class Watched(Segment):
    """A segment that checks itself at every instant at which anything can happen."""

    def __init__(self, seed: int, advbase: int) -> None:
        super().__init__(seed)
        self.advbase = advbase
        self.running: dict[str, float] = {}
        self.delay = (0.0001, SLOW)
        self.calm_since = self.now
        self.served: dict[frozenset[str], float] = {}

    def partitions(self) -> list[frozenset[str]]:
        groups: dict[int, set[str]] = {}
        for name, host in self.hosts.items():
            if host.plugged:
                groups.setdefault(host.group, set()).add(name)
        return [frozenset(members) for members in groups.values()]

    def disturbed(self) -> None:
        """The topology or the quality of the segment changed: both clocks start anew, the old packets delivered."""
        self.calm_since = max(self.now, self.last_delivery())
        self.served = dict.fromkeys(self.partitions(), self.now)
        # What a timer that runs already has left, whatever was configured since.
        self.running = {name: (host.node.deadline() or 0) - self.now for name, host in self.hosts.items()}

    def patience(self, members: frozenset[str]) -> float:
        """How long these hosts may be without a MASTER; the reasons are at the top."""
        waits = [max(self.hosts[name].machine.patience, self.running.get(name, 0)) for name in members]
        return min(waits) + self.delay[1] + 0.001

    def observe(self) -> None:
        calm = self.loss == 0 and self.duplication == 0 and self.delay[1] <= SLOW
        for members in self.partitions():
            masters = [name for name in members if self.hosts[name].state is State.MASTER]
            if masters:
                self.served[members] = self.now
            since = max(self.served[members], self.calm_since)
            assert self.now - since <= self.patience(members), f"{set(members)} have no MASTER"
            settled = 3 * self.advbase + 1
            if any(host.node.demotion for host in self.hosts.values()):
                settled += self.advbase + 1
            if calm and self.now - self.calm_since >= settled:
                assert len(masters) <= 1, f"{masters} are MASTER at once"


class Election(RuleBasedStateMachine):
    """The schedule: hypothesis chooses hosts, faults and pauses."""

    segment: Watched

    @initialize(
        seed=st.integers(0, 999),
        systems=st.lists(st.sampled_from(SYSTEMS), min_size=2, max_size=5),
        skews=st.permutations([0, 1, 50, 100, 150]),
        preempt=st.lists(st.booleans(), min_size=5, max_size=5),
        both=st.booleans(),
        advbase=st.sampled_from([1, 1, 2, 5]),
    )
    def build(
        self, seed: int, systems: list[tuple[Any, ...]], skews: list[int], preempt: list[bool], both: bool, advbase: int
    ) -> None:
        self.segment = Watched(seed, advbase)
        self.demoted: set[int] = set()
        for number, system in enumerate(systems):
            node = make_node(*system, seed=seed * 10 + number, preempt=int(preempt[number]))
            self.segment.add(f"h{number}", node, self.vhid(advbase, skews[number], both))
        self.segment.start()
        self.segment.disturbed()

    @staticmethod
    def vhid(advbase: int, advskew: int, both: bool) -> Vhid:
        return Vhid(1, advbase, advskew, b"secret", (VIP,), (SIX,) if both else ())

    def host(self, number: int) -> Host:
        hosts = list(self.segment.hosts.values())
        return hosts[number % len(hosts)]

    @rule(seconds=st.floats(0.01, 6))
    def wait(self, seconds: float) -> None:
        self.segment.run(seconds)

    @rule()
    def wait_long_enough_to_settle(self) -> None:
        self.segment.run(6 * self.segment.advbase + 3)
        if self.segment.loss or self.segment.duplication or self.segment.delay[1] > SLOW:
            return
        chosen = self.segment.masters()
        for members in self.segment.partitions():
            masters = members.intersection(chosen)
            assert len(masters) == 1
            if all(self.segment.hosts[name].node.settings.preempt for name in members):
                best = min(members, key=lambda name: self.segment.hosts[name].machine.effective_advskew)
                assert masters == {best}
        # Without preempt the role stays where it is, however slow its owner.
        quiet = [name for name in chosen if not self.preemptible(name)]
        self.segment.run(5)
        assert set(quiet) <= set(self.segment.masters())

    def preemptible(self, name: str) -> bool:
        """Whether somebody in the same partition is preferred and may say so."""
        hosts = self.segment.hosts
        mine = hosts[name]
        return any(
            other.node.settings.preempt
            and not other.machine.yielded
            and other.machine.effective_advskew < mine.machine.effective_advskew
            for other in hosts.values()
            if self.segment.connected(mine, other)
        )

    @rule(groups=st.lists(st.integers(0, 2), min_size=5, max_size=5))
    def split(self, groups: list[int]) -> None:
        for host, group in zip(self.segment.hosts.values(), groups, strict=False):
            host.group = group
        self.segment.disturbed()

    @rule()
    def heal(self) -> None:
        for host in self.segment.hosts.values():
            host.group = 0
        self.segment.loss = self.segment.duplication = 0.0
        self.segment.delay = (0.0001, SLOW)
        self.segment.disturbed()

    @rule(loss=st.floats(0, 1), duplication=st.floats(0, 1), reordering=st.booleans())
    def disturb(self, loss: float, duplication: float, reordering: bool) -> None:
        self.segment.loss, self.segment.duplication = loss, duplication
        self.segment.delay = (0.0001, REORDERED if reordering else SLOW)
        self.segment.disturbed()

    @rule(number=st.integers(0, 4))
    def unplug_or_plug(self, number: int) -> None:
        host = self.host(number)
        host.plugged = not host.plugged
        carry = host.node.interface_up if host.plugged else host.node.interface_down
        self.segment.perform(host, carry(self.segment.now, "em0"))
        self.segment.disturbed()

    @rule(number=st.integers(0, 4))
    def stop_politely_and_start(self, number: int) -> None:
        host = self.host(number)
        self.segment.perform(host, host.machine.stop(self.segment.now))
        self.segment.perform(host, host.machine.start(self.segment.now))
        self.segment.disturbed()

    @rule(number=st.integers(0, 4), state=st.sampled_from([State.BACKUP, State.MASTER]))
    def force(self, number: int, state: State) -> None:
        host = self.host(number)
        self.segment.perform(host, host.machine.force_state(state, self.segment.now))
        self.segment.disturbed()

    @rule(number=st.integers(0, 4))
    def yield_or_release(self, number: int) -> None:
        host = self.host(number)
        wanted = not host.machine.yielded
        for other in self.segment.hosts.values():
            self.segment.perform(other, other.machine.release(self.segment.now))
        if wanted:
            self.segment.perform(host, host.machine.yield_role(self.segment.now))
        self.segment.disturbed()

    @rule(number=st.integers(0, 4))
    def demote_or_undo(self, number: int) -> None:
        """By 5 to 25, which makes no two of the advskews equal; up to FreeBSD 9 any demotion is 240, so only one."""
        host = self.host(number)
        number %= len(self.segment.hosts)
        plain = not host.node.personality.adds_demotion
        others = [self.host(n).node.personality.adds_demotion for n in self.demoted - {number}]
        if plain and not all(others):
            return
        self.demoted ^= {number}
        amount = 5 * (number + 1) if number in self.demoted else -5 * (number + 1)
        self.segment.perform(host, host.node.demote(amount, self.segment.now))
        self.segment.disturbed()

    @rule()
    def add_or_remove_an_address_everywhere(self) -> None:
        for host in self.segment.hosts.values():
            v4 = (VIP,) if OTHER in host.machine.config.v4 else (VIP, OTHER)
            self.segment.perform(host, host.machine.address_changed(self.segment.now, v4=v4))
        self.segment.disturbed()

    @rule(number=st.integers(0, 4), advskew=st.integers(0, 255), advbase=st.sampled_from([0, 1, 255]))
    def inject(self, number: int, advskew: int, advbase: int) -> None:
        host = self.host(number)
        before = (host.state, host.node.deadline())
        payload, family = forged(Family.IPV4, advskew=advskew, advbase=advbase)
        host.node.receive(payload, family, self.segment.now, interface="em0")
        assert (host.state, host.node.deadline()) == before

    @precondition(lambda self: hasattr(self, "segment"))
    @invariant()
    def no_host_is_idle(self) -> None:
        for host in self.segment.hosts.values():
            assert (host.node.deadline() is None) == (host.state is State.INIT) == (not host.machine.runnable)


class ManyElections(Election):
    """The same, more often."""


TestManyElections = pytest.mark.long(pytest.mark.timeout(900)(ManyElections.TestCase))
TestManyElections.settings = settings(
    max_examples=400, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestElection = Election.TestCase
TestElection.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_equal_settings_flap_as_they_do_on_real_hosts() -> None:
    """Not a wish but a fact: FreeBSD has no tie-break, so equal MASTERs step down for each other."""
    segment = Segment()
    segment.delay = (0.01, 0.01)
    for number, name in enumerate("ab"):
        segment.add(name, make_node("freebsd", 14, 2, seed=number), Vhid(1, key=b"k", v4=(VIP,)))
    segment.start()
    segment.run(3.05)
    assert segment.masters() == []
    assert all("more frequent" in host.log[-1] for host in segment.hosts.values())
