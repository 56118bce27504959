"""The daemon on a segment of fakes: elections, handovers, reloads, and interfaces that come and go."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_interface

import pytest
from daemon_fakes import Host, World

from bsdcarp.carp import Settings, State
from bsdcarp.carpd.config import Config, ConfigError, VhidConfig
from bsdcarp.carpd.errors import NetlinkError, Refused
from bsdcarp.carpd.responder import ArpRequest
from bsdcarp.carpd.rtnl.messages import Address
from bsdcarp.carpd.rtnl.monitor import AddressEvent, Everything, RoutesChanged


def vhid(
    number: int = 1, *addresses: str, advskew: int = 0, interface: str = "eth0", password: str = "secret"
) -> VhidConfig:
    found = tuple(ip_interface(text) for text in addresses) or (ip_interface(f"192.0.2.{number}/24"),)
    return VhidConfig("web", number, interface, 1, advskew, password, None, None, found, True)


def config(*vhids: VhidConfig, **settings: int) -> Config:
    return Config(Settings(**settings), None, vhids or (vhid(),))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture
def pair(world: World) -> tuple[Host, Host]:
    """A MASTER, and a BACKUP with advskew 100."""
    first, second = world.add(config(vhid())), world.add(config(vhid(advskew=100)))
    world.pass_time(5)
    assert (first.states(), second.states()) == (["MASTER"], ["BACKUP"])
    for host in (first, second):
        host.said.clear()
        host.changes.clear()
        host.lines.clear()
        host.calls.clear()
    return first, second


def test_the_one_with_the_smaller_advskew_becomes_master_and_announces(world: World) -> None:
    first, second = world.add(config(vhid())), world.add(config(vhid(advskew=100)))
    assert first.states() == ["BACKUP"]
    world.pass_time(3.2)
    assert (first.states(), second.states()) == (["MASTER"], ["BACKUP"])
    assert first.said[:4] == [
        ("told", "BACKUP"),
        ("appear", ("192.0.2.1",)),
        ("advert", (1, 0)),
        ("announce", IPv4Address("192.0.2.1")),
    ]
    assert first.said[4] == ("told", "MASTER")
    assert [change.reason for change in first.changes] == ["initialization complete", "master timed out"]
    assert first.changes[1].addresses == ("192.0.2.1/24",)
    assert first.lines == [
        "info: carp: 1@eth0: INIT -> BACKUP (initialization complete)",
        "info: carp: 1@eth0: BACKUP -> MASTER (master timed out)",
    ]


def test_the_backup_takes_over_when_the_master_is_silent(world: World, pair: tuple[Host, Host]) -> None:
    first, second = pair
    first.ports["eth0"].error = 100
    world.pass_time(3.1)
    assert second.states() == ["BACKUP"]
    world.pass_time(0.5)
    assert second.states() == ["MASTER"]


def test_a_new_master_says_it_again_soon_because_switches_learn_from_anybody(world: World) -> None:
    host = world.add(config())
    world.pass_time(3.001)
    before = host.said.count(("announce", IPv4Address("192.0.2.1")))
    world.pass_time(0.2)
    assert host.said.count(("announce", IPv4Address("192.0.2.1"))) == before + 4


def test_a_stop_bows_out_before_the_addresses_go_and_the_peer_takes_over_at_once(
    world: World, pair: tuple[Host, Host]
) -> None:
    first, second = pair
    first.daemon.close()
    world.settle()
    assert first.said == [
        ("advert", (255, 255)),
        ("vanish", ("192.0.2.1",)),
        ("closed", None),
        ("told", "INIT"),
    ]
    assert first.calls == ["stopping"]
    assert second.states() == ["MASTER"]
    assert first.ports["eth0"].closed
    first.daemon.close()
    assert first.calls == ["stopping"]


def test_run_says_ready_and_closes_whatever_happens(world: World) -> None:
    host = world.add(config())
    host.loop.run = lambda: None  # type: ignore[method-assign]  # nothing to wait for
    assert host.daemon.run() == 0
    assert host.calls == ["ready", "stopping"]


def test_addresses_stay_after_the_bow_out_until_the_next_master_is_heard(world: World, pair: tuple[Host, Host]) -> None:
    first, second = pair
    first.daemon.request_stop()
    assert first.said == [("advert", (255, 255))]
    world.pass_time(0.004)
    assert second.states() == ["MASTER"]
    assert first.said == [("advert", (255, 255)), ("vanish", ("192.0.2.1",)), ("told", "INIT")]
    assert first.loop._stopped
    first.daemon.close()
    assert first.calls == ["stopping"]


def test_addresses_go_soon_after_the_bow_out_when_nobody_else_is_there(world: World) -> None:
    host = world.add(config())
    world.pass_time(4)
    host.said.clear()
    host.daemon.request_stop()
    world.pass_time(0.019)
    assert not host.loop._stopped
    assert host.said == [("advert", (255, 255))]
    assert host.reload(config()) is None
    world.pass_time(0.004)
    assert host.said[1:] == [("vanish", ("192.0.2.1",)), ("told", "INIT")]
    assert host.loop._stopped


def test_a_second_request_to_stop_does_not_wait(world: World) -> None:
    host = world.add(config())
    world.pass_time(4)
    host.daemon.request_stop()
    host.daemon.request_stop()
    assert host.loop._stopped


def test_a_role_that_comes_back_at_once_takes_its_addresses_again(world: World, pair: tuple[Host, Host]) -> None:
    first, second = pair
    second.ports["eth0"].error = 100
    first.said.clear()
    first.daemon.failover(1)
    first.loop.call_later(
        0.01,
        lambda: first.daemon._vhids.performer.perform(
            first.daemon._vhids.node.machines[0].force_state(State.MASTER, world.clock.time)
        ),
    )
    world.pass_time(0.05)
    assert [said for said in first.said if said[0] in ("vanish", "appear", "told")] == [
        ("vanish", ("192.0.2.1",)),
        ("told", "BACKUP"),
        ("appear", ("192.0.2.1",)),
        ("told", "MASTER"),
    ]


def test_failover_hands_over_and_stays_behind_until_undone(world: World, pair: tuple[Host, Host]) -> None:
    first, second = pair
    first.daemon.failover(1)
    world.pass_time(0)
    assert first.said[:2] == [("advert", (255, 255)), ("vanish", ("192.0.2.1",))]
    assert (first.states(), second.states()) == (["BACKUP"], ["MASTER"])
    world.pass_time(20)
    assert first.states() == ["BACKUP"]
    status = first.daemon.snapshot().vhids[0]
    assert (status.failover, status.effective_advskew, status.config.advskew) == (True, 254, 0)
    first.daemon.failover(1, "eth0", undo=True)
    assert not first.daemon.snapshot().vhids[0].failover
    second.ports["eth0"].error = 100
    world.pass_time(4)
    assert first.states() == ["MASTER"]


def test_a_handed_over_vhid_replaces_a_dead_peer(world: World, pair: tuple[Host, Host]) -> None:
    first, second = pair
    first.daemon.failover(1)
    world.pass_time(1)
    second.ports["eth0"].error = 100
    world.pass_time(5)
    assert first.states() == ["MASTER"]


def test_failover_names_what_is_wrong_with_the_request(world: World) -> None:
    host = world.add(config(vhid(1), vhid(1, "192.0.2.9/24", interface="eth1")), "eth0", "eth1")
    with pytest.raises(LookupError, match="vhid 7 is not configured"):
        host.daemon.failover(7)
    with pytest.raises(LookupError, match="vhid 1 is not configured on eth9"):
        host.daemon.failover(1, "eth9")
    with pytest.raises(LookupError, match="vhid 1 is on eth0, eth1: name the interface"):
        host.daemon.failover(1)
    with pytest.raises(LookupError, match="vhid 1 on eth1 has not been handed over"):
        host.daemon.failover(1, "eth1", undo=True)


def test_demotion_by_hand_is_added_and_all_of_it_taken_back(world: World) -> None:
    first, second = world.add(config(vhid(), preempt=1)), world.add(config(vhid(advskew=100), preempt=1))
    world.pass_time(4)
    first.daemon.demote(200)
    first.daemon.demote(40)
    world.settle()
    assert (first.daemon.snapshot().demotion, second.states()) == (240, ["MASTER"])
    assert "info: carp: demoted by 40 to 240 (sysctl)" in first.lines
    assert first.daemon.undemote() == 240
    assert first.daemon.undemote() == 0
    world.pass_time(2)
    assert (first.daemon.snapshot().demotion, first.states()) == (0, ["MASTER"])
    assert ("demoted", -240, 0, "sysctl") in first.calls


def test_a_lost_link_stops_the_vhid_and_demotes_the_host_until_it_is_back(
    world: World, pair: tuple[Host, Host]
) -> None:
    first, _ = pair
    first.set_link("eth0", usable=False)
    world.settle()
    assert first.states() == ["INIT"]
    assert first.daemon.snapshot().demotion == 240
    assert ("vanish", ("192.0.2.1",)) in first.said
    assert not [said for said in first.said if said[0] == "advert"]
    first.set_link("eth0")
    world.settle()
    assert first.states() == ["BACKUP"]
    assert first.daemon.snapshot().demotion == 0


def test_a_parent_may_vanish_and_come_back_with_another_index(world: World, pair: tuple[Host, Host]) -> None:
    first, second = pair
    port = first.ports["eth0"]
    first.set_link("eth0", gone=True)
    world.pass_time(4)
    assert port.closed
    assert (first.states(), second.states()) == (["INIT"], ["MASTER"])
    assert first.findings() == ["no such interface"]
    assert not first.daemon.snapshot().vhids[0].present
    first.set_link("eth0", index=9)
    world.pass_time(2)
    assert (first.states(), first.findings()) == (["BACKUP"], [])
    assert first.ports["eth0"].index == 9


def test_a_parent_that_is_replaced_without_a_word_is_attached_anew(world: World, pair: tuple[Host, Host]) -> None:
    first, _ = pair
    first.set_link("eth0", index=9)
    world.settle()
    assert first.ports["eth0"].index == 9
    assert first.states() == ["BACKUP"]


def test_a_renamed_parent_is_gone(world: World, pair: tuple[Host, Host]) -> None:
    first, _ = pair
    first.set_link("lan0")
    world.settle()
    assert first.states() == ["INIT"]


def test_a_parent_may_come_after_the_daemon(world: World) -> None:
    host = world.add(config(), "other0")
    assert host.findings() == ["no such interface"]
    host.set_link("eth0", index=5, usable=False)
    world.settle()
    assert host.states() == ["INIT"]
    host.set_link("eth0", index=5)
    world.pass_time(4)
    assert host.states() == ["MASTER"]
    assert host.daemon.snapshot().demotion == 0


def test_after_lost_news_everything_is_looked_at_again(world: World, pair: tuple[Host, Host]) -> None:
    first, _ = pair
    first.queue.append(Everything((), ()))
    world.settle()
    assert first.states() == ["INIT"]
    first.queue.append(Everything(tuple(first.links.values()), ()))
    world.pass_time(0.1)
    assert first.states() == ["BACKUP"]


def test_a_socket_that_lost_its_interface_is_given_up_at_once(world: World, pair: tuple[Host, Host]) -> None:
    first, _ = pair
    first.ports["eth0"].lost = True
    world.pass_time(2)
    assert first.states() == ["INIT"]
    assert first.ports["eth0"].closed


def test_an_interface_that_is_refused_is_a_finding_and_tried_again(world: World) -> None:
    host = world.add(config(), opened=False)
    host.refusal = Refused("is a port of br0", place="eth0", remedy="use br0")
    world.open(host)
    world.pass_time(5)
    assert (host.states(), host.findings()) == (["INIT"], ["is a port of br0"])
    assert host.lines.count("warning: carp: 1@eth0: eth0: is a port of br0 (use br0)") == 1
    host.refusal = None
    host.set_link("eth0")
    world.pass_time(4)
    assert (host.states(), host.findings()) == (["MASTER"], [])


def test_addresses_that_cannot_be_added_are_left_to_the_peer_and_tried_again(
    world: World, pair: tuple[Host, Host]
) -> None:
    first, second = pair
    first.daemon.failover(1)
    first.failure = NetlinkError("add address", 13)
    world.pass_time(1)
    second.daemon.failover(1)
    first.daemon.failover(1, undo=True)
    world.pass_time(5)
    assert first.states() == ["INIT"]
    assert second.states() == ["MASTER"]
    assert any("Permission denied" in text for text in first.findings())
    first.failure = None
    world.pass_time(10)
    assert first.states() == ["BACKUP"]
    assert first.findings() == []


def test_a_host_that_cannot_have_the_addresses_does_not_advertise(world: World) -> None:
    host = world.add(config())
    host.failure = NetlinkError("add address", 13)
    world.pass_time(4)
    assert [said for said in host.said if said[0] == "advert"] == [("advert", (255, 255))]
    assert host.states() == ["INIT"]


def test_an_address_that_somebody_removed_is_put_back(world: World, pair: tuple[Host, Host]) -> None:
    first, _ = pair
    first.stolen = (ip_interface("192.0.2.1/24"),)
    first.queue.append(AddressEvent(Address(1001, IPv4Address("192.0.2.1"), 32, 0, 0, 0, ""), new=False))
    world.pass_time(0.1)
    assert first.lines == ["warning: carp: 1@eth0: put back 192.0.2.1, which somebody had removed"]


def test_new_addresses_of_the_parent_become_the_senders(world: World, pair: tuple[Host, Host]) -> None:
    first, _ = pair
    first.addresses_ = (
        Address(2, IPv4Address("192.0.2.77"), 24, 0, 0, 0, ""),
        Address(3, IPv4Address("10.0.0.1"), 8, 0, 0, 0, ""),
    )
    first.queue.append(AddressEvent(first.addresses_[0], new=True))
    world.pass_time(0.1)
    assert first.ports["eth0"].sources == (first.addresses_[:1], frozenset({IPv4Address("192.0.2.1")}))


def test_routes_are_followed_at_most_once_a_second(world: World, pair: tuple[Host, Host]) -> None:
    first, _ = pair
    for _ in range(20):
        first.queue.append(RoutesChanged())
        world.pass_time(0.1)
    assert 2 <= first.said.count(("refresh", None)) <= 3
    assert ("follow", 1) in first.said


def test_failed_sends_demote_the_host(world: World) -> None:
    host = world.add(config())
    world.pass_time(4)
    host.ports["eth0"].error = 105
    world.pass_time(3.5)
    assert host.daemon.snapshot().demotion == 240
    assert any("send error 105 on eth0" in line for line in host.lines)
    host.ports["eth0"].error = 0
    world.pass_time(8)
    assert host.daemon.snapshot().demotion == 0


def test_after_a_long_sleep_the_master_starts_over_as_backup(world: World, pair: tuple[Host, Host]) -> None:
    first, _ = pair
    first.loop.on_gap(1.5)
    assert first.states() == ["MASTER"]
    first.loop.on_gap(60.0)
    world.settle()
    assert first.states() == ["BACKUP"]
    assert ("vanish", ("192.0.2.1",)) in first.said
    assert "warning: carp: did not run for 60.0 s, so starting over as BACKUP" in first.lines


def test_what_a_dead_daemon_left_is_told(world: World) -> None:
    host = world.add(config(), opened=False)
    host.recovered = ("removed stale interface carp1.2",)
    world.open(host)
    assert host.lines[0] == "notice: after an unclean end: removed stale interface carp1.2"


def test_arp_is_answered_by_the_vhid_whose_turn_it_is(world: World) -> None:
    both = (vhid(1, "192.0.2.1/24"), vhid(2, "192.0.2.1/24"))
    host = world.add(config(*both, arpbalance=1))
    world.pass_time(4)
    assert host.states() == ["MASTER", "MASTER"]
    (responder,) = host.responders
    asked = [ArpRequest(b"\2" * 6, IPv4Address(f"192.0.2.{last}"), IPv4Address("192.0.2.1")) for last in range(50, 60)]
    responder.queue.extend([*asked, ArpRequest(b"\2" * 6, IPv4Address("192.0.2.50"), IPv4Address("192.0.2.99"))])
    world.settle()
    assert [request for request, _ in responder.answers] == asked
    assert {number for _, number in responder.answers} == {1, 2}
    # Announcing a shared address would lead all clients to one of the two.
    assert not [said for said in host.said if said[0] == "announce"]
    world.opening = host
    host.reload(config(vhid(1, "192.0.2.1/24"), arpbalance=0))
    assert responder.closed


def test_a_reload_without_a_difference_touches_nothing(world: World, pair: tuple[Host, Host]) -> None:
    first, _ = pair
    assert first.reload(first.daemon.config) is None
    world.settle()
    assert (first.said, first.calls) == ([], ["reloading", ("reloaded", None)])
    assert first.lines == ["notice: reloaded: nothing differs"]


def test_a_broken_configuration_is_refused_and_the_old_one_stays(world: World, pair: tuple[Host, Host]) -> None:
    first, _ = pair
    old = first.daemon.config
    assert first.reload(ConfigError(("F: version: 2 is not 1",))) == "F: version: 2 is not 1"
    assert first.daemon.config is old
    assert first.lines == ["error: not reloaded: F: version: 2 is not 1"]
    assert first.calls == ["reloading", ("reloaded", "F: version: 2 is not 1")]
    assert first.states() == ["MASTER"]


def test_a_reload_may_be_asked_for_from_anywhere(world: World, pair: tuple[Host, Host]) -> None:
    first, _ = pair
    first.wanted = first.daemon.config
    first.daemon.request_reload()
    assert first.calls == []
    world.settle()
    assert first.calls == ["reloading", ("reloaded", None)]


def test_an_added_address_leaves_role_and_other_addresses_alone(world: World, pair: tuple[Host, Host]) -> None:
    first, second = pair
    more = ("192.0.2.1/24", "192.0.2.2/24")
    second.reload(config(vhid(1, *more, advskew=100)))
    first.reload(config(vhid(1, *more)))
    world.settle()
    assert (first.states(), second.states()) == (["MASTER"], ["BACKUP"])
    assert ("change", ("192.0.2.1", "192.0.2.2")) in first.said
    assert ("announce", IPv4Address("192.0.2.2")) in first.said
    assert not [said for said in first.said if said[0] in ("vanish", "told")]
    world.pass_time(10)
    assert (first.states(), second.states()) == (["MASTER"], ["BACKUP"])


def test_a_removed_address_leaves_the_others_alone(world: World) -> None:
    host = world.add(config(vhid(1, "192.0.2.1/24", "192.0.2.2/24")))
    world.pass_time(4)
    host.said.clear()
    host.reload(config(vhid(1, "192.0.2.1/24")))
    world.settle()
    assert [said for said in host.said if said[0] != "advert"] == [("change", ("192.0.2.1",))]
    assert host.states() == ["MASTER"]


def test_addresses_that_cannot_be_changed_are_given_up_to_the_peer(world: World, pair: tuple[Host, Host]) -> None:
    first, _ = pair
    first.failure = NetlinkError("add address", 28)
    first.reload(config(vhid(1, "192.0.2.1/24", "192.0.2.2/24")))
    world.settle()
    assert first.states() == ["INIT"]
    assert any("No space left" in text for text in first.findings())


def test_password_and_advskew_change_in_place(world: World, pair: tuple[Host, Host]) -> None:
    first, second = pair
    first.reload(config(vhid(password="other", advskew=7)))
    second.reload(config(vhid(password="other", advskew=100)))
    world.pass_time(10)
    assert (first.states(), second.states()) == (["MASTER"], ["BACKUP"])
    assert first.changes == second.changes == []
    assert ("advert", (1, 7)) in first.said


def test_a_removed_vhid_bows_out_and_a_new_one_begins_as_backup(world: World, pair: tuple[Host, Host]) -> None:
    first, second = pair
    first.reload(config(vhid(2)))
    world.settle()
    assert first.said[:2] == [("advert", (255, 255)), ("vanish", ("192.0.2.1",))]
    assert (first.states(), second.states()) == (["BACKUP"], ["MASTER"])
    world.pass_time(4)
    assert first.states() == ["MASTER"]


def test_a_new_vhid_may_be_on_a_new_interface_and_the_last_one_closes_the_old(
    world: World, pair: tuple[Host, Host]
) -> None:
    first, _ = pair
    first.set_link("eth1", index=3)
    world.settle()
    world.opening = first
    first.reload(config(vhid(1, interface="eth1")))
    world.pass_time(4)
    assert first.states() == ["MASTER"]
    assert first.ports["eth0"].closed
    assert not first.ports["eth1"].closed


def test_a_new_vhid_on_a_missing_interface_waits_there(world: World) -> None:
    host = world.add(config(), "other0")
    host.reload(config(vhid(1), vhid(2)))
    world.settle()
    assert host.states() == ["INIT", "INIT"]
    assert host.findings() == ["no such interface", "no such interface"]


def test_settings_change_at_a_reload(world: World, pair: tuple[Host, Host]) -> None:
    first, second = pair
    first.reload(config(vhid(), allow=0))
    world.pass_time(4)
    assert (first.states(), second.states()) == (["INIT"], ["MASTER"])
    first.reload(config(vhid(), allow=1, preempt=1))
    world.pass_time(4)
    assert first.states() == ["MASTER"]
    assert first.daemon.snapshot().settings.preempt == 1


def test_255_vhids_take_over_together_and_none_misses_an_advert(world: World) -> None:
    everyone = tuple(vhid(number, f"198.51.100.{number}/24") for number in range(1, 256))
    host = world.add(config(*everyone))
    world.pass_time(4)
    assert set(host.states()) == {"MASTER"}
    # But for the first, all adverts leave before anything that takes time.
    events = [said[0] for said in host.said if said[0] in ("advert", "appear")]
    assert events[:256] == ["appear", *["advert"] * 255]
    host.said.clear()
    world.pass_time(10)
    assert sum(said[0] == "advert" for said in host.said) == 2550


def test_another_password_is_found_on_both_sides_and_forgotten_once_it_is_right(
    world: World, pair: tuple[Host, Host]
) -> None:
    first, second = pair
    second.reload(config(vhid(advskew=100, password="wrong")))
    world.pass_time(6)
    assert (first.states(), second.states()) == (["MASTER"], ["MASTER"])
    expected = (
        "another host (192.0.2.102) advertises vhid 1 on eth0 with another password or address list, so both are MASTER"
    )
    assert first.findings() == [expected]
    assert sum("another password" in line for line in first.lines) == 1
    second.reload(config(vhid(advskew=100)))
    world.pass_time(2)
    assert (first.states(), second.states()) == (["MASTER"], ["BACKUP"])
    assert second.findings() == []
    world.pass_time(10)
    assert first.findings() == []


def test_the_same_advskew_twice_is_found(world: World) -> None:
    hosts = [world.add(config(vhid(advskew=5))), world.add(config(vhid(advskew=5)))]
    world.pass_time(6)
    texts = [text for host in hosts for text in host.findings()]
    assert texts
    assert all("with the same advbase and advskew as this host" in text for text in texts)


def test_notes_of_a_presence_are_findings(world: World, pair: tuple[Host, Host]) -> None:
    first, _ = pair
    (member,) = first.daemon._vhids.members
    member.presence.notes = ("too many routes to copy",)  # type: ignore[misc]  # the fake's
    assert first.findings() == ["too many routes to copy"]


def test_the_snapshot_says_since_when_and_why(world: World, pair: tuple[Host, Host]) -> None:
    first, _ = pair
    snapshot = first.daemon.snapshot()
    (status,) = snapshot.vhids
    assert (status.reason, status.present, status.failover) == ("master timed out", True, False)
    assert snapshot.started == 1000.0
    assert status.since == pytest.approx(1003.0)
    assert snapshot.statistics.carps_opackets > 0
    assert replace(status.config, advskew=1).label == "1@eth0"
