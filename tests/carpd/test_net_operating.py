"""Reload, crash and stop of a daemon that serves clients: nothing moves that was not asked to, and nothing is left."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest
from carpd_net import Host, Segment, eventually, needs_namespaces
from carpd_net_daemons import PYTHON, Carpd, vhid
from carpd_net_stage import scenario, stage
from carpd_net_tap import Pinger, Tap

__all__ = ["stage"]  # the fixture of every scenario

pytestmark = needs_namespaces

VIP, VIP6 = "192.0.2.1", "2001:db8::1"
SECOND = "192.0.2.2"


class Session:
    """A TCP connection from a client to a virtual address, with an echo server behind it."""

    def __init__(self, client: Host, server: Host, address: str) -> None:
        with server.inside():
            self._listener = socket.create_server((address, 7777))
        with client.inside():
            self._client = socket.create_connection((address, 7777), 3)
        self._server, _ = self._listener.accept()
        self._client.settimeout(3)

    def alive(self) -> bool:
        self._client.sendall(b"still there?")
        self._server.sendall(self._server.recv(100))
        return self._client.recv(100) == b"still there?"

    def close(self) -> None:
        for sock in (self._client, self._server, self._listener):
            sock.close()


@scenario
def test_a_reload_touches_only_what_differs(segment: Segment, tap: Tap) -> None:
    hosts = segment.numbered("one", 11), segment.numbered("two", 12)
    vhids = vhid(1, f"{VIP}/24", f"{VIP6}/64"), vhid(2, f"{SECOND}/24")
    active = Carpd(hosts[0], *vhids, preempt=1)
    standby = Carpd(hosts[1], *({**entry, "advskew": 100} for entry in vhids), preempt=1)
    for number in (1, 2):
        active.wait("MASTER", number)
        standby.wait("BACKUP", number)
    client = segment.numbered("client", 200)
    session = Session(client, hosts[0], VIP)
    before = active.of(1)
    pid = active.process.pid
    with Pinger(client, [VIP, VIP6, SECOND]) as pinger:
        active.reload()  # nothing changed
        active.vhids[1]["advskew"] = 10  # parameters of another vhid
        active.reload()
        active.vhids.append(vhid(3, "192.0.2.3/24"))  # one more vhid
        active.reload()
        active.vhids[0]["advskew"] = 20  # parameters of this one: still the better of the two
        active.settings["log"] = 2
        active.reload()
        active.vhids.pop()
        active.reload()
        time.sleep(1.5)
        assert session.alive()
        seen = pinger.stop()
    assert [str(pings) for pings in seen.values() if pings.lost] == []
    after = active.of(1)
    assert (after["state"], after["reason"], after["advskew"]) == ("MASTER", before["reason"], 20)
    assert after["since"] > before["since"]
    assert active.process.pid == pid
    assert {advert.advskew for advert in tap.adverts("one", 1)} == {0, 20}
    assert not tap.adverts("two", 1)
    assert len(active.status()["vhids"]) == 2
    session.close()


@scenario
def test_a_reload_with_a_broken_file_changes_nothing(segment: Segment, tap: Tap) -> None:
    daemon = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24"))
    daemon.wait("MASTER")
    daemon.config.write_text('{"version": 1, "vhids": [{"vhid": 300, "password": "very-secret"}]}')
    daemon.process.send(signal.SIGHUP)
    eventually(lambda: "vhid" in daemon.process.text() and "300" in daemon.process.text(), 5, what="the refusal")
    assert "very-secret" not in daemon.process.text()
    assert daemon.state() == "MASTER"
    assert daemon.host.holds(VIP)


@scenario
def test_a_reload_that_adds_an_address_starts_only_that_vhid_over(segment: Segment, tap: Tap) -> None:
    daemon = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24"), vhid(2, f"{SECOND}/24"))
    for number in (1, 2):
        daemon.wait("MASTER", number)
    with Pinger(segment.numbered("client", 200), [VIP, SECOND]) as pinger:
        daemon.vhids[1]["addresses"].append("192.0.2.22/24")
        daemon.reload()
        eventually(lambda: daemon.host.holds("192.0.2.22") and daemon.state(2) == "MASTER", what="the new address")
        seen = pinger.stop()
    assert seen[VIP].lost == 0, seen[VIP]


@scenario
def test_reloading_preempt_lets_the_better_host_take_over(segment: Segment, tap: Tap) -> None:
    standby = Carpd(segment.numbered("two", 12), vhid(1, f"{VIP}/24", advskew=100))
    standby.wait("MASTER")
    active = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24"))
    time.sleep(1.2)
    assert active.state() == "BACKUP"
    active.settings["preempt"] = 1
    active.reload()
    active.wait("MASTER", patience=3)
    standby.wait("BACKUP", patience=3)


@scenario
def test_a_stop_leaves_the_host_as_it_was(segment: Segment, tap: Tap) -> None:
    host = segment.numbered("one", 11)
    before = host.footprint()
    daemon = Carpd(host, vhid(1, f"{VIP}/24", f"{VIP6}/64"), vhid(2, f"{SECOND}/24", virtual_mac=False))
    for number in (1, 2):
        daemon.wait("MASTER", number)
    assert host.footprint() != before
    daemon.stop()
    assert host.footprint() == before


@scenario
def test_after_sigkill_a_start_finds_and_removes_what_the_dead_daemon_left(segment: Segment, tap: Tap) -> None:
    host = segment.numbered("one", 11)
    before = host.footprint()
    vhids = vhid(1, f"{VIP}/24", f"{VIP6}/64"), vhid(2, f"{SECOND}/24", virtual_mac=False)
    daemon = Carpd(host, *vhids)
    for number in (1, 2):
        daemon.wait("MASTER", number)
    daemon.kill()
    assert host.holds(VIP)
    assert host.holds(SECOND)
    daemon.start()
    assert [daemon.state(number) for number in (1, 2)] == ["BACKUP", "BACKUP"]
    assert not any(host.holds(address) for address in (VIP, VIP6, SECOND))
    daemon.kill()  # as BACKUP this time, and what comes next knows neither vhid
    daemon.vhids = [vhid(9, "192.0.2.9/24")]
    daemon.start()
    daemon.wait("MASTER", 9)
    daemon.kill()
    daemon.start()
    daemon.stop()
    assert host.footprint() == before


@scenario
def test_sigkill_at_any_moment_of_a_role_change_leaves_nothing_after_the_next_stop(segment: Segment, tap: Tap) -> None:
    host = segment.numbered("one", 11)
    before = host.footprint()
    daemon = Carpd(host, vhid(1, f"{VIP}/24", f"{VIP6}/64"), start=False)
    for delay in (0.0, 0.02, 0.05, 0.1, 2.99, 3.0, 3.005):
        daemon.start(wait=delay > 1)
        time.sleep(delay)
        daemon.kill()
    daemon.start()
    assert not host.holds(VIP)
    daemon.stop()
    assert host.footprint() == before


@scenario
def test_a_second_daemon_on_the_same_run_directory_is_refused(segment: Segment, tap: Tap) -> None:
    daemon = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24"))
    daemon.wait("MASTER")
    words = ("-m", "bsdcarp.carpd", "run", "-c", str(daemon.config), "-d", "--run-directory", str(daemon.run_directory))
    root = str(Path(__file__).parents[2])
    other = daemon.host.start(PYTHON, *words, name="other", environ={"PYTHONPATH": root})
    eventually(lambda: not other.running, 5, what="the second one ends")
    assert other.child.returncode == 1
    assert "Traceback" not in other.text()
    assert daemon.state() == "MASTER"
    assert daemon.host.holds(VIP)


@scenario
def test_an_address_that_somebody_removed_comes_back(segment: Segment, tap: Tap) -> None:
    daemon = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24"))
    daemon.wait("MASTER")
    device = next(
        link["ifname"]
        for link in daemon.host.shows("address")
        if any(entry.get("local") == VIP for entry in link["addr_info"])
    )
    daemon.host.ip("address", "delete", f"{VIP}/32", "dev", device)
    eventually(lambda: daemon.host.holds(VIP), 3, what="the address is back")


@scenario
def test_a_parent_that_vanishes_and_comes_back(segment: Segment, tap: Tap) -> None:
    host = segment.numbered("one", 11)
    daemon = Carpd(host, vhid(1, f"{VIP}/24"))
    daemon.wait("MASTER")
    segment.switch.ip("link", "delete", "dev", "one")
    daemon.wait("INIT", patience=3)
    assert "no such interface" in daemon.ctl("status")
    segment.switch.ip("link", "add", "name", "one", "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
    segment.switch.ip("link", "set", "dev", "one", "master", "br0", "up")
    host.ip("link", "set", "eth0", "up")
    host.ip("address", "add", "192.0.2.11/24", "dev", "eth0")
    daemon.wait("MASTER")
    with Pinger(segment.numbered("client", 200), [VIP]) as pinger:
        time.sleep(0.3)
        seen = pinger.one()
    assert seen.lost == 0, seen


@scenario
def test_hooks_and_events_tell_every_change_of_state(segment: Segment, tap: Tap) -> None:
    host = segment.numbered("one", 11)
    script, heard = host.directory / "hook", host.directory / "heard"
    script.write_text(f'#!/bin/sh\necho "$1 $2 $CARP_GROUP $CARP_OLD_STATE $CARP_STATE $CARP_ADDRESSES" >>{heard}\n')
    script.chmod(0o755)
    daemon = Carpd(host, vhid(1, f"{VIP}/24"), notify=str(script))
    events: list[dict[str, str]] = []

    def listen() -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(daemon.socket)
            connection.sendall(b'{"command": "events"}\n')
            events.extend(json.loads(line) for line in connection.makefile())

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    daemon.wait("MASTER")
    eventually(lambda: heard.exists() and "MASTER" in heard.read_text(), 3)
    daemon.stop()
    listener.join(3)
    changes = [(event["old"], event["new"]) for event in events if event.get("event") == "state"]
    assert changes[-2:] == [("BACKUP", "MASTER"), ("MASTER", "INIT")]
    assert f"1@eth0 MASTER group1 BACKUP MASTER {VIP}/24" in heard.read_text()
    assert heard.read_text().splitlines()[-1].startswith("1@eth0 INIT group1 MASTER INIT")


# What a step of the system's clock is for a process, as far as it can be had without setting the machine's: every way
# by which Python reads CLOCK_REALTIME goes through these names, and they jump by what stands in a file.
_CLOCK = """
import os, sys, time, runpy
here, real, real_ns, gettime, gettime_ns = {offset!r}, time.time, time.time_ns, time.clock_gettime, time.clock_gettime_ns
def step():
    return int(open(here).read())
