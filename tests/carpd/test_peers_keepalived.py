"""keepalived's VRRP on the same segment: with another id neither disturbs the other, and the same id is found."""

from __future__ import annotations

import time

from carpd_net import Segment, eventually, needs, needs_namespaces
from carpd_net_daemons import Carpd, Keepalived, vhid
from carpd_net_stage import scenario, stage
from carpd_net_tap import Pinger, Tap

__all__ = ["stage"]  # the fixture of every scenario

pytestmark = [needs_namespaces, needs("keepalived")]

VIP, VRRP = "192.0.2.1", "192.0.2.51"


@scenario
def test_neither_disturbs_the_other(segment: Segment, tap: Tap) -> None:
    hosts = segment.numbered("one", 11), segment.numbered("two", 12)
    routers = [Keepalived(segment.numbered("three", 13), 51, VRRP, priority=200)]
    routers.append(Keepalived(hosts[1], 51, VRRP))  # beside carpd on one host
    first = Carpd(hosts[0], vhid(1, f"{VIP}/24"))
    second = Carpd(hosts[1], vhid(1, f"{VIP}/24", advskew=100))
    first.wait("MASTER")
    eventually(lambda: routers[0].master, what="VRRP has a master")
    client = segment.numbered("client", 200)
    with Pinger(client, [VIP, VRRP]) as pinger:
        time.sleep(1.0)
        quiet = time.monotonic()
        time.sleep(2.0)
        until = time.monotonic()
        first.stop()
        second.wait("MASTER", patience=3)
        time.sleep(0.5)
        routers[0].stop()
        eventually(lambda: routers[1].master, what="VRRP has another master")
        time.sleep(0.5)
        seen = pinger.stop()
    assert [str(p.between(quiet, until)) for p in seen.values() if p.between(quiet, until).lost] == []
    assert seen[VIP].gap < 1.5, seen[VIP]
    assert seen[VRRP].gap < 2.5, seen[VRRP]
    assert second.status()["findings"] == []
    assert not any("invalid" in router.process.text() for router in routers)


@scenario
def test_the_same_id_on_another_host_is_found(segment: Segment, tap: Tap) -> None:
    Keepalived(segment.numbered("three", 13), 1, VRRP, priority=200)
    daemon = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24"))
    finding = eventually(daemon.findings, what="a finding")[0]
    assert "VRRP" in finding["text"]
    assert "192.0.2.13" in finding["text"]
    assert (finding["vhid"], finding["interface"]) == (1, "eth0")


@scenario
def test_the_same_id_on_this_host_is_refused(segment: Segment, tap: Tap) -> None:
    host = segment.numbered("one", 11)
    router = Keepalived(host, 1, VRRP, priority=200)
    eventually(lambda: router.master)
    daemon = Carpd(host, vhid(1, f"{VIP}/24"))
    finding = eventually(daemon.findings, what="a finding")[0]
    assert (finding["vhid"], finding["interface"]) == (1, "eth0")
    assert finding["remedy"]
    time.sleep(3.5)
    assert not host.holds(VIP)
    assert router.master
