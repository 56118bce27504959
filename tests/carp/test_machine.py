"""One machine: timers, adverts, addresses, configuration, and any event in any state."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from carp_segment import FREEBSD_RELEASES, UNHURRIED, VIP, adverts, forged, make_node
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.carp import (
    Action,
    AddAddresses,
    Advertisement,
    Family,
    LinkState,
    Log,
    Machine,
    Node,
    Protocol,
    RemoveAddresses,
    SendAdvert,
    SendGratuitousArp,
    SendUnsolicitedNa,
    State,
    StateChanged,
    Vhid,
    encode,
)
from bsdcarp.carp.digest import Key
from bsdcarp.carp.moment import Moment
from bsdcarp.carp.state import TABLE, Event

OTHER, SIX = IPv4Address("192.0.2.11"), IPv6Address("2001:db8::10")
SYSTEMS: list[tuple[Any, ...]] = [*(("freebsd", *release) for release in FREEBSD_RELEASES), ("linux",)]


def make(*system: Any, **config: Any) -> tuple[Node, Machine]:
    node = make_node(*(system or ("freebsd", 14, 2)))
    config = {"advskew": 100, "key": b"k", "v4": (VIP,), **config}
    return node, node.add(Vhid(1, **config), "em0", "carp0")


def advert_of(config: Vhid, advskew: int, advbase: int = 1, counter: int = 77) -> bytes:
    key = Key(config.key, config.vhid, config.v4, config.v6)
    return encode(Advertisement(config.vhid, advskew, advbase, counter, key.digest(counter)))


def master(*system: Any, **config: Any) -> tuple[Node, Machine]:
    node, machine = make(*system, **config)
    machine.up(0.0)
    machine.on_timer(10.0)
    assert machine.state is State.MASTER
    return node, machine


def test_it_waits_three_times_advbase_plus_advskew_then_advertises_every_interval() -> None:
    _, machine = make(advbase=2, advskew=100)
    assert machine.deadline() is None
    machine.up(5.0)
    assert machine.state is State.BACKUP
    assert machine.deadline() == pytest.approx(5 + 6 + 100 / 256)
    assert machine.on_timer(11.3) == ()
    assert len(adverts(machine.on_timer(11.4))) == 1
    assert machine.deadline() == pytest.approx(11.4 + 2 + 100 / 256)
    (advert,) = adverts(machine.on_timer(14.0))
    assert (advert.advertisement.advbase, advert.advertisement.advskew) == (2, 100)
    assert machine.deadline() == pytest.approx(14 + 2 + 100 / 256)


def test_becoming_master_happens_in_order() -> None:
    _, machine = make(v4=(VIP, OTHER), v6=(SIX,))
    machine.up(0.0)
    actions = machine.on_timer(4.0)
    kinds = [type(a).__name__ for a in actions]
    assert kinds == [
        "Log",
        "StateChanged",
        "SendAdvert",
        "SendAdvert",
        "AddAddresses",
        "SendGratuitousArp",
        "SendGratuitousArp",
        "SendUnsolicitedNa",
    ]
    assert actions[1] == StateChanged(1, "em0", "1@em0", State.BACKUP, State.MASTER, "master timed out")
    assert actions[4] == AddAddresses(1, "em0", (VIP, OTHER), (SIX,))
    assert actions[5] == SendGratuitousArp(1, "em0", VIP)
    assert actions[7] == SendUnsolicitedNa(1, "em0", SIX)


def test_both_families_share_the_digest_and_count_on() -> None:
    _, machine = make("linux", v6=(SIX,))
    machine.up(0.0)
    four, six = adverts(machine.on_timer(4.0))
    assert (four.family, six.family) == (Family.IPV4, Family.IPV6)
    assert six.advertisement.counter == four.advertisement.counter + 1
    key = Key(b"k", 1, [VIP], [SIX])
    assert all(key.verify(a.advertisement.counter, a.advertisement.digest) for a in (four, six))


def test_either_familys_timer_makes_it_master() -> None:
    _, machine = make(v6=(SIX,))
    machine.up(0.0)
    for second in (1.0, 2.0, 3.0):
        machine.receive(advert_of(machine.config, 0), Family.IPV4, second)
    assert machine.deadline() == pytest.approx(3 + 100 / 256)
    machine.on_timer(3.5)
    assert machine.state is State.MASTER


def test_only_the_heard_familys_timer_is_restarted() -> None:
    _, machine = make(v6=(SIX,))
    machine.up(0.0)
    machine.receive(advert_of(machine.config, 0), Family.IPV4, 1.0)
    machine.receive(advert_of(machine.config, 0), Family.IPV6, 2.0)
    assert machine.deadline() == pytest.approx(1 + 3 + 100 / 256)


def test_a_late_timer_sends_one_advert_only() -> None:
    _, machine = master()
    assert len(adverts(machine.on_timer(1000.0))) == 1
    assert (machine.deadline() or 0) > 1000


def test_an_equal_advert_makes_the_master_step_down() -> None:
    _, machine = master()
    actions = machine.receive(advert_of(machine.config, 100), Family.IPV4, 11.0)
    assert machine.state is State.BACKUP
    assert RemoveAddresses(1, "em0", (VIP,), ()) in actions
    assert machine.deadline() == pytest.approx(11 + 3 + 100 / 256)


def test_a_slower_advert_does_not_impress_a_freebsd_master() -> None:
    _, machine = master()
    assert machine.receive(advert_of(machine.config, 101), Family.IPV4, 11.0) == ()
    assert machine.state is State.MASTER


def test_a_bow_out_is_answered_at_once_without_preempt() -> None:
    _, machine = make()
    machine.up(0.0)
    machine.receive(advert_of(machine.config, 255, 255), Family.IPV4, 1.0)
    assert machine.state is State.MASTER


@pytest.mark.parametrize(
    ("system", "polite"), [(("freebsd", 9, 3), True), (("freebsd", 14, 2), False), (("linux",), True)]
)
def test_stopping_a_master(system: tuple[Any, ...], polite: bool) -> None:
    _, machine = master(*system)
    actions = machine.stop(20.0)
    assert machine.state is State.INIT
    assert machine.deadline() is None
    assert RemoveAddresses(1, "em0", (VIP,), ()) in actions
    assert [a.advertisement.interval for a in adverts(actions)] == ([(255, 255)] if polite else [])
    machine.start(21.0)
    assert machine.state.value == "BACKUP"


def test_stopping_a_backup_says_nothing_and_an_absent_carrier_keeps_it_down() -> None:
    _, machine = make("linux")
    machine.up(0.0)
    assert adverts(machine.stop(1.0)) == []
    machine.down(2.0)
    machine.start(3.0)
    assert machine.state is State.INIT
    machine.up(4.0)
    assert machine.state.value == "BACKUP"


def test_up_twice_is_no_news_and_down_twice_demotes_once() -> None:
    node, machine = make()
    machine.up(0.0)
    assert machine.up(1.0) == ()
    machine.down(2.0)
    machine.down(3.0)
    assert node.demotion == 240
    machine.up(4.0)
    assert node.demotion == 0


def test_without_an_address_it_stays_in_init_but_gives_the_demotion_back() -> None:
    node, machine = make(v4=())
    machine.down(0.0)
    assert node.demotion == 240
    machine.up(1.0)
    assert (machine.state, node.demotion) == (State.INIT, 0)
    machine.address_changed(2.0, v4=(VIP,))
    assert machine.state is State.BACKUP


def test_a_restart_takes_a_master_through_init_to_backup() -> None:
    _, machine = master()
    changes = [(a.old, a.new) for a in machine.restart(11.0) if isinstance(a, StateChanged)]
    assert changes == [(State.MASTER, State.INIT), (State.INIT, State.BACKUP)]


def test_what_was_added_is_removed_even_if_the_list_changed() -> None:
    _, machine = master()
    actions = machine.address_changed(11.0, v4=(OTHER,))
    assert RemoveAddresses(1, "em0", (VIP,), ()) in actions
    assert AddAddresses(1, "em0", (OTHER,), ()) in machine.on_timer(15.0)


def test_freebsd_9_lets_go_of_one_address_without_a_restart() -> None:
    _, machine = master("freebsd", 9, 3, v4=(VIP, OTHER), v6=(SIX,))
    assert machine.address_changed(11.0, v4=(VIP,)) == (RemoveAddresses(1, "em0", (OTHER,), ()),)
    assert machine.address_changed(12.0, v6=()) == (RemoveAddresses(1, "em0", (), (SIX,)),)
    assert machine.state is State.MASTER
    machine.address_changed(13.0, v4=())
    assert (machine.state, machine.runnable, machine.deadline()) == (State.INIT, False, None)


def test_freebsd_9_stops_waiting_for_a_family_that_has_gone() -> None:
    _, machine = make("freebsd", 9, 3, v6=(SIX,))
    machine.up(0.0)
    machine.receive(advert_of(machine.config, 0), Family.IPV6, 2.0)
    assert machine.address_changed(2.5, v6=()) == ()
    assert machine.deadline() == pytest.approx(3 + 100 / 256)


def test_freebsd_9_mirrors_the_role_in_the_link_state() -> None:
    _, machine = make("freebsd", 9, 3)
    seen = [a for call in (machine.up(0.0), machine.on_timer(4.0), machine.stop(5.0)) for a in call]
    links = [a for a in seen if isinstance(a, LinkState)]
    assert [(a.name, a.state) for a in links] == [("carp0", "DOWN"), ("carp0", "UP"), ("carp0", "UNKNOWN")]


def test_the_password_cannot_be_emptied_from_freebsd_10_on() -> None:
    _, new = make("freebsd", 10, 4)
    _, old = make("freebsd", 9, 3)
    new.configure(0.0, key=b"", advskew=7)
    old.configure(0.0, key=b"")
    assert (new.config.key, new.config.advskew, old.config.key) == (b"k", 7, b"")


def test_configuring_restarts_the_running_timer_up_to_freebsd_9() -> None:
    _, old = make("freebsd", 9, 3)
    assert old.configure(0.0, advskew=3) == ()
    old.up(0.0)
    old.configure(2.0, advskew=5)
    assert old.deadline() == pytest.approx(2 + 3 + 5 / 256)
    old.on_timer(6.0)
    old.configure(6.5, advskew=0)
    assert old.deadline() == pytest.approx(7.5)
    _, new = make("freebsd", 10, 4)
    new.up(0.0)
    new.configure(2.0, advskew=5)
    assert new.deadline() == pytest.approx(3 + 100 / 256)


@pytest.mark.parametrize(
    "wrong",
    [{"advskew": 255}, {"advbase": 256}, {"advbase": 0, "advskew": 0}, {"vhid": 0}, {"key": b"x" * 21}],
)
def test_values_that_no_kernel_accepts_are_refused_and_change_nothing(wrong: dict[str, Any]) -> None:
    _, machine = make()
    before = machine.config
    with pytest.raises(ValueError, match=r"advskew|advbase|vhid|key"):
        machine.configure(0.0, **wrong)
    assert machine.config == before


def test_vrrp_is_a_known_protocol_that_is_not_spoken() -> None:
    node, machine = make()
    with pytest.raises(ValueError, match="vrrp3 is not spoken yet"):
        node.add(Vhid(2, protocol=Protocol.VRRP3), "em0")
    with pytest.raises(ValueError, match="cannot change its protocol"):
        machine.configure(0.0, protocol=Protocol.VRRP3)


def test_a_configuration_does_not_show_its_key() -> None:
    _, machine = make(key=b"hunter2")
    assert "hunter2" not in repr(machine.config) + repr(machine) + repr(machine.transmitter)
    assert repr(machine) == "<Machine 1@em0 INIT>"


def test_linux_announces_again_two_adverts_later_and_against_a_slower_master() -> None:
    _, machine = make("linux", v6=(SIX,))
    machine.up(0.0)

    def announced(actions: tuple[Action, ...]) -> int:
        return sum(isinstance(a, SendGratuitousArp | SendUnsolicitedNa) for a in actions)

    slower = advert_of(machine.config, 200)
    assert announced(machine.on_timer(4.0)) == 2
    assert announced(machine.on_timer(6.0)) == 0
    # A replayed advert draws nothing as long as the repetition is pending.
    assert announced(machine.receive(slower, Family.IPV4, 6.5)) == 0
    assert announced(machine.on_timer(8.0)) == 2
    assert announced(machine.on_timer(10.0)) == 0
    assert announced(machine.receive(slower, Family.IPV4, 10.5)) == 2
    assert announced(machine.receive(slower, Family.IPV4, 10.6)) == 0


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_backup_follows_the_heard_counter_except_on_linux(system: tuple[Any, ...]) -> None:
    _, machine = make(*system)
    machine.up(0.0)
    machine.receive(advert_of(machine.config, 0, counter=2**64 - 1), Family.IPV4, 1.0)
    machine.on_timer(5.0)
    first, second = (adverts(machine.on_timer(at))[0].advertisement.counter for at in (7.0, 9.0))
    assert second == first + 1
    assert (first == 1) is (system[0] == "freebsd")


def test_freebsd_draws_every_counter_until_it_has_heard_one() -> None:
    _, machine = master()
    first, second = (adverts(machine.on_timer(at))[0].advertisement.counter for at in (20.0, 30.0))
    assert second not in {first, first + 1}


@pytest.mark.parametrize(
    ("system", "dscp", "four", "six"),
    [
        (("freebsd", 9, 3), 56, 0x10, 0),
        (("freebsd", 11, 2), 56, 0x10, 0),
        (("freebsd", 11, 3), 56, 0xE0, 0xE0),
        (("freebsd", 14, 0), 4, 0x10, 0x10),
        (("linux",), 56, 0xE0, 0xE0),
    ],
)
def test_the_traffic_class_of_each_release(system: tuple[Any, ...], dscp: int, four: int, six: int) -> None:
    node, machine = make(*system, v6=(SIX,))
    node.set(0.0, dscp=dscp)
    machine.up(0.0)
    assert [a.traffic_class for a in adverts(machine.on_timer(4.0))] == [four, six]


def test_unicast_peers_are_used_where_the_release_knows_them() -> None:
    peer, peer6 = IPv4Address("192.0.2.2"), IPv6Address("2001:db8::2")
    for system, wanted in (
        (("freebsd", 13, 2), ["224.0.0.18", "ff02::12"]),
        (("freebsd", 14, 0), [str(peer), str(peer6)]),
    ):
        _, machine = make(*system, v6=(SIX,), peer=peer, peer6=peer6)
        machine.up(0.0)
        sent = adverts(machine.on_timer(4.0))
        assert [str(a.destination) for a in sent] == wanted
    mac = bytes(6)
    assert sent[0].frame(IPv4Address("192.0.2.1"), mac, b"\x02" + bytes(5))[30:34] == peer.packed
    assert sent[1].frame(SIX, mac, b"\x02" + bytes(5))[38:54] == peer6.packed
    with pytest.raises(ValueError, match="MAC"):
        sent[0].frame(IPv4Address("192.0.2.1"))


def test_a_frame_of_the_wrong_family_goes_to_that_familys_group() -> None:
    _, machine = make(v6=(SIX,))
    machine.up(0.0)
    four, six = adverts(machine.on_timer(4.0))
    assert six.frame(IPv4Address("192.0.2.1"))[30:34] == bytes((224, 0, 0, 18))
    assert four.frame(SIX)[38:40] == b"\xff\x02"


EVENTS = (
        "up", "down", "stop", "start", "restart", "timer", "equal", "better", "slower", "bow-out", "v6", "forged",
        "force MASTER", "force BACKUP", "force INIT", "configure", "empty", "one", "two", "fail", "sent", "demote",
        "undemote", "allow=0", "allow=1", "preempt=1", "preempt=0", "yield_role", "release", "replay", "renamed",
)  # fmt: skip
events = st.sampled_from(EVENTS)


def drive(node: Node, machine: Machine, event: str, now: float) -> tuple[Action, ...]:
    config = machine.config
    name, _, value = event.partition("=")
    calls: dict[str, Any] = {
        "timer": lambda: machine.on_timer(now),
        "equal": lambda: machine.receive(advert_of(config, config.advskew), Family.IPV4, now),
        "better": lambda: machine.receive(advert_of(config, 0), Family.IPV4, now),
        "slower": lambda: machine.receive(advert_of(config, 240, 2), Family.IPV4, now),
        "bow-out": lambda: machine.receive(advert_of(config, 255, 255), Family.IPV4, now),
        "v6": lambda: machine.receive(advert_of(config, 0), Family.IPV6, now),
        "forged": lambda: machine.receive(*forged(), now),
        "configure": lambda: machine.configure(now, advskew=(config.advskew + 90) % 255),
        "empty": lambda: machine.address_changed(now, v4=(), v6=()),
        "one": lambda: machine.address_changed(now, v4=(VIP,), v6=()),
        "two": lambda: machine.address_changed(now, v4=(OTHER, VIP), v6=(SIX,)),
        "fail": lambda: machine.send_result(now, ok=False, error=55),
        "sent": lambda: machine.send_result(now, ok=True),
        "demote": lambda: node.demote(300, now),
        "undemote": lambda: node.demote(-400, now),
        "replay": lambda: machine.receive(advert_of(config, 0, counter=1), Family.IPV4, now),
    }
    if name == "renamed":
        machine.parent = "em9"
        return ()
    if value:
        return node.set(now, **{name: int(value)})
    if name.startswith("force"):
        return machine.force_state(State(name.split()[1]), now)
    result: tuple[Action, ...] = calls[name]() if name in calls else getattr(machine, name)(now)
    return result


def follow(node: Node, machine: Machine, schedule: list[tuple[str, float]]) -> None:
    """Drive the machine and check after each event what always has to hold."""
    now = 100.0
    held: set[object] = set()
    for event, wait in schedule:
        now += wait
        before = machine.state
        for action in drive(node, machine, event, now):
            if isinstance(action, AddAddresses):
                assert not held & {*action.v4, *action.v6}
                held |= {*action.v4, *action.v6}
            elif isinstance(action, RemoveAddresses):
                assert held >= {*action.v4, *action.v6}
                held -= {*action.v4, *action.v6}
            elif isinstance(action, StateChanged):
                assert action.old is before
                before = action.new
            elif isinstance(action, SendAdvert):
                assert 0 <= action.advertisement.advskew <= 255
        assert machine.state is before
        assert held == ({*machine.config.v4, *machine.config.v6} if machine.state is State.MASTER else set())
        assert machine.runnable or machine.state is State.INIT
        deadline = machine.deadline()
        assert (deadline is None) == (machine.state is State.INIT)
        if event == "timer" and deadline is not None:
            assert deadline > now


EACH_KIND: list[tuple[Any, ...]] = [
    *(("freebsd", *release) for release in ((9, 3), (10, 4), (12, 1), (14, 2))),
    ("linux",),
]
BEGINNINGS = {State.INIT: [], State.BACKUP: ["up"], State.MASTER: ["up", "force MASTER"]}


@pytest.mark.parametrize("system", EACH_KIND, ids=str)
@pytest.mark.parametrize("start", list(State))
def test_every_event_in_every_state_and_what_can_follow_it(system: tuple[Any, ...], start: State) -> None:
    """All of them, and all pairs of them: 5 systems, 3 states, 31 events and one more."""
    for event in EVENTS:
        for following in EVENTS:
            node, machine = make(*system)
            beginning = [(name, 0.0) for name in BEGINNINGS[start]]
            follow(node, machine, [*beginning, (event, 0.5), (following, 0.5), ("timer", 5.0)])


@pytest.mark.parametrize("system", SYSTEMS, ids=str)
@pytest.mark.parametrize(("state", "event"), sorted(TABLE, key=str))
def test_the_machine_does_what_the_table_says(system: tuple[Any, ...], state: State, event: Event) -> None:
    _, machine = make(*system, v6=(SIX,))
    for name in BEGINNINGS[state]:
        drive(machine._node, machine, name, 0.0)
    assert machine.state is state
    machine.feed(event, Moment(1.0))
    assert machine.state is TABLE[state, event].next


@UNHURRIED
@given(
    st.sampled_from(SYSTEMS), st.sampled_from(list(State)), st.lists(st.tuples(events, st.floats(0, 5)), max_size=30)
)
def test_any_event_in_any_state_ends_in_a_known_state(
    system: tuple[Any, ...], start: State, schedule: list[tuple[str, float]]
) -> None:
    node, machine = make(*system)
    schedule = [*((event, 0.0) for event in BEGINNINGS[start]), *schedule]
    follow(node, machine, schedule)


@UNHURRIED
@given(
    st.sampled_from(SYSTEMS),
    st.sampled_from(list(State)),
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 2**64 - 1),
    st.sampled_from(list(Family)),
)
def test_an_advert_without_the_right_digest_changes_nothing(
    system: tuple[Any, ...], state: State, advskew: int, advbase: int, counter: int, family: Family
) -> None:
    node, machine = make(*system, v6=(SIX,))
    node.set(0.0, preempt=1)
    if state is not State.INIT:
        machine.up(0.0)
    if state is State.MASTER:
        machine.on_timer(10.0)
    before = (machine.state, machine.deadline(), node.demotion)
    payload, _ = forged(advskew=advskew, advbase=advbase, counter=counter)
    assert all(isinstance(action, Log) for action in machine.receive(payload, family, 11.0))
    assert (machine.state, machine.deadline(), node.demotion) == before
    assert node.statistics.carps_badauth + node.statistics.carps_badvhid == 1