time.time = lambda: real() + step()
time.time_ns = lambda: real_ns() + step() * 10**9
time.clock_gettime = lambda which: gettime(which) + (step() if which == time.CLOCK_REALTIME else 0)
time.clock_gettime_ns = lambda which: gettime_ns(which) + (step() * 10**9 if which == time.CLOCK_REALTIME else 0)
sys.argv[0] = "carpd"
runpy.run_module("bsdcarp.carpd", run_name="__main__", alter_sys=True)
"""


@scenario
def test_a_step_of_the_clock_changes_nothing(segment: Segment, tap: Tap) -> None:
    daemons, offsets = [], []
    for name, number, skew in (("one", 11, 0), ("two", 12, 100)):
        host = segment.numbered(name, number)
        offset = host.directory / "offset"
        offset.write_text("0")
        offsets.append(offset)
        argv = (PYTHON, "-c", _CLOCK.format(offset=str(offset)))
        daemons.append(Carpd(host, vhid(1, f"{VIP}/24", advskew=skew), argv=argv))
    daemons[0].wait("MASTER")
    with Pinger(segment.numbered("client", 200), [VIP]) as pinger:
        for step in (86400 * 365, -86400 * 365, 5, -5):
            for offset in offsets:
                offset.write_text(str(step))
            time.sleep(1.1)
            assert [daemon.state() for daemon in daemons] == ["MASTER", "BACKUP"]
        seen = pinger.one()
    assert seen.lost == 0, seen
    times = [advert.time for advert in tap.adverts("one")]
    assert max(later - earlier for earlier, later in pairwise(times)) < 1.9
    assert not tap.adverts("two")


@pytest.mark.skipif("BSDCARP_TEST_SETS_THE_CLOCK" not in os.environ, reason="would set the machine's clock")
@scenario
def test_setting_the_machines_clock_changes_nothing(segment: Segment, tap: Tap) -> None:
    active = Carpd(segment.numbered("one", 11), vhid(1, f"{VIP}/24"))
    standby = Carpd(segment.numbered("two", 12), vhid(1, f"{VIP}/24", advskew=100))
    active.wait("MASTER")
    standby.wait("BACKUP")
    with Pinger(segment.numbered("client", 200), [VIP]) as pinger:
        for step in (7200.0, -86400.0 * 30, 5.0, -5.0):
            time.clock_settime(time.CLOCK_REALTIME, time.time() + step)
            time.sleep(3.5)
            assert (active.state(), standby.state()) == ("MASTER", "BACKUP")
        seen = pinger.one()
    assert seen.lost == 0, seen
    assert not tap.adverts("two")
