"""Packets that cannot be right, and what the operator is told about them."""

from __future__ import annotations

import random
import struct
from ipaddress import IPv4Address, IPv6Address, ip_interface

import pytest
from daemon_fakes import Host, World

from bsdcarp.carp import Family, Node, SendAdvert, Settings, personality
from bsdcarp.carp.packet import checksum
from bsdcarp.carpd.badpackets import is_vrrp
from bsdcarp.carpd.config import Config, VhidConfig
from bsdcarp.carpd.packets import Arrival

SOURCE, GROUP = IPv4Address("192.0.2.50"), IPv4Address("224.0.0.18")


def arrival(payload: bytes, *, ttl: int = 255, source: IPv4Address = SOURCE) -> Arrival:
    return Arrival(payload, Family.IPV4, ttl, source, GROUP, b"\2" * 6)


def vrrp2(vrid: int, addresses: int = 1) -> bytes:
    body = bytes((0x21, vrid, 100, addresses, 0, 1, 0, 0)) + bytes(4 * addresses) + bytes(8)
    return body[:6] + struct.pack("!H", checksum(body)) + body[8:]


def vrrp3(vrid: int) -> bytes:
    body = bytes((0x31, vrid, 100, 1, 0, 100, 0, 0)) + IPv4Address("192.0.2.1").packed
    around = SOURCE.packed + GROUP.packed + struct.pack("!II", len(body), 112)
    return body[:6] + struct.pack("!H", checksum(around + body)) + body[8:]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture
def host(world: World) -> Host:
    """A MASTER of vhid 1 with advskew 5."""
    vhid = VhidConfig("web", 1, "eth0", 1, 5, "secret", addresses=(ip_interface("192.0.2.1/24"),))
    made = world.add(Config(vhids=(vhid,)))
    world.pass_time(4)
    made.lines.clear()
    return made


def advert(advskew: int = 50, seed: int = 0) -> bytes:
    """What another host with the right password would send; ``seed`` makes its counter."""
    node = Node(personality("linux"), Settings(), draw=random.Random(advskew + 256 * seed).getrandbits)
    vhid = VhidConfig("web", 1, "eth0", 1, advskew, "secret", addresses=(ip_interface("192.0.2.1/24"),))
    machine = node.add(vhid.core(), "eth0")
    machine.up(0.0)
    (sent,) = [action for action in machine.on_timer(4.0) if isinstance(action, SendAdvert)]
    return sent.payload


def hear(world: World, host: Host, *arrivals: Arrival) -> list[str]:
    host.ports["eth0"].queue.extend(arrivals)
    world.settle()
    return host.findings()


@pytest.mark.parametrize("payload", [vrrp2(1), vrrp2(1, 5), vrrp3(1)], ids=["v2", "v2 as long as CARP", "v3"])
def test_vrrp_with_the_same_number_is_a_finding(world: World, host: Host, payload: bytes) -> None:
    assert hear(world, host, arrival(payload)) == [
        "192.0.2.50 speaks VRRP with id 1 on eth0: both use the MAC 00:00:5e:00:01:01"
    ]
    assert host.states() == ["MASTER"]


@pytest.mark.parametrize("payload", [vrrp2(2), vrrp2(1)[:-1] + b"\1", b"\x21\1", b"", advert()[:20], bytes(36)])
def test_foreign_and_damaged_packets_are_no_findings(world: World, host: Host, payload: bytes) -> None:
    assert hear(world, host, arrival(payload)) == []
    assert host.lines == []


def test_damaged_adverts_with_our_own_interval_are_no_findings(world: World, host: Host) -> None:
    payload = bytearray(advert(5))
    payload[20] ^= 1
    assert hear(world, host, arrival(bytes(payload))) == []


def test_carp_is_not_taken_for_vrrp() -> None:
    assert not is_vrrp(arrival(advert()))
    assert is_vrrp(arrival(vrrp2(9)))


