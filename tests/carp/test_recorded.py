"""What was recorded on real FreeBSD hosts, played again with the core in their place."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from carp_segment import VIP, Segment, make_node, pair

from bsdcarp.carp import State, Vhid

OTHER = IPv4Address("192.0.2.11")
FOREIGN = ["freebsd 9.3", "freebsd 10.4", "freebsd 12.1", "freebsd 14.2", "linux 0.0"]


def parse(system: str) -> tuple[str, int, int]:
    name, release = system.split()
    major, minor = release.split(".")
    return name, int(major), int(minor)


def test_12_1_demotion_moves_the_role_only_when_the_peer_preempts() -> None:
    segment, a, b = pair("freebsd", 12, 1)
    segment.perform(a, a.node.set(segment.now, preempt=1))
    assert (a.state, b.state) == (State.MASTER, State.BACKUP)
    segment.perform(a, a.node.demote(240, segment.now))
    segment.run(4)
    assert (a.state, b.state) == (State.MASTER, State.BACKUP)
    segment.perform(b, b.node.set(segment.now, preempt=1))
    segment.run(4)
    assert (a.state, b.state) == (State.BACKUP, State.MASTER)
    assert a.log[-2:] == [
        "carp: demoted by 240 to 240 (sysctl)",
        "carp: 1@em0: MASTER -> BACKUP (more frequent advertisement received)",
    ]
    assert b.log == [
        "carp: 1@em0: INIT -> BACKUP (initialization complete)",
        "carp: 1@em0: BACKUP -> MASTER (preempting a slower master)",
    ]
    segment.perform(a, a.node.demote(-240, segment.now))
    segment.run(5)
    assert (a.state, b.state) == (State.MASTER, State.BACKUP)
    assert a.log[-2:] == [
        "carp: demoted by -240 to 0 (sysctl)",
        "carp: 1@em0: BACKUP -> MASTER (preempting a slower master)",
    ]


def test_12_1_demotion_adds_and_is_not_clamped() -> None:
    _, a, _ = pair("freebsd", 12, 1)
    for amount in (240, 240, -480, -10, 10):
        a.done += a.node.demote(amount, 1010.0)
    assert [line for line in a.log if "demoted" in line] == [
        "carp: demoted by 240 to 240 (sysctl)",
        "carp: demoted by 240 to 480 (sysctl)",
        "carp: demoted by -480 to 0 (sysctl)",
        "carp: demoted by -10 to -10 (sysctl)",
        "carp: demoted by 10 to 0 (sysctl)",
    ]


def test_12_1_a_forced_state_is_undone_by_preemption() -> None:
    segment, a, b = pair("freebsd", 12, 1, preempt=1)
    segment.perform(a, a.machine.force_state(State.BACKUP, segment.now))
    assert (a.state, b.state) == (State.BACKUP, State.BACKUP)
    segment.run(5)
    assert (a.state, b.state) == (State.MASTER, State.BACKUP)
    segment.perform(b, b.machine.force_state(State.MASTER, segment.now))
    assert b.state is State.MASTER
    segment.run(3)
    assert (a.state, b.state) == (State.MASTER, State.BACKUP)
    assert b.log[-2:] == [
        "carp: 1@em0: BACKUP -> MASTER (user requested via ifconfig)",
        "carp: 1@em0: MASTER -> BACKUP (more frequent advertisement received)",
    ]
    assert "carp: 1@em0: MASTER -> BACKUP (user requested via ifconfig)" in a.log
    assert b.machine.force_state(State.INIT, segment.now) == ()


def test_12_1_the_same_address_once_more_costs_the_role_for_a_while() -> None:
    segment, a, b = pair("freebsd", 12, 1, preempt=1)
    segment.perform(a, a.machine.address_changed(segment.now, v4=(VIP,)))
    assert a.state is State.BACKUP
    assert a.log[-2:] == [
        "carp: 1@em0: MASTER -> INIT (hardware interface up)",
        "carp: 1@em0: INIT -> BACKUP (initialization complete)",
    ]
    segment.run(6)
    assert (a.state, b.state) == (State.MASTER, State.BACKUP)


def test_12_1_parameters_alone_move_nothing() -> None:
    segment, a, _ = pair("freebsd", 12, 1, preempt=1)
    before = len(a.log)
    segment.perform(a, a.machine.configure(segment.now, advskew=0, key=b"testpass1"))
    segment.perform(a, a.machine.configure(segment.now, advskew=50))
    segment.perform(a, a.machine.configure(segment.now, advbase=2))
    segment.perform(a, a.machine.configure(segment.now, advbase=1, advskew=0))
    segment.run(2)
    assert (a.state, len(a.log)) == (State.MASTER, before)


def test_12_1_a_second_address_on_one_host_makes_two_masters_until_the_other_has_it_too() -> None:
    segment, a, b = pair("freebsd", 12, 1, preempt=1)
    segment.perform(a, a.machine.address_changed(segment.now, v4=(VIP, OTHER)))
    segment.run(5)
    assert (a.state, b.state) == (State.MASTER, State.MASTER)
    assert b.node.statistics.carps_badauth > 0
    assert b.node.statistics.carps_badaddrs == 0
    segment.perform(b, b.machine.address_changed(segment.now, v4=(OTHER, VIP)))
    segment.run(5)
    assert (a.state, b.state) == (State.MASTER, State.BACKUP)


def test_12_1_the_interface_goes_down_and_up_with_two_vhids() -> None:
    segment = Segment()
    key = b"testpass1"
    vhids = Vhid(1, key=key, v4=(VIP,)), Vhid(2, key=key, v4=(OTHER,))
    host = segment.add("a", make_node("freebsd", 12, 1, preempt=1), *vhids)
    segment.start()
    segment.run(4)
    host.done.clear()
    segment.perform(host, host.node.interface_down(segment.now, "em0"))
    segment.perform(host, host.node.interface_up(segment.now, "em0"))
    assert host.log == [
        "carp: 1@em0: MASTER -> INIT (hardware interface down)",
        "carp: demoted by 240 to 240 (interface down)",
        "carp: 2@em0: MASTER -> INIT (hardware interface down)",
        "carp: demoted by 240 to 480 (interface down)",
        "carp: 1@em0: INIT -> BACKUP (initialization complete)",
        "carp: demoted by -240 to 240 (interface up)",
        "carp: 2@em0: INIT -> BACKUP (initialization complete)",
        "carp: demoted by -240 to 0 (interface up)",
    ]


def test_12_1_removing_the_last_address_says_no_goodbye() -> None:
    segment, a, _ = pair("freebsd", 12, 1, preempt=1)
    segment.run(0.5)
    segment.perform(a, a.machine.address_changed(segment.now, v4=()))
    assert a.state is State.INIT
    assert a.log[-1] == "carp: 1@em0: MASTER -> INIT (hardware interface up)"
    segment.perform(a, a.node.remove(a.machine, segment.now))
    assert a.node.deadline() is None
    segment.hosts.pop("a")
    # b heard the last advert half a second ago and waits 3 + 100/256 s from then.
    segment.run(2.8)
    assert segment.masters() == []
    segment.run(0.2)
    assert segment.masters() == ["b"]


def test_10_4_logs_in_its_own_words() -> None:
    segment, a, b = pair("freebsd", 10, 4)
    assert a.log == ["carp: VHID 1@em0: INIT -> BACKUP", "carp: VHID 1@em0: BACKUP -> MASTER (master down)"]
    segment.perform(b, b.machine.force_state(State.MASTER, segment.now))
    segment.run(2)
    assert b.log[1:] == ["carp: VHID 1@em0: MASTER -> BACKUP (more frequent advertisement received)"]


def test_10_4_the_same_address_once_more_is_harmless() -> None:
    segment, a, _ = pair("freebsd", 10, 4)
    assert a.machine.address_changed(segment.now, v4=(VIP,)) == ()
    assert a.state is State.MASTER


def test_9_3_logs_link_states_and_little_else() -> None:
    segment, a, b = pair("freebsd", 9, 3, preempt=1)
    assert a.log == ["carp0: INIT -> BACKUP", "carp0: link state changed to DOWN", "carp0: link state changed to UP"]
    segment.perform(a, a.machine.configure(segment.now, advskew=200))
    segment.run(4)
    assert (a.state, b.state) == (State.BACKUP, State.MASTER)
    assert a.log[3:] == [
        "carp0: MASTER -> BACKUP (more frequent advertisement received)",
        "carp0: link state changed to DOWN",
    ]
    assert b.log[-2:] == ["carp0: BACKUP -> MASTER (preempting a slower master)", "carp0: link state changed to UP"]
    segment.perform(a, a.machine.configure(segment.now, advskew=0))
    segment.run(4)
    assert (a.state, b.state) == (State.MASTER, State.BACKUP)


def test_9_3_the_pseudo_interface_is_set_down_and_up() -> None:
    segment, a, b = pair("freebsd", 9, 3)
    a.done.clear()
    segment.perform(a, a.machine.stop(segment.now))
    segment.run(0.01)
    # The bow-out makes the peer take over at once, without preempt.
    assert (a.state, b.state) == (State.INIT, State.MASTER)
    assert b.log[-2:] == ["carp0: BACKUP -> MASTER (master timed out)", "carp0: link state changed to UP"]
    segment.perform(a, a.machine.start(segment.now))
    segment.run(4)
    assert (a.state, b.state) == (State.BACKUP, State.MASTER)
    assert a.log == [
        "carp0: link state changed to DOWN",
        "carp0: INIT -> BACKUP",
        "carp0: link state changed to DOWN",
    ]


def test_9_3_the_parent_goes_down_with_two_vhids() -> None:
    segment = Segment()
    vhids = Vhid(1, v4=(VIP,)), Vhid(2, v4=(OTHER,), advskew=100)
    host = segment.add("a", make_node("freebsd", 9, 3, preempt=1), *vhids)
    segment.start()
    segment.run(4)
    host.done.clear()
    segment.perform(host, host.node.interface_down(segment.now, "em0"))
    assert host.node.demotion == 2
    assert [m.state for m in host.node.machines] == [State.INIT, State.INIT]
    segment.perform(host, host.node.interface_up(segment.now, "em0"))
    assert host.node.demotion == 0
    assert host.log == [
        "carp0: link state changed to DOWN",
        "carp1: link state changed to DOWN",
        "carp0: INIT -> BACKUP",
        "carp0: link state changed to DOWN",
        "carp1: INIT -> BACKUP",
        "carp1: link state changed to DOWN",
    ]


def test_9_3_adding_an_address_restarts_and_a_forced_state_is_not_logged() -> None:
    segment, a, _ = pair("freebsd", 9, 3)
    a.done.clear()
    segment.perform(a, a.machine.address_changed(segment.now, v4=(VIP, OTHER)))
    assert a.log == [
        "carp0: link state changed to DOWN",
        "carp0: INIT -> BACKUP",
        "carp0: link state changed to DOWN",
    ]
    segment.run(4)
    a.done.clear()
    segment.perform(a, a.machine.force_state(State.BACKUP, segment.now))
    assert a.log == ["carp0: link state changed to DOWN"]


@pytest.mark.parametrize("system", FOREIGN)
def test_a_wrong_password_makes_two_masters_and_counts_bad_authentication(system: str) -> None:
    segment, a, b = pair(*parse(system), keys=(b"x", b"y"), log=2)
    assert (a.state, b.state) == (State.MASTER, State.MASTER)
    segment.run(5)
    assert (a.state, b.state) == (State.MASTER, State.MASTER)
    assert a.node.statistics.carps_badauth > 0
    assert f"\t\t{b.node.statistics.carps_badauth} discarded for bad authentication" in b.node.statistics.netstat()
    wanted = "carp0: incorrect hash" if system == "freebsd 9.3" else "carp_input_c: incorrect hash for VHID 1@em0"
    assert a.log[-1] == b.log[-1] == wanted
    segment.perform(b, b.machine.configure(segment.now, key=b"x"))
    segment.run(5)
    assert (a.state, b.state) == (State.MASTER, State.BACKUP)


@pytest.mark.parametrize("system", FOREIGN)
def test_the_preferred_host_wins_and_the_other_follows_its_loss(system: str) -> None:
    segment, a, b = pair(*parse(system))
    assert (a.state, b.state) == (State.MASTER, State.BACKUP)
    a.plugged = False
    segment.perform(a, a.node.interface_down(segment.now, "em0"))
    segment.run(3 + 101 / 256)
    assert (a.state, b.state) == (State.INIT, State.MASTER)
    a.plugged = True
    segment.perform(a, a.node.interface_up(segment.now, "em0"))
    segment.run(6)
    # Without preempt the role stays where it is.
    assert (a.state, b.state) == (State.BACKUP, State.MASTER)
    segment.perform(a, a.node.set(segment.now, preempt=1))
    segment.run(3)
    assert (a.state, b.state) == (State.MASTER, State.BACKUP)


@pytest.mark.parametrize("mine", FOREIGN)
@pytest.mark.parametrize("theirs", FOREIGN)
def test_every_release_elects_with_every_other(mine: str, theirs: str) -> None:
    segment = Segment()
    for seed, (name, system, skew) in enumerate([("a", mine, 10), ("b", theirs, 20)]):
        node = make_node(*parse(system), seed=seed, preempt=1)
        segment.add(name, node, Vhid(1, advskew=skew, key=b"k", v4=(VIP, OTHER)))
    segment.start()
    segment.run(8)
    assert segment.masters() == ["a"]
    segment.perform(segment.hosts["a"], segment.hosts["a"].machine.force_state(State.BACKUP, segment.now))
    segment.run(8)
    assert segment.masters() == ["a"]
