"""carpd and Debian's ucarp in one group: one IPv4 address, both roles, both directions."""

from __future__ import annotations

import time

import pytest
from carpd_net import Host, Segment, eventually, needs, needs_namespaces
from carpd_net_daemons import Carpd, Ucarp, vhid
from carpd_net_stage import scenario, stage
from carpd_net_tap import Pinger, Tap

__all__ = ["stage"]  # the fixture of every scenario

pytestmark = [needs_namespaces, needs("ucarp", "tcpdump")]

VIP = "192.0.2.1"


def hosts(segment: Segment) -> tuple[Host, Host, Host]:
    return segment.numbered("ours", 11), segment.numbered("theirs", 12), segment.numbered("client", 200)


def answered_by(client: Host) -> str:
    """Ping until there is an answer, and return the MAC that the client has for the address.

    ucarp answers with its host's own MAC, so clients have to learn another one with each change.  Linux believes no other
    one for a second (neigh/*/locktime), and the second announcement comes two adverts after the first.
    """
    eventually(lambda: client.run("ping", "-c", "1", "-W", "1", VIP, check=False).count(" 0% packet loss"), 5)
    return str(client.shows("neigh", "show", VIP)[0]["lladdr"])


@scenario
def test_ucarp_is_backup_of_carpd_and_takes_over_when_it_dies(segment: Segment, tap: Tap) -> None:
    ours, theirs, client = hosts(segment)
    carpd = Carpd(ours, vhid(1, f"{VIP}/24"))
    carpd.wait("MASTER")
    ucarp = Ucarp(theirs, 1, VIP, advskew=100)
    with Pinger(client, [VIP]) as pinger:
        time.sleep(4.5)
        assert not ucarp.master
        assert carpd.state() == "MASTER"
        assert not tap.adverts("theirs")
        carpd.kill()
        ours.unplug()
        eventually(lambda: ucarp.master, what="ucarp is MASTER")
        time.sleep(0.5)
        seen = pinger.one()
    assert 1.9 < seen.gap < 8, seen
    assert answered_by(client) == theirs.mac()


@scenario
def test_ucarp_takes_over_from_carpds_bow_out_without_waiting(segment: Segment, tap: Tap) -> None:
    ours, theirs, client = hosts(segment)
    carpd = Carpd(ours, vhid(1, f"{VIP}/24"))
    carpd.wait("MASTER")
    ucarp = Ucarp(theirs, 1, VIP, advskew=100)
    time.sleep(3.5)
    with Pinger(client, [VIP]) as pinger:
        begun = time.time()
        carpd.stop()
        eventually(lambda: ucarp.master, 4, what="ucarp is MASTER")
        time.sleep(0.5)
        seen = pinger.one()
    # ucarp looks once a second
    assert tap.adverts("theirs")[0].time - begun < 2.2
    assert seen.gap < 2.6, seen
    assert answered_by(client) == theirs.mac()


@scenario
def test_carpd_is_backup_of_ucarp_and_takes_over_when_it_dies(segment: Segment, tap: Tap) -> None:
    ours, theirs, client = hosts(segment)
    ucarp = Ucarp(theirs, 1, VIP)
    eventually(lambda: ucarp.master)
    carpd = Carpd(ours, vhid(1, f"{VIP}/24", advskew=100))
    with Pinger(client, [VIP]) as pinger:
        time.sleep(4)
        assert carpd.state() == "BACKUP"
        assert ucarp.master
        ucarp.kill()
        theirs.unplug()
        carpd.wait("MASTER")
        time.sleep(0.5)
        seen = pinger.one()
    assert abs(tap.adverts("ours")[0].time - tap.adverts("theirs")[-1].time - 3.39) < 0.5
    assert 1.9 < seen.gap < 7, seen
    assert answered_by(client) == "00:00:5e:00:01:01"


@scenario
def test_carpd_preempts_ucarp(segment: Segment, tap: Tap) -> None:
    ours, theirs, client = hosts(segment)
    ucarp = Ucarp(theirs, 1, VIP, advskew=100)
    eventually(lambda: ucarp.master)
    carpd = Carpd(ours, vhid(1, f"{VIP}/24"), preempt=1)
    with Pinger(client, [VIP]) as pinger:
        carpd.wait("MASTER")
        eventually(lambda: not ucarp.master, 6, what="ucarp steps down")
        time.sleep(1)
        seen = pinger.one()
    assert seen.gap < 4, seen
    assert answered_by(client) == "00:00:5e:00:01:01"


@scenario
def test_ucarp_preempts_carpd(segment: Segment, tap: Tap) -> None:
    ours, theirs, client = hosts(segment)
    carpd = Carpd(ours, vhid(1, f"{VIP}/24", advskew=100))
    carpd.wait("MASTER")
    ucarp = Ucarp(theirs, 1, VIP, preempt=True)
    with Pinger(client, [VIP]) as pinger:
        eventually(lambda: ucarp.master, what="ucarp is MASTER")
        carpd.wait("BACKUP", patience=3)
        time.sleep(1)
        seen = pinger.one()
    assert seen.gap < 2.6, seen
    assert not ours.holds(VIP)
    assert answered_by(client) == theirs.mac()


@scenario
def test_carpd_demoted_by_hand_hands_over_to_a_preempting_ucarp_and_comes_back(segment: Segment, tap: Tap) -> None:
    ours, theirs, _ = hosts(segment)
    carpd = Carpd(ours, vhid(1, f"{VIP}/24"), preempt=1)
    carpd.wait("MASTER")
    ucarp = Ucarp(theirs, 1, VIP, advskew=100, preempt=True)
    time.sleep(3.5)
    carpd.ask("demote", amount=240)
    eventually(lambda: ucarp.master, 4, what="ucarp is MASTER")
    carpd.wait("BACKUP", patience=3)
    carpd.ask("undemote")
    carpd.wait("MASTER", patience=4)
    eventually(lambda: not ucarp.master, 6, what="ucarp steps down")


@scenario
def test_with_another_password_both_are_master_and_carpd_says_why(segment: Segment, tap: Tap) -> None:
    ours, theirs, _ = hosts(segment)
    carpd = Carpd(ours, vhid(1, f"{VIP}/24"))
    ucarp = Ucarp(theirs, 1, VIP, advskew=100, password="something-else")
    carpd.wait("MASTER")
    eventually(lambda: ucarp.master)
    finding = eventually(carpd.findings, 4)[0]
    assert "password" in finding["text"]
    assert "192.0.2.12" in finding["text"]


@pytest.mark.long
@scenario
def test_ten_handovers_back_and_forth(segment: Segment, tap: Tap) -> None:
    ours, theirs, client = hosts(segment)
    carpd = Carpd(ours, vhid(1, f"{VIP}/24"), preempt=1)
    carpd.wait("MASTER")
    ucarp = Ucarp(theirs, 1, VIP, advskew=100, preempt=True)
    time.sleep(3.5)
    for _ in range(10):
        carpd.ask("demote", amount=240)
        eventually(lambda: ucarp.master and carpd.state() == "BACKUP", 5)
        assert answered_by(client) == theirs.mac()
        carpd.ask("undemote")
        eventually(lambda: not ucarp.master and carpd.state() == "MASTER", 8)
        assert answered_by(client) == "00:00:5e:00:01:01"