def test_own_adverts_that_come_back_are_a_loop(world: World, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    second = world.add(host.daemon.config, opened=False)
    monkeypatch.setattr(world, "carry", lambda _, found: sent.append(found.payload))
    world.pass_time(1.1)
    assert not second.ports
    found = hear(world, host, arrival(sent[-1]))
    assert found == ["adverts of vhid 1 that this host sent come back to eth0"]
    assert host.daemon.snapshot().statistics.looped == 1


def test_an_advert_that_comes_twice_is_found_and_counted(world: World, host: Host) -> None:
    same = arrival(advert())
    assert hear(world, host, same) == []
    assert hear(world, host, same) == ["the same advert of vhid 1 from 192.0.2.50 arrives more than once on eth0"]
    assert host.daemon.snapshot().statistics.replayed == 1


def test_a_peer_that_says_once_an_interval_what_it_said_before_is_no_finding(world: World, host: Host) -> None:
    """A ucarp that was restarted takes up our counter and repeats its former life."""
    former = [arrival(advert(seed=number)) for number in range(100, 112)]
    for one in former * 2:
        assert hear(world, host, one) == []
        world.pass_time(1)
    assert host.daemon.snapshot().statistics.replayed == len(former)


def test_adverts_that_were_recorded_and_come_more_often_than_their_sender_speaks_are_found(
    world: World, host: Host
) -> None:
    former = [arrival(advert(seed=number)) for number in range(100, 120)]
    for one in former:
        hear(world, host, one)
        world.pass_time(1)
    found = []
    for one in former:
        found += hear(world, host, one)
        world.pass_time(0.25)
    assert set(found) == {"the same advert of vhid 1 from 192.0.2.50 arrives more than once on eth0"}


def test_two_hosts_that_exchange_their_advskews_find_nothing_wrong_once_it_is_done(world: World, host: Host) -> None:
    """The first has the new value before the other; that one then falls silent, because it is BACKUP."""
    assert hear(world, host, arrival(advert(advskew=5))) == [
        "192.0.2.50 advertises vhid 1 on eth0 with the same advbase and advskew as this host"
    ]
    assert [line for line in host.lines if "advskew" in line] == []
    world.pass_time(3)
    assert host.findings() == []


def test_an_advert_that_crossed_a_router_is_found(world: World, host: Host) -> None:
    assert hear(world, host, arrival(advert(), ttl=254)) == [
        "an advert of vhid 1 from 192.0.2.50 crossed a router before it came to eth0"
    ]


def test_nothing_is_found_while_adverts_are_not_allowed(world: World, host: Host) -> None:
    host.reload(Config(Settings(allow=0), None, host.daemon.config.vhids))
    assert hear(world, host, arrival(vrrp2(1))) == []


def test_the_log_names_a_trouble_once_a_minute_with_the_count(world: World, host: Host) -> None:
    for _ in range(90):
        hear(world, host, arrival(vrrp2(1)))
        world.pass_time(1)
    first, second = [line for line in host.lines if "VRRP" in line]
    assert first.startswith("warning: carp: 1@eth0: 192.0.2.50 speaks VRRP with id 1")
    assert "(60 packets since it was last said)" in second
    assert second.endswith("; use another vhid here or another virtual router id there, or set virtual_mac to false")


def test_a_finding_ends_soon_after_the_last_packet(world: World, host: Host) -> None:
    assert hear(world, host, arrival(vrrp2(1)))
    world.pass_time(9)
    assert host.findings()
    world.pass_time(2)
    assert host.findings() == []
    world.pass_time(60)
    assert host.findings() == []


def test_vrrp_over_ipv6_has_another_mac_and_is_left_alone(world: World, host: Host) -> None:
    six = Arrival(vrrp2(1), Family.IPV6, 255, IPv6Address("fe80::9"), IPv6Address("ff02::12"), b"\2" * 6)
    assert hear(world, host, six) == []
