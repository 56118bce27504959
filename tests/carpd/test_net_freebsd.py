"""The scenarios of FreeBSD's own tests, held between carpd nodes.

FreeBSD main, tests/sys/netinet/carp.sh (basic_v4, unicast_v4, basic_v6, unicast_v6, negative_demotion, nd6_ns_source_mac,
switch) and carp.py (source_mac): the same addresses, peers and expectations, with namespaces in place of jails.
"""

from __future__ import annotations

import time

from carpd_net import Host, Segment, eventually, needs_namespaces
from carpd_net_daemons import Carpd, vhid
from carpd_net_stage import scenario, stage
from carpd_net_tap import Pinger, Tap

__all__ = ["stage"]  # the fixture of every scenario

pytestmark = needs_namespaces

MAC = "00:00:5e:00:01:01"


def exactly_one_master(*daemons: Carpd) -> Carpd:
    """Wait for a MASTER as wait_for_carp() does, and see that it stays the only one."""
    eventually(lambda: any(daemon.state() == "MASTER" for daemon in daemons), what="a MASTER")
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        states = [daemon.state() for daemon in daemons]
        assert states.count("MASTER") == 1, states
        time.sleep(0.1)
    return next(daemon for daemon in daemons if daemon.state() == "MASTER")


def answers(client: Host, address: str) -> None:
    """Three requests at the least, and an answer to each."""
    with Pinger(client, [address], 0.05) as pinger:
        time.sleep(0.5)
        seen = pinger.one()
    assert seen.sent >= 3
    assert seen.lost == 0, seen


@scenario
def test_basic_v4(segment: Segment, tap: Tap) -> None:
    client = segment.host("one", "192.0.2.4/29")
    # equal advskew, as in the original: whoever is first; a second later the other one has heard it
    two = Carpd(segment.host("two", "192.0.2.202/29"), vhid(1, "192.0.2.1/29"))
    time.sleep(0.3)
    three = Carpd(segment.host("three", "192.0.2.203/29"), vhid(1, "192.0.2.1/29"))
    assert exactly_one_master(two, three) is two
    answers(client, "192.0.2.1")


@scenario
def test_basic_v6(segment: Segment, tap: Tap) -> None:
    client = segment.host("one", "2001:db8::4/64")
    two = Carpd(segment.host("two", "2001:db8::1:2/64"), vhid(1, "2001:db8::1/64"))
    time.sleep(0.3)
    three = Carpd(segment.host("three", "2001:db8::1:3/64"), vhid(1, "2001:db8::1/64"))
    assert exactly_one_master(two, three) is two
    answers(client, "2001:db8::1")


@scenario
def test_unicast_v4_through_a_router(segment: Segment, tap: Tap) -> None:
    router = segment.host("one", "192.0.2.4/29", "198.51.100.1/25", "198.51.100.129/25")
    router.sysctl("net/ipv4/ip_forward", "1")
    two = segment.host("two", "198.51.100.2/25")
    two.ip("route", "add", "default", "via", "198.51.100.1")
    three = segment.host("three", "198.51.100.130/25")
    three.ip("route", "add", "default", "via", "198.51.100.129")
    first = Carpd(two, vhid(1, "192.0.2.1/29", peer="198.51.100.130"))
    time.sleep(0.3)
    second = Carpd(three, vhid(1, "192.0.2.1/29", peer="198.51.100.2"))
    assert exactly_one_master(first, second) is first
    answers(router, "192.0.2.1")
    assert {(a.source, a.destination) for a in tap.adverts("two")} == {("198.51.100.2", "198.51.100.130")}
    # FreeBSD sends unicast adverts from the interface's own MAC, to its gateway's
    assert {a.frame.source for a in tap.adverts("two")} == {two.mac()}
    first.stop()
    second.wait("MASTER", patience=3)
    answers(router, "192.0.2.1")


@scenario
def test_unicast_v6_through_a_router(segment: Segment, tap: Tap) -> None:
    router = segment.host("one", "2001:db8::4/64", "2001:db8:1::1/64", "2001:db8:2::1/64")
    router.sysctl("net/ipv6/conf/all/forwarding", "1")
    two = segment.host("two", "2001:db8:1::2/64")
    two.ip("route", "add", "default", "via", "2001:db8:1::1")
    three = segment.host("three", "2001:db8:2::2/64")
    three.ip("route", "add", "default", "via", "2001:db8:2::1")
    first = Carpd(two, vhid(1, "2001:db8::1/64", peer6="2001:db8:2::2"))
    time.sleep(0.3)
    second = Carpd(three, vhid(1, "2001:db8::1/64", peer6="2001:db8:1::2"))
    assert exactly_one_master(first, second) is first
    answers(router, "2001:db8::1")
    assert {(a.source, a.destination) for a in tap.adverts("two")} == {("2001:db8:1::2", "2001:db8:2::2")}
    first.stop()
    second.wait("MASTER", patience=3)
    answers(router, "2001:db8::1")


