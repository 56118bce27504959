"""Hosts as they are found: strict filters, no address of their own, no IPv6, two networks, and moments without a processor."""

from __future__ import annotations

import signal
import time

from carpd_net import Host, Segment, eventually, needs_namespaces
from carpd_net_daemons import Carpd, vhid
from carpd_net_stage import scenario, stage
from carpd_net_tap import Pinger, Tap

__all__ = ["stage"]  # the fixture of every scenario

pytestmark = needs_namespaces

VIP, VIP6 = "192.0.2.1", "2001:db8::1"
MAC = "00:00:5e:00:01:01"


def served(client: Host, *addresses: str) -> None:
    """All requests of half a second are answered."""
    with Pinger(client, list(addresses), 0.02) as pinger:
        time.sleep(0.5)
        seen = pinger.stop()
    assert [f"{address}: {pings}" for address, pings in seen.items() if pings.lost] == []


@scenario
def test_strict_reverse_path_filters(segment: Segment, tap: Tap) -> None:
    hosts = segment.numbered("one", 11), segment.numbered("two", 12)
    for host in hosts:
        for name in ("all", "default", "eth0"):
            host.sysctl(f"net/ipv4/conf/{name}/rp_filter", "1")
    active = Carpd(hosts[0], vhid(1, f"{VIP}/24"))
    standby = Carpd(hosts[1], vhid(1, f"{VIP}/24", advskew=100))
    active.wait("MASTER")
    client = segment.numbered("client", 200)
    served(client, VIP, "192.0.2.11", "192.0.2.12")
    assert standby.state() == "BACKUP"
    # the peer reaches the virtual address as well, and the MASTER itself too
    standby.host.run("ping", "-c", "1", "-W", "2", VIP)
    active.host.run("ping", "-c", "1", "-W", "2", VIP)
    active.host.run("ping", "-c", "1", "-W", "2", "-I", VIP, "192.0.2.12")
    active.stop()
    standby.wait("MASTER", patience=3)
    served(client, VIP)


@scenario
def test_hosts_without_an_address_of_their_own(segment: Segment, tap: Tap) -> None:
    active = Carpd(segment.host("one"), vhid(1, f"{VIP}/24"))
    standby = Carpd(segment.host("two"), vhid(1, f"{VIP}/24", advskew=100))
    active.wait("MASTER")
    time.sleep(1.2)
    assert standby.state() == "BACKUP"
    assert {advert.source for advert in tap.adverts()} == {"0.0.0.0"}
    served(segment.numbered("client", 200), VIP)


@scenario
def test_hosts_without_ipv6(segment: Segment, tap: Tap) -> None:
    hosts = segment.host("one", "192.0.2.11/24"), segment.host("two", "192.0.2.12/24")
    for host in hosts:
        for name in ("all", "default"):
            host.sysctl(f"net/ipv6/conf/{name}/disable_ipv6", "1")
    active = Carpd(hosts[0], vhid(1, f"{VIP}/24"))
    standby = Carpd(hosts[1], vhid(1, f"{VIP}/24", advskew=100))
    active.wait("MASTER")
    served(segment.numbered("client", 200), VIP)
    active.stop()
    standby.wait("MASTER", patience=3)


@scenario
def test_routers_move_both_networks_when_one_cable_is_pulled(segment: Segment, tap: Tap) -> None:
    """What preempt and demotion are for: a router whose one side is dead must not keep the other side's address."""
    daemons: list[Carpd] = []
    for name, number, skew in (("one", 11, 0), ("two", 12, 100)):
        host = segment.numbered(name, number)
        other = f"{name}-wan"
        segment.switch.ip("link", "add", "name", other, "type", "veth", "peer", "name", "eth1", "netns", host.namespace)
        if not daemons:
            segment.switch.ip("link", "add", "name", "br1", "type", "bridge", "mcast_snooping", "0")
            segment.switch.ip("link", "set", "dev", "br1", "up")
        segment.switch.ip("link", "set", "dev", other, "master", "br1", "up")
        host.ip("link", "set", "eth1", "up")
        host.ip("address", "add", f"198.51.100.{number}/24", "dev", "eth1")
        both = vhid(1, f"{VIP}/24", advskew=skew), vhid(1, "198.51.100.1/24", advskew=skew, interface="eth1")
        daemons.append(Carpd(host, *both, preempt=1))
    first, second = daemons

    def states(daemon: Carpd) -> list[str]:
        return [str(entry["state"]) for entry in daemon.status()["vhids"]]

    eventually(lambda: states(first) == ["MASTER", "MASTER"] and states(second) == ["BACKUP", "BACKUP"])
    first.host.unplug()  # eth0
    eventually(lambda: states(first) == ["INIT", "BACKUP"] and states(second) == ["MASTER", "MASTER"], 8)
    first.host.plug()
    eventually(lambda: states(first) == ["MASTER", "MASTER"] and states(second) == ["BACKUP", "BACKUP"], 10)


