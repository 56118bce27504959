"""verify and persist on Linux: services, carpd's own account, and files that decide about the next boot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from linux_hosts import (
    CONFIG,
    HELD,
    PROGRAM,
    SYSCTL,
    UNIT,
    WEB,
    applied,
    host,
    inventory,
    macvlan,
    status,
    unit,
    wanted,
)

from bsdcarp.judge import persist, verify_group, verify_host
from bsdcarp.judge.bootlinux import assignments, deciding, idle_interface
from bsdcarp.model import IfAddress, Secret
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import InterfaceAddress, NetworkInterface, Snapshot, VhidState

FOUND = inventory()
DESIRED = wanted(FOUND, host())
UCARP = inventory(backend="ucarp")


def verify(*states: str, **more: Any) -> list[str]:
    return [finding.rule for finding in verify_host(DESIRED, applied(DESIRED, *states, **more))]


def boot(desired: Desired = DESIRED, **more: Any) -> list[str]:
    return [finding.rule for finding in persist(desired, applied(desired, **more))]


def carpd(**changes: Any) -> dict[str, Any]:
    answer = status(DESIRED, changes.pop("state", "BACKUP"))
    return {**answer, "vhids": [{**answer["vhids"][0], **changes}]}


@pytest.mark.parametrize("state", ["MASTER", "BACKUP"])
@pytest.mark.parametrize("keys", [{}, {"virtual_mac": False}, {"backend": "ucarp"}])
def test_a_host_as_wanted_yields_nothing(keys: dict[str, Any], state: str) -> None:
    desired = wanted(inventory(**keys), host(ucarp="/usr/sbin/ucarp"))
    snapshot = applied(desired, state)
    assert verify_host(desired, snapshot) == []
    assert persist(desired, snapshot) == []


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        ("verify-service", {"units": unit(active="failed"), "carpd": None}),
        ("verify-service", {"units": "", "carpd": None}),
        ("verify-service-disabled", {"units": unit(enabled="disabled")}),
        ("verify-unit-stale", {"units": unit(NeedDaemonReload="yes")}),
        ("verify-daemon-silent", {"carpd": None}),
        ("verify-setting", {"carpd": {**status(DESIRED), "settings": {"allow": 1, "preempt": 0}}}),
        ("verify-advskew", {"carpd": carpd(advskew=7)}),
        ("verify-advbase", {"carpd": carpd(advbase=7)}),
        ("verify-password", {"carpd": carpd(password_sha256="0" * 12)}),
        ("verify-peer", {"carpd": carpd(peer="192.0.2.9")}),
        ("verify-address-missing", {"carpd": carpd(addresses=[])}),
        ("verify-address-extra", {"carpd": carpd(addresses=["192.0.2.10/24", "192.0.2.11/24"])}),
        ("verify-virtual-mac", {"carpd": carpd(virtual_mac=None)}),
        ("verify-failover", {"carpd": carpd(failover=True)}),
        ("verify-init", {"carpd": carpd(state="INIT", reason="the parent is a bridge port")}),
        ("verify-vhid-missing", {"carpd": {**status(DESIRED), "vhids": []}}),
        ("verify-demotion", {"carpd": {**status(DESIRED), "demotion": 240}}),
        (
            "verify-foreign",
            {"carpd": {**status(DESIRED), "vhids": [*status(DESIRED)["vhids"], carpd(vhid=9)["vhids"][0]]}},
        ),
        (
            "verify-daemon",
            {"carpd": {**status(DESIRED), "findings": [{"vhid": 1, "interface": "eth0", "text": "t", "remedy": "r"}]}},
        ),
        ("verify-address-absent", {"carpd": carpd(state="MASTER")}),
        ("verify-parent-sysctl", {"proc": HELD.replace("ignore:1", "ignore:0")}),
        ("verify-program", {"program": "1 2"}),
        ("verify-file-missing", {"program": ""}),
        ("verify-file", {"extra": {CONFIG: "{}"}}),
    ],
)
def test_each_difference_is_told_by_its_own_rule(rule: str, more: dict[str, Any]) -> None:
    findings = verify_host(DESIRED, applied(DESIRED, **more))
    assert rule in [finding.rule for finding in findings]
    assert all(finding.remedy for finding in findings if finding.rule != "verify-foreign")
    assert "ifconfig" not in str(findings)


def test_an_address_of_a_host_that_is_no_master_is_told() -> None:
    from linux_hosts import link

    stale = [link("eth0", "192.0.2.2/24"), macvlan(1, "192.0.2.10/32")]
    assert verify("BACKUP", links=stale) == ["verify-address-stale"]


def test_the_value_of_all_counts_for_the_interface() -> None:
    assert verify(proc=HELD.replace("eth0", "all")) == []


def test_what_the_daemon_found_is_passed_on_with_its_group() -> None:
    text = "another host advertises vhid 1 on eth0 with another password or address list, so both are MASTER"
    finding = {"vhid": 1, "interface": "eth0", "text": text, "remedy": "run apply on it"}
    snapshot = applied(DESIRED, carpd={**status(DESIRED), "findings": [finding]})
    [found] = verify_host(DESIRED, snapshot)
    assert (found.message, found.remedy, found.group) == (f"carpd says: {text}", "run apply on it", "web")


def test_why_a_vhid_is_in_init_is_what_the_daemon_says() -> None:
    snapshot = applied(DESIRED, carpd=carpd(state="INIT", reason="the parent is a bridge port"))
    assert "bridge port" in verify_host(DESIRED, snapshot)[0].message


def bsd(*, state: str, password: str = "s3cr3tOfCarp", addresses: tuple[str, ...] = ("192.0.2.10/24",)) -> Any:
    from types import MappingProxyType

    from bsdcarp.platforms.desire import desire

    desired = desire(FOUND, FOUND.hosts["bsd"], {"web": Secret("s3cr3tOfCarp")}, None)
    parsed: list[IfAddress] = [v.interface for a in addresses for v in [__import__("bsdcarp.model").model.vip(a)]]
    held = tuple(InterfaceAddress(a, 1) for a in parsed)
    vhid = VhidState(1, state, 1, 0, Secret(password), "224.0.0.18", "ff02::12")
    em0 = NetworkInterface("em0", frozenset({"UP", "MULTICAST"}), held, (vhid,), status="active")
    assert desired.capabilities.print_key
    return desired, Snapshot(
        FOUND.hosts["bsd"].os or DESIRED.capabilities,  # type: ignore[arg-type]
        sysctls=MappingProxyType({"preempt": 1, "allow": 1, "demotion": 0}),
        interfaces=MappingProxyType({"em0": em0}),
    )


def group(linux: Snapshot, other: Any, desired: Desired = DESIRED, found: Any = FOUND) -> list[str]:
    findings = verify_group(found.groups["web"], {"bsd": other, "lin": (desired, linux)}, [])
    return [finding.rule for finding in findings]


def test_a_group_of_both_systems_has_one_master() -> None:
    assert group(applied(DESIRED, "BACKUP"), bsd(state="MASTER")) == []
    assert group(applied(DESIRED, "MASTER"), bsd(state="MASTER")) == ["verify-master-many"]
    assert group(applied(DESIRED, "BACKUP"), bsd(state="BACKUP")) == ["verify-master-none"]
    assert group(applied(DESIRED, "MASTER"), bsd(state="BACKUP")) == ["verify-preferred-master"]


def test_passwords_and_addresses_are_compared_across_systems() -> None:
    assert group(applied(DESIRED, "BACKUP"), bsd(state="MASTER", password="other")) == ["verify-password-differs"]
    more = bsd(state="MASTER", addresses=("192.0.2.10/24", "192.0.2.11/24"))
    assert group(applied(DESIRED, "BACKUP"), more) == ["verify-address-list"]


def test_a_member_that_was_sent_away_says_why_it_is_not_master() -> None:
    found = inventory({"web": {**WEB, "members": ["lin", "bsd"]}})
    desired = wanted(found, host())
    answer = status(desired)
    away = applied(desired, carpd={**answer, "vhids": [{**answer["vhids"][0], "failover": True}]})
    _, snapshot = bsd(state="MASTER")
    em0 = snapshot.interfaces["em0"]
    slow = replace(snapshot, interfaces={"em0": replace(em0, vhids=(replace(em0.vhids[0], advskew=100),))})
    bsd_desired = replace(bsd(state="MASTER")[0])
    findings = verify_group(found.groups["web"], {"bsd": (bsd_desired, slow), "lin": (desired, away)}, [])
    assert [f.rule for f in findings] == ["verify-preferred-master"]
    assert "ctl failover" in findings[0].message


def test_a_daemon_that_does_not_answer_has_no_state() -> None:
    assert group(applied(DESIRED, carpd=None), bsd(state="MASTER")) == []
    assert group(applied(DESIRED, carpd=None), bsd(state="INIT")) == ["verify-master-none"]


def test_ucarp_is_master_when_it_holds_the_address() -> None:
    desired = wanted(UCARP, host(ucarp="/usr/sbin/ucarp"))
    assert group(applied(desired, "BACKUP"), bsd(state="MASTER"), desired, UCARP) == []
    assert group(applied(desired, "MASTER"), bsd(state="MASTER"), desired, UCARP) == ["verify-master-many"]
    dead = applied(desired, "MASTER", units=unit("bsdcarp-ucarp-web", active="failed"), processes=())
    assert group(dead, bsd(state="MASTER"), desired, UCARP) == []


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        ("persist-service", {"units": unit(enabled="disabled")}),
        ("persist-service", {"units": ""}),
        ("persist-masked", {"units": unit(enabled="masked", LoadState="masked")}),
        ("persist-unit-other", {"units": unit(FragmentPath="/etc/systemd/system.control/bsdcarp-carpd.service")}),
        ("persist-dropin", {"units": unit(DropInPaths="/etc/systemd/system/bsdcarp-carpd.service.d/x.conf")}),
        ("persist-python", {"python": ""}),
        ("persist-program", {"program": "1 2"}),
        ("persist-file", {"extra": {UNIT: "[Service]\n"}}),
        ("persist-sysctl-overridden", {"extra": {"/etc/sysctl.conf": "net.ipv4.conf.eth0.arp_ignore=0\n"}}),
        ("persist-interface-idle", {"extra": {"/etc/network/interfaces": "iface eth0 inet manual\n"}}),
    ],
)
def test_each_trap_of_a_boot_is_told_by_its_own_rule(rule: str, more: dict[str, Any]) -> None:
    found = persist(DESIRED, applied(DESIRED, **more))
    assert [finding.rule for finding in found] == [rule]
    assert found[0].remedy


def test_a_service_that_stays_enabled_after_its_group_left_is_told() -> None:
    before = applied(DESIRED)
    rest = wanted(inventory({}), before)
    assert "persist-stale" in [finding.rule for finding in persist(rest, before)]


def test_a_boot_hook_has_to_be_executable() -> None:
    desired = wanted(FOUND, host(init="sh"))
    snapshot = applied(desired, init="sh")
    assert [finding.rule for finding in persist(desired, snapshot)] == ["persist-boot-hook"]
    assert persist(desired, applied(desired, init="sh", executable="/etc/rc.local\n")) == []


def test_openrc_is_judged_by_its_runlevels() -> None:
    desired = wanted(FOUND, host(init="openrc"))
    assert boot(desired, init="openrc", started=" ", script=" ") == ["persist-service"]
    assert boot(desired, init="openrc", started=" ", script=" ", enabled=" ") == []


@pytest.mark.parametrize(
    ("files", "value"),
    [
        ({"/etc/sysctl.d/10-a.conf": "net.ipv4.conf.eth0.arp_ignore = 2"}, "1"),
        ({"/etc/sysctl.d/99-a.conf": "net.ipv4.conf.eth0.arp_ignore = 2"}, "2"),
        ({"/usr/lib/sysctl.d/99-a.conf": "-net/ipv4/conf/eth0/arp_ignore=2"}, "2"),
        ({"/usr/lib/sysctl.d/99-a.conf": "net.ipv4.conf.eth0.arp_ignore=2", "/etc/sysctl.d/99-a.conf": "# no"}, "1"),
        ({"/etc/sysctl.d/99-a.conf": "net.ipv4.conf.*.arp_ignore = 2"}, "1"),
        ({"/etc/sysctl.d/99-a.conf": "; net.ipv4.conf.eth0.arp_ignore = 2\nnonsense"}, "1"),
        ({"/etc/sysctl.d/99-a.conf": "net.ipv4.conf.eth0.arp_ignore = 2", "/etc/sysctl.conf": "net/ipv4/conf/eth0/arp_ignore=3"}, "3"),
    ],
)  # fmt: skip
def test_of_sysctl_files_the_last_name_counts_and_a_name_beats_a_pattern(files: dict[str, str], value: str) -> None:
    ours = {SYSCTL: "net/ipv4/conf/eth0/arp_ignore = 1\n"}
    last = deciding("net/ipv4/conf/eth0/arp_ignore", assignments(ours | files))
    assert last is not None
    assert last.value == value


def test_a_vlan_keeps_its_dot_in_both_ways_of_writing() -> None:
    files = {"/etc/sysctl.d/a.conf": "net.ipv4.conf.eth0/20.arp_ignore=1\nnet/ipv4/conf/eth0.21/arp_ignore=1\n"}
    assert [entry.name for entry in assignments(files)] == [
        "net/ipv4/conf/eth0.20/arp_ignore",
        "net/ipv4/conf/eth0.21/arp_ignore",
    ]


@pytest.mark.parametrize(
    ("files", "idle"),
    [
        ({"/etc/network/interfaces": "auto eth0\niface eth0 inet dhcp\n"}, False),
        ({"/etc/network/interfaces": "allow-hotplug eth0\niface eth0 inet dhcp\n"}, False),
        ({"/etc/network/interfaces": "auto /eth*\niface eth0 inet dhcp\n"}, False),
        ({"/etc/network/interfaces": "auto lo \\\n eth0\niface eth0 inet dhcp\n"}, False),
        ({"/etc/network/interfaces.d/eth0": "iface eth0 inet dhcp\n", "/etc/network/interfaces": "auto lo eth0\n"}, False),
        ({"/etc/network/interfaces": "auto lo\niface eth0 inet dhcp\n"}, True),
        ({"/etc/network/interfaces": "auto lo\n"}, False),
        ({"/etc/systemd/network/10-a.network": "[Match]\nName=eth0\n[Link]\nActivationPolicy=manual\n"}, True),
        ({"/etc/systemd/network/10-a.network": "[Match]\nName=en* eth*\n[Link]\nUnmanaged=yes\n"}, True),
        ({"/etc/systemd/network/10-a.network": "[Match]\nName=eth0\n[Network]\nDHCP=yes\n"}, False),
        (
            {
                "/etc/systemd/network/10-a.network": "[Match]\nName=eth0\n",
                "/etc/systemd/network/20-b.network": "[Match]\nName=eth*\n[Link]\nUnmanaged=yes\n",
            },
            False,
        ),
        ({"/etc/systemd/network/10-a.network": "# [Match]\n; Name=x\n[Match]\nName=eth1\n[Link]\nUnmanaged=yes\n"}, False),
    ],
)  # fmt: skip
def test_an_interface_that_stays_down_is_known_from_its_files(files: dict[str, str], idle: bool) -> None:
    assert (idle_interface("eth0", files) is not None) is idle


def test_a_missing_program_is_unwanted_where_nothing_is_wanted() -> None:
    before = applied(DESIRED)
    rest = wanted(inventory({}), before)
    assert f"lin:{PROGRAM}" in [f.place.file for f in persist(rest, before) if f.rule == "persist-file-unwanted"]
