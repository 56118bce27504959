"""verify_host: a host as wanted yields nothing; each difference is named with its rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_interface
from types import MappingProxyType

import pytest
from clean_hosts import CLEAN
from judge_hosts import HOST, UP, desired_of, snapshot_of

from bsdcarp.judge import verify_host
from bsdcarp.model import Secret, Severity
from bsdcarp.platforms.desired import Desired, DesiredFile
from bsdcarp.platforms.record import OwnedVhid, Record
from bsdcarp.snapshot import FileState, InterfaceAddress, Snapshot, VhidState


def with_interface(snapshot: Snapshot, name: str, **changes: object) -> Snapshot:
    changed = replace(snapshot.interfaces[name], **changes)  # type: ignore[arg-type]  # any field may be changed
    return replace(snapshot, interfaces=MappingProxyType({**snapshot.interfaces, name: changed}))


def with_state(snapshot: Snapshot, name: str, number: int, **changes: object) -> Snapshot:
    states = tuple(
        replace(v, **changes) if v.vhid == number else v  # type: ignore[arg-type]  # any field may be changed
        for v in snapshot.interfaces[name].vhids
    )
    return with_interface(snapshot, name, vhids=states)


def with_sysctls(snapshot: Snapshot, **values: int) -> Snapshot:
    return replace(snapshot, sysctls=MappingProxyType({**snapshot.sysctls, **values}))


def with_file(snapshot: Snapshot, path: str, text: str) -> Snapshot:
    return replace(snapshot, files=MappingProxyType({**snapshot.files, path: FileState(text)}))


def without_address(snapshot: Snapshot, text: str) -> Snapshot:
    kept = tuple(a for a in snapshot.interfaces["em0"].addresses if a.text != text)
    return with_interface(snapshot, "em0", addresses=kept)


def rules(desired: Desired, snapshot: Snapshot) -> list[str]:
    return [finding.rule for finding in verify_host(desired, snapshot)]


@pytest.mark.parametrize("release", sorted(CLEAN))
def test_a_host_as_wanted_yields_nothing(release: str) -> None:
    host = CLEAN[release]
    assert verify_host(desired_of(host), snapshot_of(host)) == []


def test_an_unmanaged_host_yields_nothing() -> None:
    host = CLEAN["12.1"]
    desired = Desired(host=HOST, capabilities=desired_of(host).capabilities, files={})
    snapshot = snapshot_of(host, {}, carp="absent", sysctls={}, interfaces={})
    assert verify_host(desired, snapshot) == []


Change = Callable[[Snapshot], Snapshot]

LIVE: list[tuple[str, str, Change, str, str]] = [
    ("sysctl value", "12.1", lambda s: with_sysctls(s, preempt=0), "verify-sysctl", "preempt is 0, not 1"),
    (
        "sysctl missing",
        "9.3",
        lambda s: replace(s, sysctls={"allow": 1, "preempt": 1, "log": 1}),
        "verify-sysctl",
        "arpbalance does not exist",
    ),
    (
        "interface missing",
        "14.2",
        lambda s: replace(s, interfaces={"em1": s.interfaces["em1"]}),
        "verify-interface-missing",
        "no interface em0",
    ),
    (
        "interface down",
        "12.1",
        lambda s: with_interface(s, "em0", flags=UP - {"UP"}),
        "verify-interface-down",
        "em0 is not UP",
    ),
    ("no link", "12.1", lambda s: with_interface(s, "em0", status="no carrier"), "verify-interface-link", "no link"),
    (
        "ifdisabled",
        "14.2",
        lambda s: with_interface(s, "em0", inet6_disabled=True),
        "verify-ipv6-disabled",
        "IFDISABLED",
    ),
    (
        "vhid missing",
        "12.1",
        lambda s: with_interface(s, "em0", vhids=s.interfaces["em0"].vhids[:1]),
        "verify-vhid-missing",
        "vhid 7 on em0 does not exist",
    ),
    (
        "unit missing",
        "9.3",
        lambda s: replace(s, interfaces={n: i for n, i in s.interfaces.items() if n != "carp2"}),
        "verify-vhid-missing",
        "vhid 2 on carp2",
    ),
    (
        "other unit",
        "7.2",
        lambda s: replace(
            s,
            interfaces={
                **{n: i for n, i in s.interfaces.items() if n != "carp2"},
                "carp0": replace(s.interfaces["carp2"], name="carp0"),
            },
        ),
        "verify-vhid-unit",
        "vhid 2 runs on carp0, not on carp2",
    ),
    (
        "vhid on another interface",
        "12.1",
        lambda s: replace(
            s,
            interfaces={
                "em0": replace(s.interfaces["em0"], vhids=s.interfaces["em0"].vhids[:1]),
                "em1": replace(s.interfaces["em1"], vhids=s.interfaces["em0"].vhids[1:]),
            },
        ),
        "verify-vhid-missing",
        "vhid 7 is on em1",
    ),
    ("advskew", "10.4", lambda s: with_state(s, "em0", 7, advskew=5), "verify-advskew", "advskew 5, not 100"),
    ("advbase", "7.2", lambda s: with_state(s, "carp1", 1, advbase=3), "verify-advbase", "advbase 3, not 1"),
    ("key", "12.1", lambda s: with_state(s, "em0", 7, key=Secret("hunter2")), "verify-password", "another password"),
    ("peer", "14.2", lambda s: with_state(s, "em0", 7, peer="192.168.90.3"), "verify-peer", "to 192.168.90.3"),
    ("peer6", "14.2", lambda s: with_state(s, "em0", 7, peer6="2001:db8::3"), "verify-peer6", "to 2001:db8::3"),
    (
        "address missing",
        "12.1",
        lambda s: without_address(s, "192.168.90.4"),
        "verify-address-missing",
        "lacks 192.168.90.4/32",
    ),
    (
        "address under no vhid",
        "12.1",
        lambda s: with_interface(
            without_address(s, "192.168.90.4"),
            "em0",
            addresses=(
                *without_address(s, "192.168.90.4").interfaces["em0"].addresses,
                InterfaceAddress(ip_interface("192.168.90.4/32")),
            ),
        ),
        "verify-address-missing",
        "it is on em0 without it",
    ),
    (
        "address under another vhid",
        "12.1",
        lambda s: with_interface(
            s,
            "em0",
            addresses=tuple(
                replace(a, vhid=1) if a.text == "192.168.90.7" else a for a in s.interfaces["em0"].addresses
            ),
        ),
        "verify-address-extra",
        "vhid 1 on em0 carries 192.168.90.7",
    ),
    (
        "prefix",
        "9.3",
        lambda s: with_interface(s, "carp1", addresses=(InterfaceAddress(ip_interface("192.168.90.1/32")),)),
        "verify-address-prefix",
        "is /32, not /24",
    ),
    (
        "address-less",
        "12.1",
        lambda s: without_address(s, "192.168.90.7"),
        "verify-leftover",
        "vhid 7 on em0 exists without any address",
    ),
    ("init", "12.1", lambda s: with_state(s, "em0", 7, state="INIT"), "verify-init", "look for carp in dmesg"),
    (
        "init because of allow",
        "12.1",
        lambda s: with_sysctls(with_state(s, "em0", 7, state="INIT"), allow=0),
        "verify-init",
        "net.inet.carp.allow is 0",
    ),
    (
        "init because of the link",
        "12.1",
        lambda s: with_interface(with_state(s, "em0", 7, state="INIT"), "em0", status="no carrier"),
        "verify-init",
        "em0 has no link",
    ),
    (
        "init because the parent is down",
        "9.3",
        lambda s: with_interface(with_state(s, "carp1", 1, state="INIT"), "em0", flags=UP - {"UP"}),
        "verify-init",
        "em0 is not UP",
    ),
    (
        "init because carpN is down",
        "9.3",
        lambda s: with_interface(with_state(s, "carp1", 1, state="INIT"), "carp1", flags=frozenset({"LOOPBACK"})),
        "verify-init",
        "carp1 is not UP",
    ),
    (
        "suppress_preempt",
        "9.3",
        lambda s: with_sysctls(s, suppress_preempt=2),
        "verify-suppress-preempt",
        "suppress_preempt is 2",
    ),
    (
        "demotion by vhids that are down",
        "12.1",
        lambda s: with_sysctls(with_state(s, "em0", 7, state="INIT"), demotion=240, ifdown_demotion_factor=240),
        "verify-demotion",
        "1 vhid(s) are down, and each adds 240",
    ),
    (
        "demotion left behind",
        "12.1",
        lambda s: with_sysctls(s, demotion=480),
        "verify-demotion",
        "2 x 240 with no vhid down",
    ),
    (
        "demotion on 14",
        "14.2",
        lambda s: with_sysctls(s, demotion=240),
        "verify-demotion",
        "somebody added it",
    ),
    (
        "file differs",
        "12.1",
        lambda s: with_file(s, "/boot/loader.conf", 'autoboot_delay="1"\ncarp_load="NO"\n'),
        "verify-file",
        "differs from line 2 on: it says 'carp_load=\"NO\"'",
    ),
    (
        "file gone",
        "12.1",
        lambda s: replace(s, files={p: f for p, f in s.files.items() if p != "/etc/sysctl.conf"}),
        "verify-file-missing",
        "does not exist",
    ),
    (
        "no kernel support",
        "12.1",
        lambda s: replace(s, carp="absent"),
        "verify-kernel",
        "has no carp",
    ),
    (
        "foreign vhid without address",
        "12.1",
        lambda s: with_interface(s, "em1", vhids=(VhidState(9, "INIT", 1, 0),)),
        "verify-leftover",
        "vhid 9 on em1",
    ),
    (
        "foreign vhid",
        "12.1",
        lambda s: with_interface(
            s,
            "em1",
            vhids=(VhidState(9, "MASTER", 1, 0),),
            addresses=(InterfaceAddress(ip_interface("10.0.0.9/32"), 9),),
        ),
        "verify-foreign",
        "vhid 9 on em1 (MASTER) is not in the inventory",
    ),
]


@pytest.mark.parametrize(("name", "release", "change", "rule", "words"), LIVE, ids=[case[0] for case in LIVE])
def test_a_live_difference_is_named(name: str, release: str, change: Change, rule: str, words: str) -> None:
    host = CLEAN[release]
    found = [f for f in verify_host(desired_of(host), change(snapshot_of(host))) if f.rule == rule]
    assert any(words in f.message for f in found), found
    assert all(f.host == HOST for f in found)
    assert all(f.remedy or f.severity is Severity.INFO for f in found)


def test_a_secret_file_is_never_quoted() -> None:
    host = CLEAN["12.1"]
    snapshot = snapshot_of(host)
    text = snapshot.text("/etc/rc.conf").replace("pass secret7", "pass hunter2")
    finding = next(f for f in verify_host(desired_of(host), with_file(snapshot, "/etc/rc.conf", text)))
    assert finding.rule == "verify-file"
    assert (finding.place.file, finding.place.line) == (f"{HOST}:/etc/rc.conf", 7)
    assert "hunter2" not in finding.message
    assert "secret" not in finding.message


def test_a_file_that_should_not_exist_is_named() -> None:
    host = CLEAN["12.1"]
    wanted = desired_of(host)
    desired = replace(wanted, files={**wanted.files, "/etc/old": DesiredFile(None), "/etc/gone": DesiredFile(None)})
    assert rules(desired, with_file(snapshot_of(host), "/etc/old", "x")) == ["verify-file-unwanted"]


def test_a_file_cut_short_differs_behind_its_end() -> None:
    host = CLEAN["12.1"]
    snapshot = with_file(snapshot_of(host), "/boot/loader.conf", 'autoboot_delay="1"\n')
    finding = verify_host(desired_of(host), snapshot)[0]
    assert finding.place.line == 2


def test_a_static_kernel_that_is_asked_for_is_missed() -> None:
    host = CLEAN["12.1"]
    desired = replace(desired_of(host), kernel="static")
    assert rules(desired, snapshot_of(host)) == ["verify-kernel"]


def test_securelevel_turns_kldload_into_a_reboot() -> None:
    host = CLEAN["12.1"]
    finding = verify_host(desired_of(host), snapshot_of(host, carp="absent", securelevel=1))[0]
    assert "securelevel 1" in finding.remedy


def test_a_kernel_without_module_must_be_built() -> None:
    host = CLEAN["7.2"]
    finding = verify_host(desired_of(host), snapshot_of(host, carp="absent"))[0]
    assert "device carp" in finding.remedy


def test_an_own_vhid_that_should_be_gone_is_stale() -> None:
    host = CLEAN["12.1"]
    previous = Record(vhids=(OwnedVhid("em1", 9, ("10.0.0.9",)),))
    snapshot = with_interface(
        snapshot_of(host),
        "em1",
        vhids=(VhidState(9, "MASTER", 1, 0),),
        addresses=(InterfaceAddress(ip_interface("10.0.0.9/32"), 9),),
    )
    assert rules(replace(desired_of(host), previous=previous), snapshot) == ["verify-stale"]


def test_right_now_but_not_after_a_boot_is_told() -> None:
    host = CLEAN["12.1"]
    desired, snapshot = desired_of(host), snapshot_of(host)
    rc_local = "/etc/rc.conf.local"
    overridden = 'ifconfig_em0_alias3="inet vhid 7 advskew 3 pass secret7 alias 192.168.90.7/32"'
    snapshot = snapshot_of(host, {**host.files, rc_local: f"{overridden}\n"})
    finding = verify_host(desired, snapshot)[0]
    assert finding.rule == "verify-agreement"
    assert str(finding.place).startswith(f"{HOST}:{rc_local}:1")
    gone = snapshot_of(host, {**host.files, rc_local: 'ifconfig_em0_alias3="inet 10.0.0.1/32"\n'})
    assert rules(desired, gone) == ["verify-agreement"]
