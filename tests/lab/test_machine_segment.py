"""Machines on a wire: elections, partitions, loss, VLANs, unicast, cables, and the clock that drives them."""

from __future__ import annotations

import threading
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from lab_machines import Bench, run

from bsdcarp.errors import LabError
from bsdcarp.lab.clock import MonotonicClock
from bsdcarp.lab.machine import Machine
from bsdcarp.lab.network import Network
from bsdcarp.lab.nic import Nic, driver_of
from bsdcarp.lab.segment import CarpFrame

LOADED = 'carp_load="YES"\n'
PREEMPT = "net.inet.carp.preempt=1\n"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def pair(bench: Bench, release: str = "14.2", words: str = "pass x") -> tuple[Machine, Machine]:
    made = []
    for name, last, skew in (("alpha", 2, 0), ("beta", 3, 100)):
        rc = f'ifconfig_em0_alias0="inet vhid 1 advskew {skew} {words} alias 192.0.2.1/32"\n'
        made.append(bench.machine(name, release, rc=rc, loader=LOADED, sysctl=PREEMPT, address=f"192.0.2.{last}"))
    bench.network.settle()
    return made[0], made[1]


def roles(*machines: Machine) -> list[str]:
    return [role for machine in machines for role in machine.carp_states().values()]


def test_one_master_and_the_other_takes_over_when_the_cable_is_pulled(bench: Bench) -> None:
    alpha, beta = pair(bench)
    assert roles(alpha, beta) == ["MASTER", "BACKUP"]
    alpha.nic_down("em0")
    bench.network.advance(5)
    assert roles(alpha, beta) == ["INIT", "MASTER"]
    assert "status: no carrier" in run(alpha, "ifconfig em0")
    assert run(alpha, "sysctl -n net.inet.carp.demotion") == "240\n"
    alpha.nic_up("em0")
    alpha.nic_up("em0")
    bench.network.advance(5)
    assert roles(alpha, beta) == ["MASTER", "BACKUP"]
    with pytest.raises(LabError, match="no card em9"):
        alpha.nic_down("em9")


def test_card_without_cable_boots_without_carrier(bench: Bench) -> None:
    alpha, _beta = pair(bench)
    alpha.nic_down("em0")
    alpha.reboot(0.1)
    bench.network.advance(5)
    assert roles(alpha) == ["INIT"]


def test_partition_makes_two_masters_and_healing_one(bench: Bench) -> None:
    alpha, beta = pair(bench)
    bench.network.segment("lan").partition({"alpha"}, {"beta"})
    bench.network.advance(5)
    assert roles(alpha, beta) == ["MASTER", "MASTER"]
    bench.network.segment("lan").heal()
    bench.network.advance(3)
    assert roles(alpha, beta) == ["MASTER", "BACKUP"]
    assert {station.name for station in bench.network.segment("lan").stations()} == {"alpha", "beta"}


def test_lost_frames(bench: Bench) -> None:
    alpha, beta = pair(bench)
    lan = bench.network.segment("lan")
    lan.drop = lambda sender, _receiver, frame: sender == "alpha" and isinstance(frame, CarpFrame)
    bench.network.advance(5)
    assert "MASTER" in roles(beta)
    lan.heal()
    bench.network.settle()
    assert roles(alpha, beta) == ["MASTER", "BACKUP"]
    lan.loss = 1.0
    bench.network.advance(5)
    assert roles(alpha, beta) == ["MASTER", "MASTER"]


def test_unicast_adverts_reach_the_peer_only(bench: Bench) -> None:
    alpha, beta = pair(bench)
    bench.network.segment("lan").drop = lambda sender, _receiver, _frame: sender == "gamma"
    third = bench.machine("gamma", "14.2", loader=LOADED, address="192.0.2.4")
    run(third, "ifconfig em0 vhid 1 advskew 200 pass x alias 192.0.2.1/32")
    run(alpha, "ifconfig em0 vhid 1 peer 192.0.2.3")
    bench.network.advance(6)
    assert roles(alpha, beta) == ["MASTER", "BACKUP"]
    assert roles(third) == ["MASTER"]


