"""Networks and peers that are not as they should be, and interfaces that are more than one card."""

from __future__ import annotations

import struct
import time
from collections import Counter

import pytest
from carpd_net import Host, Segment, eventually, needs, needs_namespaces, supports
from carpd_net_daemons import Carpd, vhid
from carpd_net_stage import scenario, stage
from carpd_net_tap import Pinger, Tap

__all__ = ["stage"]  # the fixture of every scenario

pytestmark = needs_namespaces

VIP = "192.0.2.1"
MAC = "00:00:5e:00:01:01"


def both_master(first: Carpd, second: Carpd) -> list[str]:
    """Wait until both are MASTER and both say why; return what they say."""
    for daemon in (first, second):
        daemon.wait("MASTER")
    texts = []
    for daemon in (first, second):
        found = eventually(daemon.findings, 5, what="a finding")
        assert [(each["vhid"], each["interface"]) for each in found] == [(1, "eth0")]
        assert found[0]["remedy"]
        texts.append(found[0]["text"] + " " + found[0]["remedy"])
    assert first.status()["counters"]["carps_badauth"] > 0
    return texts


@scenario
def test_another_password_makes_both_master_and_both_say_so(segment: Segment, tap: Tap) -> None:
    first = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24", password="first-secret"))
    second = Carpd(segment.numbered("two", 12), vhid(1, f"{VIP}/24", password="other", advskew=100))
    for text in both_master(first, second):
        assert "password" in text
        assert "first-secret" not in text
    assert "password" in first.ctl("status")
    assert "first-secret" not in first.process.text() + first.ctl("status", "--json")
    # the cure: with the right password one of them steps down and nothing is left to say
    second.vhids[0]["password"] = "first-secret"
    second.reload()
    second.wait("BACKUP", patience=3)
    assert first.state() == "MASTER"
    eventually(lambda: not first.status()["findings"] + second.status()["findings"], 13, what="the findings are gone")


@scenario
def test_another_address_list_makes_both_master_and_both_say_so(segment: Segment, tap: Tap) -> None:
    first = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24"))
    second = Carpd(segment.numbered("two", 12), vhid(1, f"{VIP}/24", "192.0.2.2/24", advskew=100))
    for text in both_master(first, second):
        assert "address" in text


@scenario
def test_arpbalance_answers_each_of_64_clients_exactly_once_and_uses_both_hosts(segment: Segment, tap: Tap) -> None:
    """FreeBSD 9.3, recorded: even client addresses get vhid 1 of the first host, odd ones vhid 2 of the second."""
    hosts = [segment.numbered("one", 11), segment.numbered("two", 12)]
    daemons = [
        Carpd(
            host,
            vhid(1, f"{VIP}/24", advskew=skews[0]),
            vhid(2, f"{VIP}/24", advskew=skews[1]),
            arpbalance=1,
            preempt=1,
        )
        for host, skews in zip(hosts, ((0, 100), (100, 0)), strict=True)
    ]
    daemons[0].wait("MASTER", 1)
    daemons[1].wait("MASTER", 2)
    client = segment.numbered("client", 200)
    time.sleep(0.5)
    answered = ask_as(client, [f"192.0.2.{number}" for number in range(64, 128)], VIP)
    assert {len(macs) for macs in answered.values()} == {1}
    assert {number % 2: mac for number, (mac,) in answered.items()} == {0: MAC, 1: "00:00:5e:00:01:02"}
    assert Counter(mac for (mac,) in answered.values()) == {MAC: 32, "00:00:5e:00:01:02": 32}
    with Pinger(client, [VIP]) as pinger:
        time.sleep(0.3)
        daemons[1].stop()
        daemons[0].wait("MASTER", 2, patience=3)
        time.sleep(0.3)
        seen = pinger.one()
    assert seen.gap < 1.5, seen
    answered = ask_as(client, [f"192.0.2.{number}" for number in range(64, 128)], VIP)
    assert Counter(mac for (mac,) in answered.values()) == {MAC: 32, "00:00:5e:00:01:02": 32}