@scenario
def test_a_backup_that_was_stopped_for_a_while_hears_first_and_counts_then(segment: Segment, tap: Tap) -> None:
    active = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24"))
    standby = Carpd(segment.numbered("two", 12), vhid(1, f"{VIP}/24", advskew=100))
    active.wait("MASTER")
    standby.wait("BACKUP")
    time.sleep(1.2)
    for _ in range(2):
        standby.process.send(signal.SIGSTOP)
        time.sleep(4.5)
        standby.process.send(signal.SIGCONT)
        time.sleep(0.6)
        assert standby.state() == "BACKUP"
    assert not tap.adverts("two")


@scenario
def test_a_master_that_was_stopped_for_a_while_ends_with_one_master(segment: Segment, tap: Tap) -> None:
    active = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24", advskew=100))
    active.wait("MASTER")
    standby = Carpd(segment.numbered("two", 12), vhid(1, f"{VIP}/24", advskew=50))
    time.sleep(1.5)
    assert standby.state() == "BACKUP"
    active.process.send(signal.SIGSTOP)
    standby.wait("MASTER")
    time.sleep(0.5)
    active.process.send(signal.SIGCONT)
    active.wait("BACKUP", patience=2)
    assert standby.state() == "MASTER"
    assert not active.host.holds(VIP)
    served(segment.numbered("client", 200), VIP)


@scenario
def test_a_switch_that_snoops_multicast(segment: Segment, tap: Tap) -> None:
    segment.switch.ip("link", "set", "dev", "br0", "type", "bridge", "mcast_snooping", "1", "mcast_querier", "1")
    hosts = segment.numbered("one", 11), segment.numbered("two", 12)
    active = Carpd(hosts[0], vhid(1, f"{VIP}/24", f"{VIP6}/64"))
    standby = Carpd(hosts[1], vhid(1, f"{VIP}/24", f"{VIP6}/64", advskew=100))
    active.wait("MASTER")
    for host in hosts:
        groups = host.ip("maddress", "show", "dev", "eth0")
        assert "224.0.0.18" in groups
        assert "ff02::12" in groups
    time.sleep(6)
    # a backup that misses one family of adverts takes over
    assert (active.state(), standby.state()) == ("MASTER", "BACKUP")
    assert not tap.adverts("two")
    heard = standby.status()["counters"]
    assert min(heard["carps_ipackets"], heard["carps_ipackets6"]) >= 5


@scenario
def test_routes_that_come_later_are_used_from_the_virtual_address_with_the_virtual_mac(
    segment: Segment, tap: Tap
) -> None:
    daemon = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24"))
    daemon.wait("MASTER")
    router = segment.numbered("router", 254)
    router.ip("address", "add", "203.0.113.1/32", "dev", "lo")
    daemon.host.ip("route", "add", "default", "via", "192.0.2.254")
    eventually(lambda: "via 192.0.2.254 dev carp" in daemon.host.ip("route", "show", "table", "all"), 3)
    daemon.host.run("ping", "-c", "1", "-W", "2", "-I", VIP, "203.0.113.1")
    daemon.host.run("ping", "-c", "1", "-W", "2", "203.0.113.1")
    requests = [f for f in tap.frames if f.port == "one" and f.ethertype == 0x0800 and f.data[23] == 1]
    assert [(f.source, f.data[29]) for f in requests if f.data[34] == 8] == [(MAC, 1), (daemon.host.mac(), 11)]
