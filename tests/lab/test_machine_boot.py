"""A boot rebuilds the kernel's state from the files, and from nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_machines import EVERY_RELEASE, VHID_RELEASES, Bench, refused, run

from bsdcarp.errors import LabError
from bsdcarp.lab.machine import Machine
from bsdcarp.lab.nic import Nic
from bsdcarp.lab.releases import RELEASES, release_named

ALIAS = 'ifconfig_em0_alias0="inet vhid 1 advskew 100 pass secret alias 192.0.2.1/32"\n'
CLONES = 'cloned_interfaces="carp0"\nifconfig_carp0="vhid 1 advskew 100 pass secret 192.0.2.1/24"\n'


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("release", EVERY_RELEASE)
def test_every_release_boots_and_elects_itself_when_alone(bench: Bench, release: str) -> None:
    pseudo = release in {"7.2", "9.3"}
    machine = bench.machine(
        release=release, rc=CLONES if pseudo else ALIAS, kernel="CARP", sysctl="net.inet.carp.preempt=1\n"
    )
    bench.network.advance(4)
    assert machine.alive
    assert machine.carp_states() == {"1@carp0" if pseudo else "1@em0": "MASTER"}
    assert run(machine, "sysctl -n net.inet.carp.preempt") == "1\n"
    assert run(machine, "uname -ri") == f"{machine.release.uname_r} CARP\n"


@pytest.mark.parametrize("release", VHID_RELEASES)
def test_live_change_is_gone_after_reboot_and_file_change_is_there(bench: Bench, release: str) -> None:
    machine = bench.machine(release=release, loader='carp_load="YES"\n')
    run(machine, "ifconfig em0 vhid 7 pass x alias 192.0.2.7/32")
    run(machine, "sysctl net.inet.carp.preempt=1")
    run(machine, "sysrc ifconfig_em0_alias0=x")
    machine.tree.append("/etc/rc.conf", ALIAS)
    machine.reboot(1)
    bench.network.advance(6)
    assert machine.carp_states() == {"1@em0": "MASTER"}
    assert run(machine, "sysctl -n net.inet.carp.preempt") == "0\n"


def test_static_kernel_with_module_beside_it_and_carp_load_panics(bench: Bench) -> None:
    machine = bench.machine(kernel="CARP", loader='carp_load="YES"\n')
    assert machine.alive  # no carp.ko beside the kernel: the loader does not find it, no harm done
    machine.tree.write("/boot/kernel/carp.ko", "module carp\n")
    machine.reboot(1)
    bench.network.advance(2)
    assert machine.panicked
    assert not machine.alive
    assert "panic: page fault" in machine.console
    assert machine.command(["uname"]).status == 255
    with pytest.raises(LabError, match="panicked"):
        _ = machine.kernel


def test_kld_list_with_static_kernel_only_warns(bench: Bench) -> None:
    machine = bench.machine(kernel="CARP", rc='kld_list="carp"\n')
    assert machine.alive
    assert "/etc/rc: WARNING: Unable to load kernel module carp" in machine.console


def test_kld_list_comes_too_late_for_the_first_sysctl_pass_but_not_for_the_last(bench: Bench) -> None:
    machine = bench.machine(rc='kld_list="carp"\n' + ALIAS, sysctl="net.inet.carp.preempt=1\n")
    assert "unknown oid" not in machine.console
    assert run(machine, "sysctl -n net.inet.carp.preempt") == "1\n"


def test_sysctl_of_a_missing_module_is_reported_late_with_its_line(bench: Bench) -> None:
    machine = bench.machine(sysctl="# remark\nnet.inet.carp.preempt=1\n", rc=ALIAS)
    assert "sysctl: unknown oid 'net.inet.carp.preempt' at line 2" in machine.console
    assert "ifconfig: SIOCGVH: Protocol not supported" in machine.console
    assert "192.0.2.2" in run(machine, "ifconfig em0")


def test_demotion_in_sysctl_conf_is_added_twice(bench: Bench) -> None:
    machine = bench.machine(loader='carp_load="YES"\n', sysctl="net.inet.carp.demotion=240\n")
    assert run(machine, "sysctl -n net.inet.carp.demotion") == "480\n"


def test_sysctl_kld_d_is_applied_when_rc_loads_the_module_from_fourteen_on(bench: Bench) -> None:
    files = {"etc/sysctl.kld.d/carp.conf": "net.inet.carp.log=2\n"}
    newer = bench.machine("newer", "14.2", rc='kld_list="carp"\n', files=files)
    older = bench.machine("older", "12.1", rc='kld_list="carp"\n', files=files)
    assert run(newer, "sysctl -n net.inet.carp.log") == "2\n"
    assert run(older, "sysctl -n net.inet.carp.log") == "1\n"


def test_allow_is_a_loader_tunable_from_fourteen_on(bench: Bench) -> None:
    loader = 'carp_load="YES"\nnet.inet.carp.allow=0\n'
    newer = bench.machine("newer", "14.2", loader=loader)
    older = bench.machine("older", "12.1", loader=loader)
    assert run(newer, "sysctl -n net.inet.carp.allow") == "0\n"
    assert run(older, "sysctl -n net.inet.carp.allow") == "1\n"
    assert 'net.inet.carp.allow="0"' in run(newer, "kenv")


def test_hyphen_after_hex_digit_in_alias_hangs_the_boot(bench: Bench) -> None:
    rc = 'ifconfig_em0_alias0="inet vhid 1 pass abc-def alias 192.0.2.1/32"\n'
    machine = bench.machine(loader='carp_load="YES"\n', rc=rc)
    assert machine.state == "hung"
    assert not machine.alive
    assert "login:" not in machine.console


@pytest.mark.parametrize("password", ["s3cret-key", "x-y"])
def test_other_hyphens_do_no_harm_from_ten_on(bench: Bench, password: str) -> None:
    rc = f'ifconfig_em0_alias0="inet vhid 1 pass {password} alias 192.0.2.1/32"\n'
    machine = bench.machine(loader='carp_load="YES"\n', rc=rc)
    assert machine.alive
    assert f'key "{password}"' in run(machine, "ifconfig -k em0")


def test_double_hyphen_drops_the_alias_without_a_word(bench: Bench) -> None:
    machine = bench.machine(
        loader='carp_load="YES"\n', rc='ifconfig_em0_alias0="inet vhid 1 pass ab--cd alias 192.0.2.1/32"\n'
    )
    assert machine.alive
    assert machine.carp_states() == {}


def test_hyphen_on_carp_interface_itself_is_harmless_up_to_nine(bench: Bench) -> None:
    machine = bench.machine(release="9.3", kernel="CARP", rc=CLONES.replace("secret", "ab-cd"))
    assert machine.alive
    assert machine.carp_states() == {"1@carp0": "BACKUP"}


def test_empty_alias_ends_the_list_and_a_gap_does_not(bench: Bench) -> None:
    rc = (
        'ifconfig_em0_alias0="inet 192.0.2.10/32"\nifconfig_em0_alias2="inet 192.0.2.12/32"\n'
        'ifconfig_em0_alias3=""\nifconfig_em0_alias4="inet 192.0.2.14/32"\n'
    )
    shown = run(bench.machine(rc=rc), "ifconfig em0")
    assert "192.0.2.10" in shown
    assert "192.0.2.12" in shown
    assert "192.0.2.14" not in shown


def test_address_range_and_ipv4_addrs(bench: Bench) -> None:
    rc = 'ifconfig_em0_alias0="inet 192.0.2.20-22/32"\nipv4_addrs_em1="198.51.100.7/24"\n'
    machine = bench.machine(rc=rc)
    assert all(f"192.0.2.{last} " in run(machine, "ifconfig em0") for last in (20, 21, 22))
    assert "198.51.100.7" in run(machine, "ifconfig em1")


def test_inet6_alias_needs_the_ipv6_variable(bench: Bench) -> None:
    alias = 'ifconfig_em0_alias0="inet6 vhid 1 alias 2001:db8::1/128"\n'
    without = bench.machine("without", "14.2", loader='carp_load="YES"\n', rc=alias)
    rc = alias + 'ifconfig_em0_ipv6="inet6 2001:db8::2/64"\n'
    having = bench.machine("having", "14.2", loader='carp_load="YES"\n', rc=rc)
    assert "2001:db8::1" not in run(without, "ifconfig em0")
    assert "IFDISABLED" in run(without, "ifconfig em0")
    shown = run(having, "ifconfig em0")
    assert "inet6 2001:db8::1 prefixlen 128 vhid 1" in shown
    assert "inet6 fe80::5054:ff:fe00:2%em0 prefixlen 64 scopeid 0x1" in shown
    assert "IFDISABLED" not in shown


def test_vlans_and_new_names(bench: Bench) -> None:
    rc = (
        'vlans_em1="5 blue"\ncreate_args_blue="vlan 6"\nifconfig_em1="up"\nifconfig_em1_5="inet 198.51.100.1/24"\n'
        'ifconfig_blue="inet 203.0.113.1/24"\nifconfig_em0_name="wan"\nifconfig_wan="inet 192.0.2.9/24"\n'
    )
    machine = bench.machine(rc=rc)
    assert run(machine, "ifconfig -l") == "wan em1 lo0 em1.5 blue\n"
    assert "vlan: 5 " in run(machine, "ifconfig em1.5")
    assert "parent interface: em1" in run(machine, "ifconfig blue")
    assert "192.0.2.9" in run(machine, "ifconfig wan")


def test_settings_of_rc_conf_d_and_later_files_win(bench: Bench) -> None:
    files = {
        "etc/rc.conf.d/network": 'ifconfig_em0="inet 192.0.2.66/24"\n',
        "etc/rc.conf.local": 'hostname="late"\ngateway_enable="YES"\n',
    }
    machine = bench.machine(files=files)
    assert "192.0.2.66" in run(machine, "ifconfig em0")
    assert run(machine, "hostname") == "late\n"
    assert run(machine, "sysctl -n net.inet.ip.forwarding") == "1\n"


def test_rc_conf_that_sh_cannot_read_stops_in_single_user_mode(bench: Bench) -> None:
    machine = bench.machine(rc='broken="\n')
    assert machine.state == "hung"
    assert "Syntax error" in machine.console
    assert "Enter full pathname of shell" in machine.console


def test_rc_conf_is_evaluated_by_a_real_shell(bench: Bench) -> None:
    machine = bench.machine(rc='base=192.0.2\nifconfig_em0_alias0="inet ${base}.$((40 + 2))/32"\n')
    assert "192.0.2.42" in run(machine, "ifconfig em0")


def test_kernel_that_is_not_there_leaves_the_machine_at_the_loader(bench: Bench) -> None:
    machine = bench.machine(loader='kernel="kernel.typo"\n')
    assert machine.state == "hung"
    assert "can't load 'kernel.typo'" in machine.console
    assert machine.command(["uname"]).status == 255


def test_loader_reports_a_line_it_cannot_read_and_goes_on(bench: Bench) -> None:
    machine = bench.machine(loader='carp_load = \'YES\n# fine\ncarp_load="YES"\n')
    assert "/boot/loader.conf:1: syntax error" in machine.console
    assert run(machine, "kldstat -m carp").endswith("carp\n")


def test_module_by_another_name_and_loader_conf_d(bench: Bench) -> None:
    machine = bench.machine(
        release="14.2",
        loader='redundancy_load="YES"\nredundancy_name="carp"\n',
        files={"boot/loader.conf.d/x.conf": 'nullfs_load="YES"\n'},
    )
    assert "nullfs.ko" in run(machine, "kldstat")
    assert "carp.ko" in run(machine, "kldstat")


def test_nextboot_is_for_one_boot(bench: Bench) -> None:
    machine = bench.machine()
    machine.tree.install_kernel("CARP", "kernel.carp", module=False)
    assert b"doesn't exist" in machine.command(["nextboot", "-k", "nothing"]).stdout
    run(machine, "nextboot -k kernel.carp")
    for expected in ("/boot/kernel.carp/kernel\n", "/boot/kernel/kernel\n"):
        machine.reboot(1)
        bench.network.advance(2)
        assert run(machine, "sysctl -n kern.bootfile") == expected
    run(machine, "nextboot -k kernel.carp")
    run(machine, "nextboot -D")
    assert machine.read("/boot/nextboot.conf") is None
    assert b"Usage" in machine.command(["nextboot"]).stdout


def test_shutdown_takes_the_machine_down_tells_and_brings_it_back(bench: Bench) -> None:
    machine = bench.machine()
    heard: list[str] = []
    machine.on_down.append(lambda: heard.append("down"))
    machine.on_up.append(lambda: heard.append("up"))
    generation = machine.generation
    assert "Shutdown NOW!" in run(machine, "shutdown -r now")
    bench.network.advance(0.2)
    assert heard == ["down"]
    assert machine.state == "rebooting"
    assert machine.carp_states() == {}
    bench.network.advance(1)
    assert heard == ["down", "up"]
    assert machine.generation == generation + 1


def test_message_buffer_outlives_a_reboot_but_not_a_power_cut(bench: Bench) -> None:
    machine = bench.machine(loader='carp_load="YES"\n', rc=ALIAS)
    bench.network.advance(4)
    machine.reboot(1)
    bench.network.advance(2)
    transition = "carp: 1@em0: INIT -> BACKUP (initialization complete)"
    assert machine.dmesg().count(transition) == 2
    machine.power_off()
    assert machine.state == "off"
    machine.boot()
    assert machine.dmesg().count(transition) == 1


def test_halted_machine_stays_down(bench: Bench) -> None:
    machine = bench.machine()
    run(machine, "halt")
    machine.reboot_delay = 0.1
    bench.network.advance(5)
    assert machine.state == "off"
    assert "off" in repr(machine)


def test_reboot_command_and_timed_shutdown(bench: Bench) -> None:
    machine = bench.machine()
    run(machine, "reboot")
    bench.network.advance(1)
    assert machine.generation == 2
    run(machine, "shutdown -r +1")
    bench.network.advance(30)
    assert machine.generation == 2
    bench.network.advance(35)
    assert machine.generation == 3
    assert refused(machine, "shutdown -r later") == "shutdown: bad time format"
    assert "usage" in refused(machine, "shutdown -r")


def test_default_route_needs_a_connected_network(bench: Bench) -> None:
    near = bench.machine("near", rc='defaultrouter="192.0.2.254"\n')
    far = bench.machine("far", rc='defaultrouter="203.0.113.1"\n')
    assert "default            192.0.2.254" in run(near, "netstat -rn -f inet")
    assert "default" not in run(far, "netstat -rn")
    assert "Network is unreachable" in far.console


def test_seven_two_has_carp_at_once_and_lacks_what_came_later(bench: Bench) -> None:
    machine = bench.machine(release="7.2")
    assert run(machine, "uname -i") == "CARP\n"
    assert machine.command(["sysrc", "hostname"]).status == 127
    assert machine.command(["freebsd-version"]).status == 127
    assert machine.command(["kldload", "if_carp"]).status == 1
    assert not (machine.root / ".lab/bin/sysrc").exists()


def test_files_that_cannot_be_written_are_one_error(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    bench = Bench(tmp_path / "bench")
    machine = Machine("alpha", "12.1", blocker / "root", [Nic("em0", "52:54:00:00:00:01")], network=bench.network)
    with pytest.raises(LabError, match="cannot write the files of a machine"):
        machine.create()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("7.2", "7.2"),
        ("freebsd-14.2", "14.2"),
        ("8.4", "9.3"),
        ("5.4", "7.2"),
        ("11.0", "11.2"),
        ("11.4", "11.4"),
        ("13.4-RELEASE", "14.2"),
        ("16", "15.0"),
        ("10", "10.4"),
    ],
)
def test_other_releases_map_to_the_nearest_of_their_era(name: str, expected: str) -> None:
    assert release_named(name).name == expected


def test_release_table_is_ordered_and_rubbish_is_refused() -> None:
    assert [release.version for release in RELEASES] == sorted(release.version for release in RELEASES)
    with pytest.raises(LabError, match="not a FreeBSD release"):
        release_named("debian-12")