def ask_as(client: Host, senders: list[str], target: str) -> dict[int, list[str]]:
    """Ask who has ``target``, once from each address; return the MACs that answered, by the sender's last byte."""
    own = bytes.fromhex(client.mac().replace(":", ""))
    packed = bytes(int(part) for part in target.split("."))
    found: dict[int, list[str]] = {int(sender.split(".")[3]): [] for sender in senders}
    with client.packet_socket(ethertype=0x0806) as raw:
        raw.settimeout(0.5)
        for sender in senders:
            source = bytes(int(part) for part in sender.split("."))
            body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + own + source + bytes(6) + packed
            raw.send(b"\xff" * 6 + own + b"\x08\x06" + body)
        while True:
            try:
                frame = raw.recv(2048)
            except TimeoutError:
                return found
            if frame[20:22] == b"\0\2" and frame[28:32] == packed and frame[:6] == own:
                assert frame[6:12] == frame[22:28]
                found[frame[41]].append(frame[22:28].hex(":"))


@scenario
@needs("nft")
def test_a_network_that_forbids_the_virtual_mac(segment: Segment, tap: Tap) -> None:
    hosts = [segment.numbered("one", 11), segment.numbered("two", 12)]
    rules = "table bridge guard { chain in { type filter hook prerouting priority -300; "
    rules += "ether saddr & ff:ff:ff:ff:ff:00 == 00:00:5e:00:01:00 drop; };\n}"
    segment.switch.run("nft", rules)
    daemons = [
        Carpd(host, vhid(1, f"{VIP}/24", "2001:db8::1/64", advskew=skew, virtual_mac=False))
        for host, skew in zip(hosts, (0, 100), strict=True)
    ]
    daemons[0].wait("MASTER")
    client = segment.numbered("client", 200)
    with Pinger(client, [VIP, "2001:db8::1"]) as pinger:
        time.sleep(0.5)
        assert daemons[1].state() == "BACKUP"
        assert client.shows("neigh", "show", VIP)[0]["lladdr"] == hosts[0].mac()
        daemons[0].stop()
        daemons[1].wait("MASTER", patience=3)
        time.sleep(0.5)
        seen = pinger.stop()
        assert client.shows("neigh", "show", VIP)[0]["lladdr"] == hosts[1].mac()
    assert [str(pings) for pings in seen.values() if pings.gap > 1.5] == []
    assert not hosts[0].holds(VIP)
    assert {advert.frame.source for advert in tap.adverts("two")} == {hosts[1].mac()}
    assert daemons[1].of()["virtual_mac"] is None


@scenario
def test_a_bridge_as_parent(segment: Segment, tap: Tap) -> None:
    daemons = []
    for name, number, skew in (("one", 11, 0), ("two", 12, 100)):
        host = segment.host(name)
        host.ip("link", "add", "name", "br0", "type", "bridge", "mcast_snooping", "0", "forward_delay", "0")
        host.ip("link", "set", "eth0", "master", "br0")
        host.ip("link", "set", "br0", "up")
        host.ip("address", "add", f"192.0.2.{number}/24", "dev", "br0")
        daemons.append(Carpd(host, vhid(1, f"{VIP}/24", advskew=skew, interface="br0")))
    over(segment.numbered("client", 200), *daemons)


@scenario
def test_a_port_of_a_bridge_is_refused_and_the_status_says_what_to_use(segment: Segment, tap: Tap) -> None:
    host = segment.host("one")
    host.ip("link", "add", "name", "br0", "type", "bridge")
    host.ip("link", "set", "eth0", "master", "br0")
    host.ip("link", "set", "br0", "up")
    daemon = Carpd(host, vhid(1, f"{VIP}/24"))
    finding = eventually(daemon.findings, 5)[0]
    assert "br0" in finding["text"]
    assert "br0" in finding["remedy"]
    assert daemon.state() == "INIT"


@scenario
@pytest.mark.skipif(not supports("vlan id 5"), reason="this kernel has no VLAN interfaces")
def test_a_vlan_as_parent(segment: Segment, tap: Tap) -> None:
    daemons = []
    for name, number, skew in (("one", 11, 0), ("two", 12, 100)):
        host = segment.host(name)
        host.ip("link", "add", "link", "eth0", "name", "eth0.5", "type", "vlan", "id", "5")
        host.ip("link", "set", "eth0.5", "up")
        host.ip("address", "add", f"192.0.2.{number}/24", "dev", "eth0.5")
        daemons.append(Carpd(host, vhid(1, f"{VIP}/24", advskew=skew, interface="eth0.5")))
    client = segment.host("client")
    client.ip("link", "add", "link", "eth0", "name", "eth0.5", "type", "vlan", "id", "5")
    client.ip("link", "set", "eth0.5", "up")
    client.ip("address", "add", "192.0.2.200/24", "dev", "eth0.5")
    over(client, *daemons)