def test_vlans_are_apart_and_an_access_port_meets_the_tag(bench: Bench) -> None:
    trunk = bench.machine("trunk", "14.2", loader=LOADED, rc='vlans_em0="5 6"\n')
    access = bench.machine("access", "14.2", loader=LOADED, vlan=5)
    for name in ("em0.5", "em0.6"):
        run(trunk, f"ifconfig {name} inet vhid 1 pass x 192.0.2.1/24 alias")
    run(access, "ifconfig em0 inet vhid 1 advskew 100 pass x 192.0.2.1/24 alias")
    bench.network.settle()
    assert trunk.carp_states() == {"1@em0.5": "MASTER", "1@em0.6": "MASTER"}
    assert access.carp_states() == {"1@em0": "BACKUP"}


def test_wrong_password_is_counted_and_makes_two_masters(bench: Bench) -> None:
    alpha, beta = pair(bench)
    run(beta, "ifconfig em0 vhid 1 pass other")
    bench.network.advance(5)
    assert roles(alpha, beta) == ["MASTER", "MASTER"]
    counted = [line for line in run(beta, "netstat -s -p carp").splitlines() if "bad authentication" in line]
    assert counted
    assert not counted[0].strip().startswith("0 ")


def test_arp_is_answered_by_the_master_with_the_virtual_address(bench: Bench) -> None:
    alpha, beta = pair(bench, "12.1")
    vip, client = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.99")
    assert alpha.kernel.arp_answer("em0", vip, client) == "00:00:5e:00:01:01"
    assert beta.kernel.arp_answer("em0", vip, client) is None
    assert beta.kernel.arp_answer("em0", IPv4Address("192.0.2.3"), client) == beta.nics[0].ether
    assert alpha.kernel.arp_answer("em1", vip, client) is None


def test_demotion_moves_the_role_and_is_logged(bench: Bench) -> None:
    alpha, beta = pair(bench)
    run(alpha, "sysctl net.inet.carp.demotion=240")
    bench.network.advance(3)
    assert roles(alpha, beta) == ["BACKUP", "MASTER"]
    assert "carp: demoted by 240 to 240 (sysctl)" in alpha.dmesg()
    assert "kernel: carp: demoted by 240 to 240 (sysctl)" in (alpha.read("/var/log/messages") or "")


def test_manual_and_real_clocks_are_not_confused(bench: Bench) -> None:
    with pytest.raises(LabError, match="advance"):
        bench.network.start()
    with pytest.raises(LabError, match="manual"):
        Network(MonotonicClock()).advance(1)


def test_real_clock_runs_events_in_a_thread(tmp_path: Path) -> None:
    network = Network()
    happened = threading.Event()
    network.start()
    network.start()
    try:
        network.schedule(0.01, happened.set)
        assert happened.wait(10)
        machine = Machine(
            "alpha", "14.2", tmp_path / "alpha", [Nic("em0", "52:54:00:00:00:01")], network=network, reboot_delay=0.01
        )
        machine.create()
        machine.boot()
        up = threading.Event()
        machine.on_up.append(up.set)
        machine.reboot()
        assert up.wait(10)
        assert machine.generation == 2
    finally:
        network.stop()
    network.stop()


def test_listeners_may_wait_for_a_thread_that_needs_the_lock(tmp_path: Path) -> None:
    network = Network()
    machine = Machine("alpha", "14.2", tmp_path / "alpha", [Nic("em0", "52:54:00:00:00:01")], network=network)
    machine.create()
    machine.boot()
    told = threading.Event()

    def listener() -> None:
        other = threading.Thread(target=machine.carp_states)
        other.start()
        other.join(10)
        assert not other.is_alive()
        told.set()

    machine.on_down.append(listener)
    network.start()
    try:
        run(machine, "halt")
        assert told.wait(10)
    finally:
        network.stop()


def test_card_of_an_unknown_driver_has_plain_options() -> None:
    assert driver_of("xyz0").options == "8<VLAN_MTU>"
    assert driver_of("vtnet1").media == "Ethernet 10Gbase-T <full-duplex>"
