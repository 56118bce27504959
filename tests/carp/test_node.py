"""A whole host: the order of checks on what comes in, counters, demotion, allow, send errors, several vhids."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from carp_segment import FREEBSD_RELEASES, UNHURRIED, VIP, adverts, forged, make_node, texts
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.carp import (
    Action,
    Advertisement,
    DemotionChanged,
    Family,
    Node,
    Settings,
    State,
    Statistics,
    Vhid,
    encode,
    personality,
)
from bsdcarp.carp.digest import Key
from bsdcarp.carp.packet import checksum

OTHER, SIX = IPv4Address("192.0.2.11"), IPv6Address("2001:db8::10")
CONFIG = Vhid(1, advskew=100, key=b"k", v4=(VIP,))
ALL: list[tuple[Any, ...]] = [*(("freebsd", *release) for release in FREEBSD_RELEASES), ("linux",)]


def running(*system: Any, config: Vhid = CONFIG, **settings: Any) -> Node:
    node = make_node(*system, **settings)
    node.add(config, "em0", "carp0").up(0.0)
    return node


def good(config: Vhid = CONFIG, advskew: int = 0, counter: int = 5) -> bytes:
    digest = Key(config.key, config.vhid, config.v4, config.v6).digest(counter)
    return encode(Advertisement(config.vhid, advskew, 1, counter, digest))


def wrong_version() -> bytes:
    raw = bytearray(good())
    raw[0], raw[6:8] = 0x31, b"\0\0"
    raw[6:8] = checksum(bytes(raw)).to_bytes(2, "big")
    return bytes(raw)


def counted(node: Node) -> dict[str, int]:
    return {name: value for name, value in vars(node.statistics).items() if value}


REFUSALS = [
    # payload, interface, ttl, family -> counter, line of 9.3, of 12.1, of 14
    ((good()[:35], "em0", 255, Family.IPV4), "carps_badlen",
     "carp_input: received len 35 < sizeof(struct carp_header) on em0",
     "carp_input: received len 35 < sizeof(struct carp_header) on em0",
     "carp_input: received len 35 < sizeof(struct carp_header) on em0"),
    ((b"", "em0", 255, Family.IPV6), "carps_badlen", *["carp6_input: packet size 0 too small"] * 3),
    ((bytes(36 * b"\x21"), "em0", 255, Family.IPV4), "carps_badsum", *["carp_input: checksum failed on em0"] * 3),
    ((bytes(36 * b"\x21"), "em0", 255, Family.IPV6), "carps_badsum", *["carp6_input: checksum failed, on em0"] * 3),
    ((good(), "em0", 64, Family.IPV4), "carps_badttl", "carp_input: received ttl 64 != 255 on em0",
     "carp_input: received ttl 64 != 255 on em0", "carp_input_c: received ttl 64 != 255 on em0"),
    ((wrong_version(), "em0", 255, Family.IPV4), "carps_badver",
     "carp0; invalid version 3", "em0: invalid version 3", "em0: invalid version 3"),
    ((forged()[0], "em0", 255, Family.IPV4), "carps_badauth", "carp0: incorrect hash",
     "carp_input_c: incorrect hash for VHID 1@em0", "carp_input_c: incorrect hash for VHID 1@em0"),
    ((forged(vhid=9)[0], "em0", 255, Family.IPV4), "carps_badvhid", None, None, None),
    ((good(), "em1", 255, Family.IPV6), "carps_badif",
     *["carp6_input: packet received on non-carp interface: em1"] * 3),
]  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: f"{case[1]}-{case[0][3].name}")
@pytest.mark.parametrize("release", [(9, 3), (12, 1), (14, 2)])
def test_what_is_refused_is_counted_and_logged_in_the_releases_words(case: Any, release: tuple[int, int]) -> None:
    (payload, interface, ttl, family), counter, *lines = case
    node = running("freebsd", *release, log=2)
    actions = node.receive(payload, family, 1.0, interface=interface, ttl=ttl)
    line = lines[[(9, 3), (12, 1), (14, 2)].index(release)]
    assert texts(actions) == ([line] if line else [])
    assert counted(node) == {counter: 1, f"carps_ipackets{'6' if family is Family.IPV6 else ''}": 1}
    node.set(1.0, log=1)
    assert texts(node.receive(payload, family, 1.0, interface=interface, ttl=ttl)) == []


def test_freebsd_6_0_logs_bad_packets_at_level_1() -> None:
    node = running("freebsd", 6, 0)
    assert texts(node.receive(*forged(), 1.0, interface="em0")) == ["carp0: incorrect hash"]


def test_an_interface_without_carp_is_a_bad_vhid_for_ipv4_from_10_on() -> None:
    old, new = running("freebsd", 9, 3), running("freebsd", 10, 4)
    for node in (old, new):
        node.receive(good(), Family.IPV4, 1.0, interface="em7")
    assert "carps_badif" in counted(old)
    assert "carps_badvhid" in counted(new)


def test_a_family_without_an_address_is_a_bad_vhid_from_10_on() -> None:
    old, new = running("freebsd", 9, 3), running("freebsd", 10, 4)
    for node in (old, new):
        node.receive(good(), Family.IPV6, 1.0, interface="em0")
    assert counted(old) == {"carps_ipackets6": 1}
    assert counted(new) == {"carps_ipackets6": 1, "carps_badvhid": 1}


def test_a_stopped_pseudo_interface_does_not_listen() -> None:
    node = running("freebsd", 9, 3)
    node.machines[0].stop(1.0)
    node.receive(good(), Family.IPV4, 2.0, interface="em0")
    assert counted(node)["carps_badvhid"] == 1


def test_the_ttl_does_not_matter_to_a_unicast_vhid() -> None:
    config = Vhid(1, advskew=100, key=b"k", v4=(VIP,), v6=(SIX,), peer=OTHER)
    node = running("freebsd", 14, 2, config=config)
    node.receive(good(config), Family.IPV4, 1.0, interface="em0", ttl=64)
    assert "carps_badttl" not in counted(node)
    node.receive(good(config), Family.IPV6, 1.0, interface="em0", ttl=64)
    assert counted(node)["carps_badttl"] == 1


def test_the_ttl_always_matters_before_14() -> None:
    config = Vhid(1, advskew=100, key=b"k", v4=(VIP,), peer=OTHER)
    node = running("freebsd", 13, 2, config=config)
    node.receive(good(config), Family.IPV4, 1.0, interface="em0", ttl=254)
    assert counted(node)["carps_badttl"] == 1


@UNHURRIED
@given(st.sampled_from(ALL), st.binary(max_size=60), st.integers(0, 255), st.sampled_from(list(Family)))
def test_hostile_bytes_never_raise_and_change_nothing(
    system: tuple[Any, ...], payload: bytes, ttl: int, family: Family
) -> None:
    node = running(*system, log=2)
    before = (node.machines[0].state, node.deadline())
    node.receive(payload, family, 1.0, interface="em0", ttl=ttl)
    assert (node.machines[0].state, node.deadline()) == before
    assert sum(counted(node).values()) == 2


def test_a_reflected_advert_is_ignored_on_linux_and_demotes_freebsd() -> None:
    linux, freebsd = running("linux", log=2), running("freebsd", 14, 2)
    for node, state in ((linux, State.MASTER), (freebsd, State.BACKUP)):
        (sent,) = adverts(node.on_timer(4.0))
        actions = node.receive(sent.payload + b"padding", Family.IPV4, 4.1, interface="em0")
        assert node.machines[0].state is state
        if node is linux:
            assert texts(actions) == ["dropping looped packet on interface em0"]
    assert counted(linux)["looped"] == 1


def test_a_peer_that_counts_on_from_our_counter_is_not_a_loop() -> None:
    node = running("linux")
    (first,) = adverts(node.on_timer(4.0))
    adverts(node.on_timer(6.0))
    node.receive(good(counter=first.advertisement.counter + 1), Family.IPV4, 6.1, interface="em0")
    assert node.machines[0].state is State.BACKUP


def test_not_allowed_only_makes_deaf_up_to_10() -> None:
    node = running("freebsd", 10, 4)
    assert node.set(1.0, allow=0) == ()
    assert node.receive(good(), Family.IPV4, 1.0, interface="em0") == ()
    node.on_timer(4.0)
    assert node.machines[0].state is State.MASTER
    assert counted(node) == {"carps_ipackets": 1, "carps_opackets": 1}


def test_not_allowed_stops_every_vhid_from_11_on_and_demotes_for_each() -> None:
    node = running("freebsd", 12, 1)
    node.add(Vhid(2, v4=(OTHER,)), "em0").up(0.0)
    assert texts(node.set(1.0, allow=0)) == [
        "carp: 2@em0: BACKUP -> INIT (hardware interface down)",
        "carp: demoted by 240 to 240 (interface down)",
        "carp: 1@em0: BACKUP -> INIT (hardware interface down)",
        "carp: demoted by 240 to 480 (interface down)",
    ]
    assert node.set(2.0, allow=0) == ()
    node.set(3.0, allow=1)
    assert (node.demotion, [m.state for m in node.machines]) == (0, [State.BACKUP, State.BACKUP])


@pytest.mark.parametrize(
    ("release", "demotion", "wire", "compared"),
    [
        ((9, 3), 1, 240, 240),
        ((12, 1), 100, 200, 200),
        ((12, 1), 1000, 240, 240),
        ((12, 1), -101, 255, -1),
        ((14, 2), -101, 0, 0),
        ((14, 2), 140, 240, 240),
    ],
)
def test_demotion_and_advskew(release: tuple[int, int], demotion: int, wire: int, compared: int) -> None:
    node = running("freebsd", *release)
    node.on_timer(4.0)
    (advert,) = adverts(node.demote(demotion, 5.0))
    assert (advert.advertisement.advskew, node.machines[0].effective_advskew) == (wire, compared)
    assert advert.advertisement.demotion_pad == 0


def test_a_configured_advskew_above_240_survives_suppression_up_to_9() -> None:
    node = running("freebsd", 9, 3, config=Vhid(1, advskew=250, v4=(VIP,)))
    node.demote(1, 0.0)
    assert node.machines[0].effective_advskew == 250


def test_the_first_interval_ignores_demotion_and_the_next_do_not() -> None:
    node = running("freebsd", 14, 2)
    node.demote(100, 0.0)
    node.on_timer(4.0)
    assert node.deadline() == pytest.approx(4 + 1 + 100 / 256)
    node.on_timer(6.0)
    assert node.deadline() == pytest.approx(6 + 1 + 200 / 256)


def test_a_large_negative_demotion_does_not_make_a_busy_loop() -> None:
    node = running("freebsd", 12, 1)
    node.on_timer(4.0)
    node.demote(-100000, 4.0)
    assert (node.deadline() or 0) > 4.0


def test_up_to_9_only_the_first_trouble_is_told_at_once() -> None:
    node = running("freebsd", 9, 3)
    node.on_timer(4.0)
    assert len(adverts(node.demote(1, 5.0))) == 1
    assert node.demote(1, 5.1) == (DemotionChanged(1, 2, "sysctl"),)
    assert adverts(node.demote(-2, 5.2)) == []


def test_every_master_tells_of_a_demotion_the_newest_first() -> None:
    node = running("freebsd", 14, 2)
    node.add(Vhid(2, v4=(OTHER,)), "em1").up(0.0)
    node.add(Vhid(3, v4=(OTHER,)), "em2")
    node.on_timer(4.0)
    assert [a.vhid for a in adverts(node.demote(10, 5.0, "pfsync bulk start"))] == [2, 1]


def test_a_lost_interface_demotes_the_masters_on_the_others() -> None:
    node = running("freebsd", 14, 2)
    node.add(Vhid(2, v4=(OTHER,)), "em1").up(0.0)
    node.on_timer(4.0)
    (advert,) = adverts(node.interface_down(5.0, "em1"))
    assert (advert.vhid, advert.advertisement.advskew) == (1, 240)
    (advert,) = adverts(node.interface_up(6.0, "em1"))
    assert (advert.vhid, advert.advertisement.advskew) == (1, 100)


def results(node: Node, *outcomes: bool) -> list[str]:
    actions: list[Action] = []
    for ok in outcomes:
        actions += node.machines[0].send_result(1.0, ok=ok, error=55)
    return texts(actions)


def test_three_failed_sends_demote_and_three_good_ones_forgive_from_14_on() -> None:
    node = running("freebsd", 14, 2)
    assert results(node, False, False) == []
    assert results(node, True, False) == ["carp: demoted by 240 to 240 (send error 55 on em0)"]
    assert results(node, True, True, False, True, True) == []
    assert results(node, True) == ["carp: demoted by -240 to 0 (send ok on em0)"]


def test_the_demotion_for_send_errors_leaks_from_10_to_13() -> None:
    node = running("freebsd", 13, 2)
    assert len(results(node, False, False, False)) == 1
    assert results(node, *[True] * 10) == []
    assert node.demotion == 240


@pytest.mark.parametrize("system", [("freebsd", 9, 3), ("linux",)])
def test_elsewhere_one_good_send_forgets_less_than_three_failures(system: tuple[Any, ...]) -> None:
    node = running(*system)
    results(node, False, False, True, False, False)
    assert node.demotion == 0
    results(node, False)
    assert node.demotion == (1 if system == ("freebsd", 9, 3) else 240)
    results(node, True, True, True)
    assert node.demotion == 0


def test_removing_a_vhid_gives_back_its_demotion() -> None:
    node = running("freebsd", 14, 2)
    machine = node.machines[0]
    machine.down(1.0)
    assert texts(node.remove(machine, 2.0)) == ["carp: demoted by -240 to 0 (vhid removed)"]
    assert (node.machines, node.deadline(), node.on_timer(9.0)) == ((), None, ())


def test_removing_a_vhid_that_cannot_send_is_forgiven_on_linux_only() -> None:
    for system, left in ((("linux",), 0), (("freebsd", 14, 2), 240)):
        node = running(*system)
        results(node, False, False, False)
        node.remove(node.machines[0], 2.0)
        assert node.demotion == left


def test_a_vhid_is_unique_on_its_parent() -> None:
    node = running("freebsd", 14, 2)
    with pytest.raises(ValueError, match="already on em0"):
        node.add(CONFIG, "em0")
    other = node.add(CONFIG, "em1")
    assert (node.find("em1", 1), node.find("em1", 2), other.label) == (other, None, "1@em1")


def test_log_level_0_is_silent() -> None:
    node = running("freebsd", 14, 2, log=0)
    assert texts(node.on_timer(4.0) + node.demote(10, 5.0)) == []


def test_timers_of_all_vhids_are_served() -> None:
    node = running("freebsd", 14, 2)
    node.add(Vhid(2, advskew=0, v4=(OTHER,)), "em0").up(0.0)
    assert node.deadline() == pytest.approx(3.0)
    node.on_timer(3.1)
    assert [m.state for m in node.machines] == [State.BACKUP, State.MASTER]
    assert node.deadline() == pytest.approx(3 + 100 / 256)


def test_netstat_prints_what_freebsd_12_1_printed() -> None:
    node = running("freebsd", 12, 1)
    node.on_timer(4.0)
    node.receive(*forged(), 5.0, interface="em0")
    assert node.statistics.netstat() == [
        "carp:",
        "\t1 packet received (IPv4)",
        "\t0 packets received (IPv6)",
        "\t\t0 packets discarded for wrong TTL",
        "\t\t0 packets shorter than header",
        "\t\t0 discarded for bad checksums",
        "\t\t0 discarded packets with a bad version",
        "\t\t0 discarded because packet too short",
        "\t\t1 discarded for bad authentication",
        "\t\t0 discarded for bad vhid",
        "\t\t0 discarded because of a bad address list",
        "\t1 packet sent (IPv4)",
        "\t0 packets sent (IPv6)",
        "\t\t0 send failed due to mbuf memory error",
    ]
    node.statistics = Statistics()
    assert counted(node) == {}


def test_a_packet_that_is_no_carp_is_not_counted_as_dropped() -> None:
    from bsdcarp.carp import Reason

    statistics = Statistics()
    statistics.dropped(Reason.NOT_CARP)
    assert statistics == Statistics()


@pytest.mark.parametrize(
    ("release", "title"),
    [
        ((5, 4), "FreeBSD 5.4 and 6.0"),
        ((6, 1), "FreeBSD 6.1 to 9"),
        ((7, 2), "FreeBSD 6.1 to 9"),
        ((9, 3), "FreeBSD 6.1 to 9"),
        ((10, 0), "FreeBSD 10"),
        ((11, 2), "FreeBSD 11.0 to 11.2"),
        ((11, 3), "FreeBSD 11.3 to 13"),
        ((13, 5), "FreeBSD 11.3 to 13"),
        ((14, 0), "FreeBSD 14 and newer"),
        ((15, 0), "FreeBSD 14 and newer"),
    ],
)
def test_each_release_has_its_personality(release: tuple[int, int], title: str) -> None:
    assert personality("freebsd", *release).title == title


def test_an_unknown_system_is_refused() -> None:
    assert personality("linux").title == "Linux"
    with pytest.raises(ValueError, match="'plan9'"):
        personality("plan9", 4)


def test_settings_default_to_freebsds() -> None:
    node = Node(personality("linux"), draw=random.Random(1).getrandbits)
    assert node.settings == Settings(preempt=0, allow=1, log=1)
    assert node.traffic_class == 0xE0