@scenario
@pytest.mark.skipif(not supports("bond mode active-backup"), reason="this kernel has no bonds")
def test_a_bond_as_parent_keeps_the_role_when_one_of_its_cables_is_pulled(segment: Segment, tap: Tap) -> None:
    daemons = []
    for name, number, skew in (("one", 11, 0), ("two", 12, 100)):
        host = segment.host(name)
        host.ip("link", "add", "name", "bond0", "type", "bond", "mode", "active-backup", "miimon", "50")
        spare = f"{name}-spare"
        segment.switch.ip("link", "add", "name", spare, "type", "veth", "peer", "name", "eth1", "netns", host.namespace)
        segment.switch.ip("link", "set", "dev", spare, "master", "br0", "up")
        for card in ("eth0", "eth1"):
            host.ip("link", "set", card, "down")
            host.ip("link", "set", card, "master", "bond0")
        host.ip("link", "set", "bond0", "up")
        host.ip("address", "add", f"192.0.2.{number}/24", "dev", "bond0")
        daemons.append(Carpd(host, vhid(1, f"{VIP}/24", advskew=skew, interface="bond0")))
    daemons[0].wait("MASTER")
    client = segment.numbered("client", 200)
    with Pinger(client, [VIP]) as pinger:
        daemons[0].host.unplug()
        time.sleep(2.0)
        assert (daemons[0].state(), daemons[1].state()) == ("MASTER", "BACKUP")
        seen = pinger.one()
    assert seen.gap < 1.5, seen
    over(client, *daemons)


def over(client: Host, first: Carpd, second: Carpd) -> None:
    """The first is MASTER, answers with the virtual MAC, and hands over when it stops."""
    first.wait("MASTER")
    second.wait("BACKUP")
    with Pinger(client, [VIP]) as pinger:
        time.sleep(0.3)
        assert client.shows("neigh", "show", VIP)[0]["lladdr"] == MAC
        first.stop()
        second.wait("MASTER", patience=3)
        time.sleep(0.3)
        seen = pinger.one()
    assert seen.gap < 1.5, seen
    assert not first.host.holds(VIP)


@scenario
def test_own_adverts_that_come_back_are_counted_and_change_nothing(segment: Segment, tap: Tap) -> None:
    daemon = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24"), log=2)
    daemon.wait("MASTER")
    mirror = segment.numbered("mirror", 99)
    for advert in eventually(lambda: len(found := tap.adverts("one")) > 1 and found, 4):
        mirror.send_frame(advert.frame.data)
    eventually(lambda: daemon.status()["counters"]["looped"] >= 2, 2, what="looped adverts are counted")
    assert daemon.state() == "MASTER"
    assert "looped" in daemon.process.text()
    time.sleep(1.2)
    assert daemon.state() == "MASTER"


@scenario
def test_replayed_adverts_are_counted_and_logged(segment: Segment, tap: Tap) -> None:
    first = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24"))
    second = Carpd(segment.numbered("two", 12), vhid(1, f"{VIP}/24", advskew=100), log=2)
    first.wait("MASTER")
    second.wait("BACKUP")
    time.sleep(1.2)
    old = tap.adverts("one")[-1]
    mirror = segment.numbered("mirror", 99)
    for _ in range(3):
        mirror.send_frame(old.frame.data)
    eventually(lambda: second.status()["counters"]["replayed"] >= 3, 2, what="replayed adverts are counted")
    assert second.state() == "BACKUP"
    assert "replay" in second.process.text()
    assert first.state() == "MASTER"


@scenario
def test_hostile_frames_on_the_wire_do_not_disturb(segment: Segment, tap: Tap) -> None:
    first = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24"))
    first.wait("MASTER")
    genuine = eventually(lambda: tap.adverts("one"), 3)[0].frame.data
    mirror = segment.numbered("mirror", 99)
    tap.damage = True
    # from a MAC of its own: with the virtual one the switch would send it the clients' traffic, whatever the daemon does
    genuine = genuine[:6] + bytes.fromhex(mirror.mac().replace(":", "")) + genuine[12:]
    with Pinger(segment.numbered("client", 200), [VIP]) as pinger, mirror.packet_socket() as raw:
        for place in range(14, len(genuine)):
            for value in (0, 255):
                # same length, one byte other than it was; the checksum is right only where it does not matter
                raw.send(genuine[:place] + bytes([value]) + genuine[place + 1 :])
            raw.send(genuine[:place])
        time.sleep(0.5)
        seen = pinger.one()
    assert seen.lost == 0, seen
    assert first.state() == "MASTER"