@scenario
def test_unicast_on_one_segment_in_both_families(segment: Segment, tap: Tap) -> None:
    client = segment.numbered("one", 4)
    addresses = ("192.0.2.1/24", "2001:db8::1/64")
    first = Carpd(segment.numbered("two", 12), vhid(1, *addresses, peer="192.0.2.13", peer6="2001:db8::13"))
    second = Carpd(
        segment.numbered("three", 13), vhid(1, *addresses, peer="192.0.2.12", peer6="2001:db8::12", advskew=100)
    )
    assert exactly_one_master(first, second) is first
    assert {a.destination for a in tap.adverts()} == {"192.0.2.13", "2001:db8::13"}
    assert {a.ttl for a in tap.adverts()} == {255}
    for address in ("192.0.2.1", "2001:db8::1"):
        answers(client, address)
        assert client.shows("neigh", "show", address)[0]["lladdr"] == MAC
    first.stop()
    second.wait("MASTER", patience=3)
    answers(client, "192.0.2.1")
    answers(client, "2001:db8::1")


@scenario
def test_unicast_between_link_local_addresses(segment: Segment, tap: Tap) -> None:
    client = segment.numbered("one", 4)
    hosts = segment.host("two", "fe80::2/64"), segment.host("three", "fe80::3/64")
    first = Carpd(hosts[0], vhid(1, "2001:db8::1/64", peer6="fe80::3"))
    second = Carpd(hosts[1], vhid(1, "2001:db8::1/64", peer6="fe80::2", advskew=100))
    assert exactly_one_master(first, second) is first
    assert {a.destination for a in tap.adverts()} == {"fe80::3"}
    first.stop()
    second.wait("MASTER", patience=3)
    answers(client, "2001:db8::1")


@scenario
def test_negative_demotion(segment: Segment, tap: Tap) -> None:
    """FreeBSD PR 259528: a sum below zero must not wrap around to the worst advskew."""
    one = Carpd(segment.numbered("one", 11), vhid(1, "192.0.2.254/24"), preempt=1)
    two = Carpd(segment.numbered("two", 12), vhid(1, "192.0.2.254/24", advskew=100), preempt=1)
    assert exactly_one_master(one, two) is one
    one.ctl("demote", "--", "-1")
    time.sleep(3)
    assert exactly_one_master(one, two) is one
    assert one.status()["demotion"] == -1
    assert {advert.advskew for advert in tap.adverts("one")} == {0}


@scenario
def test_nd6_ns_source_mac(segment: Segment, tap: Tap) -> None:
    """What a MASTER says to its neighbours from the virtual address teaches them the virtual MAC, never the real one."""
    client = segment.host("bridge", "2001:db8::4/64")
    master = Carpd(segment.host("master", "2001:db8::1:2/64"), vhid(1, "2001:db8::1/64"))
    slave = Carpd(segment.host("slave", "2001:db8::1:3/64"), vhid(1, "2001:db8::1/64", advskew=100))
    assert exactly_one_master(master, slave) is master
    client.ip("neigh", "flush", "all")
    # from a BACKUP nothing can be sent from the virtual address at all
    slave.host.run("ping", "-6", "-c", "1", "-W", "1", "-I", "2001:db8::1", "2001:db8::4", check=False)
    assert "2001:db8::1 " not in client.ip("neigh")
    master.host.ip("neigh", "flush", "all")
    master.host.run("ping", "-6", "-c", "2", "-i", "0.2", "-I", "2001:db8::1", "2001:db8::4")
    assert client.shows("neigh", "show", "2001:db8::1")[0]["lladdr"] == MAC
    solicitations = [
        frame
        for frame in tap.frames
        if frame.ethertype == 0x86DD and frame.data[20] == 58 and frame.data[54] == 135 and frame.port == "master"
    ]
    ours = [frame for frame in solicitations if frame.data[22:38].hex() == "20010db8000000000000000000000001"]
    assert ours
    assert {frame.source for frame in ours} == {MAC}
    assert {frame.data[80:86].hex(":") for frame in ours} == {MAC}


@scenario
def test_switch(segment: Segment, tap: Tap) -> None:
    """A lone host goes from MASTER to BACKUP by hand, and is MASTER again after the time it waits for others."""
    daemon = Carpd(segment.host("one", "192.0.2.11/24"), vhid(1, "192.0.2.1/24", advskew=100))
    daemon.wait("MASTER")
    daemon.ctl("failover", "1")
    daemon.wait("BACKUP", patience=2)
    # It goes on answering until another one is heard, for 20 ms at most.
    assert eventually(lambda: not daemon.host.holds("192.0.2.1"), 1)
    daemon.wait("MASTER")
    assert daemon.host.holds("192.0.2.1")


@scenario
def test_source_mac(segment: Segment, tap: Tap) -> None:
    daemon = Carpd(segment.host("one", "192.0.2.1/24"), vhid(1, "192.0.2.203/24"))
    daemon.wait("MASTER")
    assert {advert.frame.source for advert in eventually(lambda: tap.adverts("one"), 3)} == {MAC}
