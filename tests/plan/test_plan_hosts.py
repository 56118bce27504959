"""Hosts that are not as bsdcarp left them: hand-made vhids, leftovers, disabled IPv6, static kernels, no kernel."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulated_host import PASSWORD, SimulatedHost, group, inventory_of

from bsdcarp.plan import Plan
from bsdcarp.plan.check import check

WEB = {"web": group(1, "192.0.2.10/24")}


def commands(found: Plan) -> list[str]:
    return [str(change.command) for change in found.live]


def stable(host: SimulatedHost, groups: dict) -> None:  # type: ignore[type-arg]  # test data
    """What is there needs nothing more, also after a boot."""
    inventory = inventory_of(host.release, groups)
    assert commands(host.plan(inventory)) == []
    live = host.live()
    host.boot()
    assert host.live() == live
    assert not host.plan(inventory)


@pytest.mark.parametrize("release", ["9.3", "12.1"])
def test_a_hand_made_vhid_that_is_right_is_adopted_without_a_live_command(tmp_path: Path, release: str) -> None:
    rc = 'hostname="a"\nifconfig_em0="inet 192.0.2.2/24"\n' + (
        f'cloned_interfaces="carp3"\nifconfig_carp3="vhid 1 pass {PASSWORD} 192.0.2.10/24"\n'
        if release == "9.3"
        else f'ifconfig_em0_alias0="vhid 1 pass {PASSWORD} 192.0.2.10/24"\n'
    )
    sysctls = "net.inet.carp.preempt=1\n"
    with SimulatedHost(
        tmp_path, release, rc_conf=rc, sysctl_conf=sysctls, loader_conf='if_carp_load="YES"\ncarp_load="YES"\n'
    ) as host:
        found = host.apply(inventory_of(release, WEB))
        assert commands(found) == []
        assert "/etc/rc.conf" not in {change.path for change in found.files}
        stable(host, WEB)


@pytest.mark.parametrize("release", ["9.3", "12.1", "15.0"])
def test_a_drift_by_hand_is_repaired(tmp_path: Path, release: str) -> None:
    with SimulatedHost(tmp_path, release) as host:
        inventory = inventory_of(release, WEB)
        host.apply(inventory)
        live = host.live()
        where = "carp1" if release == "9.3" else "em0 vhid 1"
        host.sh(f"ifconfig {where} advskew 77")
        host.sh("sysctl net.inet.carp.preempt=0")
        again = host.apply(inventory)
        assert len(again.live) == 2
        assert not again.files
        assert not any(change.restarts for change in again.live)
        assert host.live() == live


def test_a_new_password_is_set_without_a_restart_and_only_once(tmp_path: Path) -> None:
    for release in ("9.3", "12.1"):
        with SimulatedHost(tmp_path / release, release) as host:
            inventory = inventory_of(release, WEB)
            host.apply(inventory)
            change = host.apply(inventory, "another")
            assert [c.restarts for c in change.live] == [()]
            assert not host.plan(inventory, "another")
            host.take_back(change)
            assert not host.plan(inventory)


def test_an_empty_vhid_of_ours_is_cleaned_up_and_a_foreign_one_is_not(tmp_path: Path) -> None:
    with SimulatedHost(tmp_path, "12.1") as host:
        both = {"web": group(1, "192.0.2.10/24"), "x": group(2, "192.0.2.20/24")}
        host.apply(inventory_of("12.1", both))
        host.sh("ifconfig em0 inet 192.0.2.20 -alias")
        host.sh("ifconfig em0 vhid 2 pass x")
        host.sh("ifconfig em0 vhid 88 pass x")
        assert [v.vhid for v in host.snapshot().interfaces["em0"].vhids] == [1, 2, 88]
        host.apply(inventory_of("12.1", WEB))
        assert [v.vhid for v in host.snapshot().interfaces["em0"].vhids] == [1, 88]
        assert not host.plan(inventory_of("12.1", WEB))


def test_foreign_addresses_stay_and_those_in_our_vhid_do_not(tmp_path: Path) -> None:
    with SimulatedHost(tmp_path, "12.1") as host:
        inventory = inventory_of("12.1", WEB)
        host.apply(inventory)
        host.sh("ifconfig em0 inet vhid 1 alias 192.0.2.66/32")
        host.sh("ifconfig em0 inet vhid 66 pass y alias 192.0.2.67/32")
        host.sh("ifconfig em0 inet 192.0.2.68/32 alias")
        host.apply(inventory)
        there = {a.text: a.vhid for a in host.snapshot().interfaces["em0"].addresses if a.interface.version == 4}
        assert there == {"192.0.2.2": 0, "192.0.2.10": 1, "192.0.2.67": 66, "192.0.2.68": 0}


@pytest.mark.parametrize("release", ["10.4", "12.1", "14.2", "15.0"])
def test_disabled_ipv6_is_enabled_once_and_comes_up_like_that(tmp_path: Path, release: str) -> None:
    groups = {"web": group(1, "2001:db8::10/64"), "x": group(2, "2001:db8::20/64")}
    with SimulatedHost(tmp_path, release, loader_conf='carp_load="YES"\n') as host:
        rc = host.read("/etc/rc.conf")
        before = host.snapshot().interfaces["em0"]
        change = host.apply(inventory_of(release, groups))
        assert sum("-ifdisabled" in line for line in commands(change)) == 1
        stable(host, groups)
        host.apply(inventory_of(release, {}))
        assert host.read("/etc/rc.conf") == rc
        assert host.snapshot().interfaces["em0"] == before


def test_ipv6_that_others_use_by_now_stays_enabled(tmp_path: Path) -> None:
    groups = {"web": group(1, "2001:db8::10/64")}
    with SimulatedHost(tmp_path, "12.1", loader_conf='carp_load="YES"\n') as host:
        host.apply(inventory_of("12.1", groups))
        host.sh("ifconfig em0 inet6 2001:db8:9::1/64 alias")
        host.apply(inventory_of("12.1", {}))
        there = host.snapshot().interfaces["em0"]
        assert not there.inet6_disabled
        assert "2001:db8:9::1" in {a.text for a in there.addresses}


def test_ipv6_joins_a_carp_interface_that_rc_disabled_it_on(tmp_path: Path) -> None:
    rc = 'hostname="a"\nifconfig_em0="inet 192.0.2.2/24"\nifconfig_em0_ipv6="inet6 2001:db8::2/64"\n'
    with SimulatedHost(tmp_path, "9.3", rc_conf=rc) as host:
        host.apply(inventory_of("9.3", WEB))
        host.boot()
        six = {"web": group(1, "192.0.2.10/24", "2001:db8::10/64")}
        host.apply(inventory_of("9.3", six))
        assert not host.snapshot().interfaces["carp1"].inet6_disabled
        stable(host, six)


def test_a_foreign_carp_interface_is_left_alone(tmp_path: Path) -> None:
    rc = (
        'hostname="a"\nifconfig_em0="inet 192.0.2.2/24"\ncloned_interfaces="carp1"\n'
        'ifconfig_carp1="vhid 99 pass other 192.0.2.99/24"\n'
    )
    with SimulatedHost(tmp_path, "9.3", rc_conf=rc) as host:
        carp1 = host.snapshot().interfaces["carp1"].addresses
        host.apply(inventory_of("9.3", {"carp1": group(1, "192.0.2.10/24")}))
        host.sh("ifconfig carp7 create")
        host.sh("ifconfig carp7 vhid 7 pass x 192.0.2.77/24")
        found = host.apply(inventory_of("9.3", {"carp7": group(5, "192.0.2.50/24")}))
        assert not any("carp7" in line or "carp1" in line for line in commands(found))
        assert host.snapshot().interfaces["carp1"].addresses == carp1
        host.apply(inventory_of("9.3", {}))
        assert host.read("/etc/rc.conf") == rc
        assert {"carp1", "carp7"} <= set(host.snapshot().interfaces)


def test_a_static_kernel_loses_the_module_line_and_boots(tmp_path: Path) -> None:
    with SimulatedHost(tmp_path, "12.1", kernel="CARP") as host:
        host.machine.tree.write("/boot/loader.conf", 'a="b"\ncarp_load="YES"\n')
        found = host.apply(inventory_of("12.1", WEB))
        assert host.read("/boot/loader.conf") == 'a="b"\n'
        assert not any("kldload" in line for line in commands(found))
        stable(host, WEB)


def test_nothing_goes_live_without_carp_in_the_kernel(tmp_path: Path) -> None:
    with SimulatedHost(tmp_path, "7.2", kernel="GENERIC") as host:
        found = host.apply(inventory_of("7.2", WEB))
        assert found.files
        assert not found.live
        assert [note.rule for note in found.notes] == ["kernel-without-carp"]
        assert "no module" in found.notes[0].message
        assert not host.plan(inventory_of("7.2", WEB))
    with SimulatedHost(tmp_path / "static", "12.1") as host:
        asked = inventory_of("12.1", WEB, {"kernel": {"method": "static"}})
        found = host.apply(asked)
        assert not found.live
        assert "built in" in found.notes[0].message


@pytest.mark.parametrize("release", ["7.2", "9.3", "10.4", "14.2"])
def test_the_checks_find_nothing_wrong_with_a_sound_host_at_any_time(tmp_path: Path, release: str) -> None:
    rc = 'hostname="a"\nifconfig_em0="inet 192.0.2.2/24"\nifconfig_em0_ipv6="inet6 2001:db8::2/64"\nifconfig_em1="up"\n'
    six = [] if release == "7.2" else ["2001:db8::10/64"]
    groups = {"web": group(1, "192.0.2.10/24", "192.0.2.11/32", *six)}
    if release in ("10.4", "14.2"):
        groups["inside"] = group(2, "198.51.100.1/24", "2001:db8:1::1/64", interface="em1")
    with SimulatedHost(tmp_path, release, rc_conf=rc) as host:
        inventory = inventory_of(release, groups)
        assert check(*host.desired(inventory)) == []
        host.apply(inventory)
        assert check(*host.desired(inventory)) == []
        host.boot()
        host.network.settle()
        assert check(*host.desired(inventory)) == []


@pytest.mark.parametrize(
    ("release", "groups", "rules"),
    [
        ("12.1", {"web": group(1, "192.0.2.22/24")}, ["host-address-taken"]),
        ("12.1", {"web": group(1, "203.0.113.1/24")}, ["host-address-outside"]),
        ("12.1", {"web": group(1, "192.0.2.10/24", interface="em9")}, ["host-interface-missing"]),
        ("12.1", {"web": group(1, "2001:db8::1/128")}, ["host-address-outside"]),
        ("9.3", {"web": group(1, "203.0.113.1/24")}, ["host-address-outside"]),
        ("9.3", {"web": group(99, "192.0.2.10/24")}, ["host-vhid-taken"]),
        ("9.3", {"web": group(1, "192.0.2.10/24", interface="em2")}, ["host-other-parent"]),
        ("12.1", {"web": group(1, "198.51.100.77/24", interface="em2")}, ["host-address-outside", "host-address-elsewhere"]),
    ],
)  # fmt: skip
def test_what_only_the_host_can_tell(tmp_path: Path, release: str, groups: dict, rules: list[str]) -> None:  # type: ignore[type-arg]  # test data
    rc = (
        'hostname="a"\nifconfig_em0="inet 192.0.2.2/24"\nifconfig_em1="inet 198.51.100.2/24"\nifconfig_em2="inet 192.0.2.22/24"\n'
        + (
            'cloned_interfaces="carp9"\nifconfig_carp9="vhid 99 pass other 192.0.2.99/24"\n'
            if release == "9.3"
            else 'ifconfig_em1_alias0="inet vhid 77 pass other 198.51.100.77/32"\n'
        )
    )
    loader = 'carp_load="YES"\n'
    with SimulatedHost(tmp_path, release, rc_conf=rc, nics=("em0", "em1", "em2"), loader_conf=loader) as host:
        found = check(*host.desired(inventory_of(release, groups)))
        assert sorted({finding.rule for finding in found}) == sorted(rules)
        assert all(finding.remedy and finding.host == "a" for finding in found)
