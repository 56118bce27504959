"""persist on hosts that are no traps but not plain either, and what lives in no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_interface

import pytest
from clean_hosts import CLEAN, CleanHost, WantedVhid
from judge_hosts import HOST, UP, desired_of, snapshot_of

from bsdcarp.judge import persist
from bsdcarp.judge.bootorder import boot
from bsdcarp.platforms.desired import Desired
from bsdcarp.platforms.record import OwnedVhid, Record
from bsdcarp.snapshot import InterfaceAddress, KernelDirectory, NetworkInterface, Snapshot, VhidState

RC, LOADER, SYSCTL = "/etc/rc.conf", "/boot/loader.conf", "/etc/sysctl.conf"
VIP = WantedVhid("lan", 1, 0, "secret1", ("10.0.0.1/32",))


def host(release: str, rc: str, interface: str = "em0", **changes: object) -> CleanHost:
    base = CLEAN[release]
    files = {**base.files, RC: rc}
    made = replace(base, files=files, vhids=(VIP,), interface=interface, own=("10.0.0.2/24",))
    return replace(made, **changes)  # type: ignore[arg-type]  # any field may be changed


def rules(one: CleanHost, files: Mapping[str, str] | None = None, **changes: object) -> list[str]:
    snapshot = snapshot_of(one, files, **changes)
    return [finding.rule for finding in persist(desired_of(one), snapshot)]


GOOD = {
    "plural aliases": 'ifconfig_em0="inet 10.0.0.2/24"\nifconfig_em0_aliases="inet vhid 1 pass secret1 10.0.0.1/32"\n',
    "plural over several lines": 'ifconfig_em0="inet 10.0.0.2/24"\nifconfig_em0_aliases="inet vhid 1 pass secret1 \\\n  10.0.0.1/32"\n',
    "a gap": 'ifconfig_em0="inet 10.0.0.2/24"\nifconfig_em0_alias4="inet vhid 1 pass secret1 alias 10.0.0.1/32"\n',
    "a range": (
        'ifconfig_em0="inet 10.0.0.2/24"\nifconfig_em0_alias0="inet vhid 1 pass secret1 alias 10.0.0.1/32"\n'
        'ifconfig_em0_alias1="inet 10.0.0.20-22/32"\nifconfig_em0_alias2="inet6 2001:db8::a-c/64"\n'
        'ifconfig_em0_ipv6="inet6 auto_linklocal"\n'
    ),
    "ipv4_addrs": (
        'ipv4_addrs_em0="10.0.0.2/24 10.0.0.30-31/32"\n'
        'ifconfig_em0_alias0="inet vhid 1 pass secret1 alias 10.0.0.1/32"\n'
    ),
    "DHCP": 'ifconfig_em0="SYNCDHCP"\nifconfig_em0_alias0="inet vhid 1 pass secret1 alias 10.0.0.1/32"\n',
    "ifconfig_DEFAULT": 'ifconfig_DEFAULT="DHCP"\nifconfig_em0_alias0="inet vhid 1 pass secret1 alias 10.0.0.1/32"\n',
    "a hexadecimal mask": (
        'ifconfig_em0="inet 10.0.0.2 netmask 0xffffff00 mtu 1500 up"\n'
        'ifconfig_em0_alias0="inet vhid 1 pass secret1 alias 10.0.0.1 netmask 255.255.255.255"\n'
    ),
    "network_interfaces names it": (
        'network_interfaces="lo0 em0"\nifconfig_em0="inet 10.0.0.2/24"\n'
        'ifconfig_em0_alias0="inet vhid 1 pass secret1 alias 10.0.0.1/32"\n'
    ),
    "an empty last alias": (
        'ifconfig_em0="inet 10.0.0.2/24"\nifconfig_em0_alias0="inet vhid 1 pass secret1 alias 10.0.0.1/32"\n'
        'ifconfig_em0_alias1=""\n'
    ),
    "an alias of another family": (
        'ifconfig_em0="inet 10.0.0.2/24"\nifconfig_em0_alias0="inet vhid 1 pass secret1 alias 10.0.0.1/32"\n'
        'ifconfig_em0_alias1="ether 02:00:00:00:00:01"\n'
    ),
    "a second line without password": (
        'ifconfig_em0="inet 10.0.0.2/24"\nifconfig_em0_alias0="inet vhid 1 pass secret1"\n'
        'ifconfig_em0_alias1="inet vhid 1 alias 10.0.0.1/32"\n'
    ),
    "netif_enable says yes": (
        'netif_enable="YES"\nifconfig_em0="inet 10.0.0.2/24"\n'
        'ifconfig_em0_alias0="inet vhid 1 pass secret1 alias 10.0.0.1/32"\n'
    ),
    "the same line twice": (
        'ifconfig_em0="inet 10.0.0.2/24"\nifconfig_em0_alias0="inet vhid 1 pass secret1 alias 10.0.0.1/32"\n'
        'ifconfig_em0_alias0="inet vhid 1 pass secret1 alias 10.0.0.1/32"\n'
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_other_ways_to_write_it_are_fine(name: str) -> None:
    assert rules(host("12.1", GOOD[name])) == []


def test_an_overridden_line_that_does_no_harm_is_only_a_remark() -> None:
    rc = 'ifconfig_em0="inet 10.0.0.5/24"\n' + GOOD["plural aliases"]
    finding = persist(desired_of(host("12.1", rc)), snapshot_of(host("12.1", rc)))
    assert [(f.rule, f.severity.value, f.place.line) for f in finding] == [("persist-rc-overridden", "info", 2)]


def test_the_value_that_sh_finds_counts_also_behind_eval() -> None:
    rc = 'ifconfig_em0="inet 10.0.0.2/24"\neval ifconfig_em0_alias0=\'"inet vhid 1 pass secret1 alias 10.0.0.1/32"\'\n'
    findings = persist(desired_of(host("12.1", rc)), snapshot_of(host("12.1", rc)))
    assert [(f.rule, f.place.line) for f in findings] == [("persist-rc-computed", 2)]


def test_without_an_answer_from_sh_the_text_decides() -> None:
    one = host("12.1", GOOD["a gap"])
    assert rules(one, rc={}) == []
    conditional = GOOD["a gap"].replace("ifconfig_em0_alias4", "if true; then ifconfig_em0_alias4")[:-1] + "; fi\n"
    assert "persist-vhid-missing" in rules(host("12.1", conditional), rc={})


VLAN_RC = (
    'ifconfig_em0="up"\nvlans_em0="5 dmz"\ncreate_args_dmz="vlan 6"\nifconfig_em0_5="inet 10.0.0.2/24"\n'
    'ifconfig_em0_5_alias0="inet vhid 1 pass secret1 alias 10.0.0.1/32"\n'
)


def vlan(name: str, rc: str) -> tuple[Desired, Snapshot]:
    one = host("14.2", rc, interface=name)
    snapshot = snapshot_of(one)
    interfaces = {"em0": NetworkInterface("em0", UP), **snapshot.interfaces}
    return desired_of(one), replace(snapshot, interfaces=interfaces)


def test_a_vlan_that_rc_creates_is_fine() -> None:
    assert persist(*vlan("em0.5", VLAN_RC)) == []
    assert persist(*vlan("dmz", VLAN_RC.replace("em0_5", "dmz"))) == []


def test_a_vlan_on_a_renamed_parent_is_fine() -> None:
    rc = 'ifconfig_em0_name="lan0"\n' + VLAN_RC.replace("vlans_em0", "vlans_lan0").replace("em0_5", "lan0_5")
    desired, snapshot = vlan("lan0.5", rc)
    interfaces = {("lan0" if n == "em0" else n): replace(i, name=n) for n, i in snapshot.interfaces.items()}
    assert persist(desired, replace(snapshot, interfaces=interfaces)) == []
    # The rename is in the file, but has not happened yet.
    assert persist(desired, snapshot) == []


def test_a_vlan_in_cloned_interfaces_is_fine() -> None:
    rc = VLAN_RC.replace('vlans_em0="5 dmz"', 'cloned_interfaces="vlan5:sticky"').replace("em0_5", "vlan5")
    assert persist(*vlan("vlan5", rc)) == []


@pytest.mark.parametrize(("name", "cure"), [("em0.5", "vlans_em0"), ("vlan5", "cloned_interfaces")])
def test_a_vlan_made_by_hand_is_gone_after_a_boot(name: str, cure: str) -> None:
    rc = VLAN_RC.replace('vlans_em0="5 dmz"\n', "").replace("em0_5", name.replace(".", "_"))
    findings = persist(*vlan(name, rc))
    assert [f.rule for f in findings] == ["persist-interface-not-created", "persist-vhid-missing"]
    assert cure in findings[0].remedy


def test_an_interface_renamed_by_hand_is_gone_after_a_boot() -> None:
    rc = 'ifconfig_lan="inet 10.0.0.2/24"\nifconfig_lan_alias0="inet vhid 1 pass secret1 alias 10.0.0.1/32"\n'
    assert "persist-interface-renamed" in rules(host("12.1", rc, interface="lan"))
    assert rules(host("12.1", f'ifconfig_igb0_name="lan"\n{rc}', interface="lan")) == []


def test_an_interface_that_was_never_there() -> None:
    one = host("12.1", GOOD["a gap"])
    desired = replace(desired_of(one), vhids=(replace(desired_of(one).vhids[0], interface="em7"),))
    found = persist(desired, snapshot_of(one))
    assert [f.rule for f in found if f.severity.value == "error"] == ["persist-interface-absent"]


def test_ipv6_network_interfaces_can_leave_it_out() -> None:
    rc = CLEAN["12.1"].files[RC] + 'ipv6_network_interfaces="em1"\n'
    assert "persist-ipv6-variable" in rules(replace(CLEAN["12.1"], files={**CLEAN["12.1"].files, RC: rc}))


UNICAST = (
    'ifconfig_em0="inet 10.0.0.2/24"\n'
    'ifconfig_em0_alias0="inet vhid 1 pass secret1 peer 10.0.0.3 alias 10.0.0.1/32"\n'
    'ifconfig_em0_alias1="inet vhid 1 pass secret1 peer 10.0.0.3 alias 10.0.0.4/32"\n'
)
UNICAST_VIP = replace(VIP, addresses=("10.0.0.1/32", "10.0.0.4/32"), peer="10.0.0.3")


def test_a_unicast_peer_must_stand_in_every_line() -> None:
    good = host("14.2", UNICAST, vhids=(UNICAST_VIP,))
    assert rules(good) == []
    bad = replace(good, files={**good.files, RC: UNICAST.replace("peer 10.0.0.3 alias 10.0.0.4", "alias 10.0.0.4")})
    findings = persist(desired_of(good), snapshot_of(bad))
    assert [(f.rule, f.place.line) for f in findings] == [("persist-peer", 3)]
    assert "224.0.0.18, not 10.0.0.3" in findings[0].message


def test_a_password_is_cut_where_ifconfig_cuts_it() -> None:
    long = "x" * 25
    rc = GOOD["a gap"].replace("secret1", long[:20])
    assert rules(host("12.1", rc, vhids=(replace(VIP, password=long),))) == []


def test_what_runs_and_stands_in_no_file_would_vanish() -> None:
    one = host("12.1", GOOD["a gap"])
    snapshot = snapshot_of(one)
    em1 = NetworkInterface(
        "em1", UP, (InterfaceAddress(ip_interface("10.1.0.9/32"), 9),), (VhidState(9, "MASTER", 1, 0),)
    )
    changed = replace(
        snapshot,
        interfaces={**snapshot.interfaces, "em1": em1},
        sysctls={**snapshot.sysctls, "ifdown_demotion_factor": 0, "senderr_demotion_factor": 240, "demotion": 5},
    )
    assert [f.rule for f in persist(desired_of(one), changed)] == [
        "persist-live-only",
        "persist-live-sysctl",
        "persist-demotion-lost",
    ]
    kept = {**one.files, SYSCTL: one.files[SYSCTL] + "net.inet.carp.ifdown_demotion_factor=0\n"}
    only = snapshot_of(one, kept, sysctls=changed.sysctls)
    assert [f.rule for f in persist(desired_of(one), only)] == ["persist-demotion-lost"]


def test_an_old_vhid_of_our_own_must_not_come_back() -> None:
    rc = GOOD["a gap"] + 'ifconfig_em0_alias5="inet vhid 9 pass secret1 alias 10.0.0.9/32"\n'
    one = host("12.1", rc)
    desired = replace(desired_of(one), previous=Record(vhids=(OwnedVhid("em0", 9, ("10.0.0.9",)),)))
    findings = persist(desired, snapshot_of(one))
    assert [(f.rule, f.place.line) for f in findings] == [("persist-stale", 3)]


def test_a_host_without_vhids_needs_no_carp() -> None:
    one = replace(CLEAN["12.1"], files={RC: 'ifconfig_em0="inet 10.0.0.2/24"\n'}, vhids=(), sysctls={})
    assert rules(one, carp="absent") == []


def test_foreign_interfaces_stay_out_of_the_report() -> None:
    rc = GOOD["a gap"] + 'ifconfig_em1_alias0=""\nifconfig_em1_alias1="vhid 300 10.9.9.9"\n'
    assert rules(host("12.1", rc)) == []


def test_sysctl_kld_d_cures_a_late_carp_on_14() -> None:
    clean = CLEAN["14.2"]
    files = {
        **clean.files,
        LOADER: "",
        RC: clean.files[RC] + 'kld_list="carp.ko"\n',
        "/etc/sysctl.kld.d/carp.conf": "net.inet.carp.preempt=1\n",
    }
    assert rules(clean, files) == []
    old = {**files, RC: CLEAN["12.1"].files[RC] + 'kld_list="carp"\n'}
    assert rules(CLEAN["12.1"], old) == ["persist-sysctl-late"]


def test_kld_list_in_its_own_file_is_read() -> None:
    files = {**CLEAN["12.1"].files, LOADER: "", "/etc/rc.conf.d/kld": 'kld_list="carp"\n'}
    state = boot(snapshot_of(CLEAN["12.1"], files), desired_of(CLEAN["12.1"]).capabilities, HOST)
    assert state.rc is not None
    assert [o.path for o in state.rc.origins["kld_list"]] == ["/etc/rc.conf.d/kld"]


def test_a_static_kernel_needs_nothing_in_loader_conf() -> None:
    clean = CLEAN["12.1"]
    files = {**clean.files, LOADER: 'kernel="/boot/kernel.CARP/kernel"\n', RC: clean.files[RC] + 'kld_list="carp"\n'}
    kernels = (KernelDirectory("kernel", "carp"), KernelDirectory("kernel.CARP", "carp"))
    assert rules(clean, files, carp="static", kernels=kernels, bootfile="/boot/kernel.CARP/kernel") == []


def test_a_kernel_that_was_built_for_carp_is_trusted() -> None:
    clean = CLEAN["12.1"]
    conf = "/usr/src/sys/amd64/conf/CARP"
    files = {**clean.files, LOADER: 'kernel="kernel.CARP"\n', conf: "include GENERIC\nident CARP\ndevice\tcarp\n"}
    kernels = (KernelDirectory("kernel", "carp"), KernelDirectory("kernel.CARP"))
    assert rules(clean, files, carp="absent", kernels=kernels) == []
    files[conf] = "include GENERIC\nident CARP\n"
    assert rules(clean, files, carp="absent", kernels=kernels) == ["persist-kernel-other"]


def test_a_newer_kernel_that_tells_nothing_is_only_doubted() -> None:
    clean = CLEAN["12.1"]
    files = {**clean.files, LOADER: ""}
    newer = (KernelDirectory("kernel", "", "unknown"),)
    [finding] = persist(desired_of(clean), snapshot_of(clean, files, carp="static", kernels=newer))
    assert (finding.rule, finding.severity.value) == ("persist-kernel-replaced", "warning")


def test_where_carp_shall_be_built_in_nobody_is_told_to_load_the_module() -> None:
    clean = CLEAN["12.1"]
    files = {**clean.files, LOADER: ""}
    wanted = replace(desired_of(clean), kernel="static")
    [finding] = persist(wanted, snapshot_of(clean, files, carp="absent"))
    assert finding.rule == "persist-carp-absent"
    assert "bsdcarp kernel build" in finding.remedy
    assert "carp_load" not in finding.remedy


def test_nextboot_on_zfs_is_for_one_boot_from_13_on() -> None:
    nextboot = {"/boot/nextboot.conf": 'nextboot_enable="YES"\nkernel="kernel"\n'}
    for release, rule in (("12.1", "persist-nextboot-zfs"), ("14.2", "persist-nextboot")):
        clean = CLEAN[release]
        assert rules(clean, {**clean.files, **nextboot}, boot_on_zfs=True) == [rule]


def test_the_boot_state_tells_the_sysctls_of_both_moments() -> None:
    clean = CLEAN["12.1"]
    files = {**clean.files, LOADER: "", RC: clean.files[RC] + 'kld_list="carp"\n'}
    state = boot(snapshot_of(clean, files), desired_of(clean).capabilities, HOST)
    assert state.carp.source == "kld"
    assert (state.sysctls_at_netif["preempt"], state.sysctls["preempt"]) == (0, 1)
    assert [v.vhid for v in state.vhids] == [1, 7]
    assert [str(a) for a in state.own["em0"]] == ["192.168.90.2/24", "2001:db8::2/64"]


def test_demotion_is_added_twice() -> None:
    clean = CLEAN["12.1"]
    files = {**clean.files, SYSCTL: "net.inet.carp.demotion=240\n"}
    assert boot(snapshot_of(clean, files), desired_of(clean).capabilities, HOST).sysctls["demotion"] == 480


def test_an_rc_error_that_the_reader_cannot_place_is_not_quoted() -> None:
    clean = CLEAN["12.1"]
    finding = persist(desired_of(clean), snapshot_of(clean, rc={}, rc_error="line 3: pass secret1: not found"))[0]
    assert finding.rule == "persist-rc-unreadable"
    assert "secret1" not in finding.message
    assert finding.place.line == 0


def test_findings_come_in_the_order_of_their_weight() -> None:
    clean = CLEAN["12.1"]
    files = {
        **clean.files,
        SYSCTL: clean.files[SYSCTL].replace("preempt=1", "preempt=0"),
        RC: clean.files[RC].replace('"inet vhid 7', '"vhid 7') + 'ifconfig_em0="inet 192.168.90.2/24 up"\n',
    }
    severities = [f.severity.value for f in persist(desired_of(clean), snapshot_of(clean, files))]
    assert severities == ["error", "warning", "info"]


def test_carp_units_of_other_vhids_and_dhcp_parents() -> None:
    clean = CLEAN["9.3"]
    rc = clean.files[RC].replace('ifconfig_em0="inet 192.168.90.2 netmask 255.255.255.0"', 'ifconfig_em0="DHCP"')
    rc += 'ifconfig_carp1_alias0="inet 192.168.90.44/24"\n'
    first = replace(clean.vhids[0], addresses=("192.168.90.1/24", "192.168.90.44/24"))
    one = replace(clean, files={**clean.files, RC: rc}, vhids=(first, clean.vhids[1]))
    assert rules(one) == []


def test_a_carp_unit_may_change_its_vhid_and_may_have_none() -> None:
    clean = CLEAN["9.3"]
    rc = clean.files[RC].replace("carp1 carp2", "carp1 carp2 carp3")
    rc += 'ifconfig_carp2_alias0="vhid 9 192.168.90.45/24"\nifconfig_carp3="192.168.90.46/24"\n'
    found = rules(clean, {**clean.files, RC: rc})
    assert "persist-vhid-missing" in found
    assert "persist-alias-family" in found


def test_an_address_that_is_the_interface_s_own_first_moves_to_the_vhid() -> None:
    rc = 'ifconfig_em0="inet 10.0.0.2/24"\nifconfig_em0_alias0="inet 10.0.0.1/32"\n'
    rc += 'ifconfig_em0_alias1="inet vhid 1 pass secret1 alias 10.0.0.1/32"\n'
    state = boot(snapshot_of(host("12.1", rc)), desired_of(host("12.1", rc)).capabilities, HOST)
    assert [str(a) for a in state.own["em0"]] == ["10.0.0.2/24"]
    assert [str(a) for a in state.vhids[0].addresses] == ["10.0.0.1/32"]


def test_the_line_that_decides_a_parameter_is_the_one_named() -> None:
    rc = GOOD["a gap"] + 'ifconfig_em0_alias5="inet vhid 1 advskew 9 pass other alias 10.0.0.4/32"\n'
    one = host("12.1", rc, vhids=(replace(VIP, addresses=("10.0.0.1/32", "10.0.0.4/32")),))
    found = [(f.rule, f.place.line) for f in persist(desired_of(one), snapshot_of(one))]
    assert found == [("persist-advskew", 3), ("persist-password", 3)]
