"""The simulated Linux host: what a boot makes of its files, and the daemon beside FreeBSD on one segment."""

from __future__ import annotations

import json
import shlex
import subprocess
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from lab_machines import Bench
from linux_machines import CARPD, CONFIG, CTL, PROGRAM, UNIT, config, install, linux, write_config

from bsdcarp.errors import LabError
from bsdcarp.lab.linux.machine import LinuxMachine
from bsdcarp.lab.linux.releases import linux_release_named
from bsdcarp.lab.machine import Machine
from bsdcarp.lab.wire import CommandServer


def run(machine: LinuxMachine, command: str, user: str = "root") -> str:
    reply = machine.command(shlex.split(command), user=user)
    assert reply.status == 0, reply
    return reply.stdout.decode()


def refused(machine: LinuxMachine, command: str, user: str = "root") -> str:
    reply = machine.command(shlex.split(command), user=user)
    assert reply.status != 0, reply
    return reply.stderr.decode().rstrip("\n")


def status(machine: LinuxMachine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(machine, f"{CTL} status --json"))
    return found


def journal(machine: LinuxMachine, unit: str = CARPD) -> list[str]:
    return [entry.text for entry in machine.journal.of(unit)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def freebsd(bench: Bench, skew: int = 0, release: str = "14.2", password: str = "secret") -> Machine:
    rc = f'ifconfig_em0_alias0="inet vhid 30 advskew {skew} pass {password} alias 192.0.2.10/32"\n'
    if release in {"7.2", "9.3"}:
        rc = f'cloned_interfaces="carp0"\nifconfig_carp0="vhid 30 advskew {skew} pass {password} 192.0.2.10/24"\n'
    return bench.machine("web1", release, rc=rc, sysctl="net.inet.carp.preempt=1\n", loader='carp_load="YES"\n')


# Booting from files


def test_a_boot_takes_everything_from_the_files(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, carpd=config())
    assert machine.alive
    assert run(machine, "uname -snrm") == "Linux web2 6.1.0-18-amd64 x86_64\n"
    assert run(machine, "hostname") == "web2\n"
    assert run(machine, f"systemctl is-active {CARPD} ssh networking") == "active\nactive\nactive\n"
    assert status(machine)["vhids"][0]["state"] == "BACKUP"
    first = machine.read("/proc/sys/kernel/random/boot_id")
    machine.tree.path("/etc/systemd/system/multi-user.target.wants/bsdcarp-carpd.service").unlink()
    machine.tree.write("/etc/hostname", "other\n")
    machine.reboot()
    bench.network.advance(5)
    assert run(machine, "hostname") == "other\n"
    assert machine.carp_states() == {}
    assert refused(machine, f"{CTL} status") == "carpd: /run/bsdcarp/carpd.sock: carpd is not running"
    assert machine.read("/proc/sys/kernel/random/boot_id") != first


def test_a_broken_configuration_lets_the_host_boot_without_its_daemon(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, carpd="{}")
    assert machine.alive
    assert run(machine, f"systemctl show -p ActiveState -p Result {CARPD}") == "Result=exit-code\nActiveState=failed\n"
    assert "/etc/bsdcarp/carpd.json: vhids is missing" in journal(machine)
    assert machine.command(["systemctl", "is-system-running"]).stdout == b"degraded\n"
    write_config(machine, config())
    run(machine, f"systemctl restart {CARPD}")
    assert machine.carp_states() == {"30@eth0": "BACKUP"}


def test_sysctl_files_are_applied_by_name_and_etc_hides_usr(bench: Bench) -> None:
    machine = linux(bench.root, bench.network)
    for path, text in {
        "/usr/lib/sysctl.d/10-a.conf": "net.ipv4.ip_forward=1\nnet.ipv4.conf.eth0.arp_announce=1\n",
        "/usr/lib/sysctl.d/95-z.conf": "net.ipv4.conf.all.rp_filter = 1\n",
        "/etc/sysctl.d/10-a.conf": "# hides the one in /usr\nnet/ipv4/conf/eth0/arp_ignore = 2\n",
        "/etc/sysctl.d/90-bsdcarp.conf": "net.ipv4.conf.eth0.arp_ignore = 1\nnet.ipv4.conf.nope.arp_ignore = 1\n",
        "/etc/sysctl.conf": "net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.ip_forward = x\nnet.ipv4.ip_forward = y\n",
    }.items():
        machine.tree.write(path, text)
    machine.boot()
    shown = "sysctl -n net.ipv4.ip_forward net.ipv4.conf.eth0.arp_announce net.ipv4.conf.eth0.arp_ignore"
    assert run(machine, f"{shown} net.ipv4.conf.all.rp_filter") == "0\n0\n1\n2\n"
    assert journal(machine, "systemd-sysctl.service") == [
        "Couldn't write 'y' to 'net/ipv4/ip_forward': Invalid argument"
    ]
    assert "net.ipv4.conf.eth0.arp_ignore = 1\n" in run(machine, "sysctl -a")
    assert "* Applying /etc/sysctl.d/90-bsdcarp.conf ...\n" in machine.command(["sysctl", "--system"]).stdout.decode()
    assert refused(machine, "sysctl -w net.ipv4.ip_forward=1", "admin").startswith("sysctl: permission denied on key")


def test_interfaces_come_from_ifupdown_s_file_and_those_it_names(bench: Bench) -> None:
    text = (
        "source /etc/network/interfaces.d/*\nauto eth0 eth0.20 vlan30 nope\niface eth0 inet static\n"
        "\taddress 192.0.2.12\n\tnetmask 255.255.255.0\n\tgateway 192.0.2.254\n"
        "iface eth0 inet6 static\n\taddress 2001:db8::c/64\niface nope inet dhcp\n"
        "iface eth0.20 inet static\n\taddress 10.0.20.2/24\niface vlan30 inet manual\n\tvlan-raw-device eth0\n"
    )
    machine = linux(bench.root, bench.network, text=text)
    machine.tree.write("/etc/network/interfaces.d/more", "iface eth0 inet static\n  address 192.0.2.13/24\n")
    machine.tree.write("/etc/sysctl.d/50-vlan.conf", "net.ipv4.conf.eth0/20.arp_ignore = 1\n")
    machine.boot()
    assert [line.split()[:3] for line in run(machine, "ip -br addr").splitlines()] == [
        ["lo", "UNKNOWN", "127.0.0.1/8"],
        ["eth0", "UP", "192.0.2.13/24"],
        ["eth0.20@eth0", "UP", "10.0.20.2/24"],
        ["vlan30@eth0", "UP", "fe80::5054:ff:fe00:99/64"],
    ]
    assert run(machine, "sysctl -n net.ipv4.conf.eth0/20.arp_ignore") == "1\n"
    assert run(machine, "ip route").splitlines()[0] == "default via 192.0.2.254 dev eth0 onlink "
    assert 'Cannot find device "nope"' in journal(machine, "networking.service")


# The daemon beside FreeBSD


@pytest.mark.parametrize("release", ["7.2", "9.3", "10.4", "12.1", "14.2"])
def test_freebsd_and_linux_elect_one_master(bench: Bench, release: str) -> None:
    other = freebsd(bench, release=release)
    machine = linux(bench.root, bench.network, carpd=config())
    bench.network.settle()
    assert [*other.carp_states().values(), *machine.carp_states().values()] == ["MASTER", "BACKUP"]
    other.power_off()
    bench.network.advance(5)
    assert machine.carp_states() == {"30@eth0": "MASTER"}
    assert (
        machine.kernel.arp_answer("eth0", IPv4Address("192.0.2.10"), IPv4Address("192.0.2.99")) == "00:00:5e:00:01:1e"
    )


def test_a_linux_master_hands_over_at_once_when_it_stops_or_reboots(bench: Bench) -> None:
    other = freebsd(bench, skew=100)
    machine = linux(bench.root, bench.network, carpd=config(advskew=0))
    bench.network.settle()
    assert machine.carp_states() == {"30@eth0": "MASTER"}
    machine.reboot(delay=1.0)
    bench.network.advance(0.5)  # three seconds without the good-bye
    assert other.carp_states() == {"30@em0": "MASTER"}
    assert machine.carp_states() == {}
    bench.network.advance(8)
    assert machine.carp_states() == {"30@eth0": "MASTER"}
    run(machine, f"systemctl stop {CARPD}")
    bench.network.advance(0.5)
    assert other.carp_states() == {"30@em0": "MASTER"}
    assert "carp" not in run(machine, "ip -br link")
    assert run(machine, "sysctl -n net.ipv4.conf.eth0.arp_ignore") == "0\n"


def test_the_cable_decides_and_the_status_says_why(bench: Bench) -> None:
    other = freebsd(bench, skew=100)
    machine = linux(bench.root, bench.network, carpd=config(advskew=0))
    bench.network.settle()
    machine.nic_down("eth0")
    bench.network.advance(5)
    vhid = status(machine)["vhids"][0]
    assert (vhid["state"], vhid["reason"], status(machine)["demotion"]) == ("INIT", "hardware interface down", 240)
    assert other.carp_states() == {"30@em0": "MASTER"}
    assert "NO-CARRIER" in run(machine, "ip link show eth0")
    machine.nic_up("eth0")
    bench.network.settle()
    assert machine.carp_states() == {"30@eth0": "MASTER"}
    run(machine, "ip link set eth0 down")
    assert machine.carp_states() == {"30@eth0": "INIT"}


def test_a_killed_daemon_comes_back_and_clears_up(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, carpd=config(advskew=0))
    bench.network.settle()
    run(machine, f"systemctl kill -s KILL {CARPD}")
    assert machine.carp_states() == {}
    assert "192.0.2.10/32" in run(machine, "ip -br addr")  # nobody has taken it away yet
    bench.network.advance(0.3)
    assert machine.carp_states() == {"30@eth0": "BACKUP"}
    assert "192.0.2.10/32" not in run(machine, "ip -br addr")
    assert run(machine, f"systemctl show -p NRestarts --value {CARPD}") == "1\n"


def test_a_reload_leaves_alone_what_did_not_change(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, carpd=config(advskew=0))
    bench.network.settle()
    since = status(machine)["vhids"][0]["since"]
    write_config(machine, config("192.0.2.10/24", "2001:db8::10/64", advskew=5, settings={"preempt": 0}))
    run(machine, f"systemctl reload {CARPD}")
    now = status(machine)
    assert now["vhids"][0]["since"] == since
    assert (now["vhids"][0]["state"], now["vhids"][0]["advskew"], now["settings"]["preempt"]) == ("MASTER", 5, 0)
    assert "192.0.2.10/32 2001:db8::10/128" in run(machine, "ip -br addr")
    assert journal(machine)[-2] == "reloaded: 2 changes"
    text = json.loads(config(advskew=0))
    text["vhids"][0]["vhid"] = 31
    write_config(machine, json.dumps(text))
    run(machine, f"systemctl reload {CARPD}")
    assert machine.carp_states() == {"31@eth0": "BACKUP"}
    write_config(machine, json.dumps(text | {"vhids": [text["vhids"][0] | {"virtual_mac": False}]}))
    run(machine, f"systemctl reload {CARPD}")
    assert "carp31" not in run(machine, "ip -br link")


def test_without_a_virtual_mac_the_interface_itself_has_the_address(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, carpd=config(advskew=0, virtual_mac=False))
    bench.network.settle()
    assert "192.0.2.10/32" in run(machine, "ip -o -4 addr show dev eth0")
    assert (
        machine.kernel.arp_answer("eth0", IPv4Address("192.0.2.10"), IPv4Address("192.0.2.9")) == machine.nics[0].ether
    )
    assert status(machine)["vhids"][0]["virtual_mac"] is None


def test_demotion_and_failover_by_hand(bench: Bench) -> None:
    other = freebsd(bench, skew=100)
    machine = linux(bench.root, bench.network, carpd=config(advskew=0))
    bench.network.settle()
    assert run(machine, f"{CTL} demote 240") == "net.inet.carp.demotion: 0 -> 240\n"
    bench.network.advance(2)
    assert other.carp_states() == {"30@em0": "MASTER"}
    assert "net.inet.carp.demotion: 240\n" in run(machine, f"{CTL} status")
    assert run(machine, f"{CTL} undemote") == "net.inet.carp.demotion: 240 -> 0\n"
    bench.network.settle()
    assert machine.carp_states() == {"30@eth0": "MASTER"}
    run(machine, f"{CTL} failover 30")
    bench.network.advance(6)
    assert other.carp_states() == {"30@em0": "MASTER"}
    assert status(machine)["vhids"][0]["failover"] is True
    run(machine, f"{CTL} failover 30 --undo")
    bench.network.settle()
    assert machine.carp_states() == {"30@eth0": "MASTER"}
    assert refused(machine, f"{CTL} status", "admin").endswith("only root may do this")
    assert refused(machine, f"{CTL} events") == "carpd: the lab streams no events"


def test_another_password_makes_two_masters_and_a_finding(bench: Bench) -> None:
    other = freebsd(bench, password="another")
    machine = linux(bench.root, bench.network, carpd=config())
    bench.network.settle()
    assert [*other.carp_states().values(), *machine.carp_states().values()] == ["MASTER", "MASTER"]
    (finding,) = status(machine)["findings"]
    assert finding["text"].startswith("another host advertises vhid 30 on eth0 with another password")
    other.power_off()
    bench.network.advance(11)
    assert status(machine)["findings"] == []


def test_an_interface_that_is_not_there_is_said_so(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, carpd=config(interface="eth7"))
    bench.network.settle()
    assert status(machine)["vhids"][0]["present"] is False
    assert machine.carp_states() == {"30@eth7": "INIT"}
    assert run(machine, f"{CTL} status").startswith("eth7: no such interface\n")


# Programs that are missing or too old


def test_a_host_without_python(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, python=None, carpd=config())
    assert not machine.tree.path("/usr/bin/python3").exists()
    assert machine.command(["python3", "-V"]).status == 127
    assert machine.command(["systemctl", "start", CARPD]).status == 1
    assert f"{CARPD}: Failed at step EXEC spawning /usr/bin/python3: No such file or directory" in journal(machine)
    assert run(machine, f"systemctl show -p SubState --value {CARPD}") == "auto-restart\n"


def test_a_host_with_an_old_python(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, python="3.7.3", carpd=config())
    assert run(machine, "python3 -I -V") == "Python 3.7.3\n"
    assert refused(machine, f"python3 -I {PROGRAM} run -n -c {CONFIG}").endswith("SyntaxError: invalid syntax")
    assert machine.command(["systemctl", "start", CARPD]).status == 1
    assert machine.carp_states() == {}


def test_a_program_file_that_is_none(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, carpd=config())
    machine.tree.write(PROGRAM, "half of it")
    assert machine.command(["systemctl", "restart", CARPD]).status == 1
    machine.tree.path(PROGRAM).unlink()
    said = refused(machine, f"systemctl reload {CARPD}")
    assert said == f"{CARPD} is not active, cannot reload."
    run(machine, f"systemctl stop {CARPD}")
    install(machine)
    run(machine, f"systemctl start {CARPD}")
    machine.tree.path(PROGRAM).unlink()
    assert refused(machine, f"systemctl reload {CARPD}").startswith(f"Job for {CARPD} failed.\n")
    assert refused(machine, "python3 -I /x run").endswith("[Errno 2] No such file or directory")


def test_other_python_code_runs_in_the_real_interpreter(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, python="3.9.2")
    server = CommandServer([machine])
    server.start()
    try:
        code = "import sys; print(sys.version_info[:2], sys.argv[1:])"
        done = subprocess.run(
            ["/bin/sh", "-c", f'python3 -I -c "{code}" a; echo "print(1)" | python3; sudo -n whoami'],
            env=machine.session_env() | {"BSDCARP_USER": "admin"},
            cwd=machine.root,
            capture_output=True,
            timeout=30,
            check=False,
        )
    finally:
        server.stop()
    assert done.stdout == b"(3, 9) ['a']\n1\nroot\n"


# systemd


def test_a_unit_is_what_was_loaded_until_daemon_reload(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, carpd=config())
    machine.tree.write(f"{UNIT}.d/50-x.conf", "[Service]\nExecStart=\nExecStart=/usr/bin/none\n")
    assert "changed on disk" in machine.command(["systemctl", "restart", CARPD]).stderr.decode()
    assert run(machine, f"systemctl is-active {CARPD}") == "active\n"
    run(machine, "systemctl daemon-reload")
    assert run(machine, f"systemctl show -p DropInPaths --value {CARPD}") == f"{UNIT}.d/50-x.conf\n"
    assert machine.command(["systemctl", "restart", CARPD]).status == 1
    assert "ExecStart=/usr/bin/none" in run(machine, f"systemctl cat {CARPD}")


def test_words_of_systemctl(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, carpd=config())
    assert "active (running) since" in run(machine, f"systemctl status -n 2 {CARPD}")
    assert machine.command(["systemctl", "status", "networking"]).status == 0
    run(machine, f"systemctl reload-or-restart {CARPD}")
    run(machine, f"systemctl try-restart {CARPD}")
    run(machine, f"systemctl disable --now {CARPD}")
    assert machine.command(["systemctl", "-q", "is-active", CARPD]).stdout == b""
    run(machine, f"systemctl try-restart {CARPD}")
    run(machine, f"systemctl reload-or-restart {CARPD}")
    run(machine, f"systemctl reenable --now {CARPD}")
    assert "running CARP daemon" in run(machine, "systemctl --no-pager")
    assert run(machine, "systemctl is-system-running") == "running\n"
    assert refused(machine, "systemctl cat nope") == "No files found for nope.service."
    assert refused(machine, "systemctl -z") == "systemctl: invalid option -- 'z'"
    assert run(machine, "systemctl --version").startswith("systemd 252")
    assert "Type=notify" in run(machine, f"systemctl show {CARPD}")
    assert refused(machine, "systemctl enable ssh", "admin") == "Failed to enable unit: Access denied"
    assert refused(machine, "systemctl reboot", "admin") == "Call to Reboot failed: Access denied"
    run(machine, "systemctl poweroff")
    bench.network.advance(1)
    assert machine.state == "off"


def test_journal_and_dmesg(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, carpd=config())
    run(machine, "logger -t me hello there")
    assert run(machine, "journalctl -n 1 -o cat") == "hello there\n"
    assert run(machine, "journalctl --unit=nope") == "-- No entries --\n"
    assert "python3[" in run(machine, f"journalctl -b -u {CARPD} --no-pager")
    assert run(machine, "dmesg") == run(machine, "journalctl -k -o cat")
    assert refused(machine, "journalctl --frob") == "journalctl: unrecognized option '--frob'"


# Small programs


def test_small_programs(bench: Bench) -> None:
    machine = linux(bench.root, bench.network)
    assert run(machine, "uname -a") == (
        "Linux web2 6.1.0-18-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01) x86_64 GNU/Linux\n"
    )
    assert run(machine, "id -un", "admin") == "admin\n"
    assert run(machine, "whoami", "admin") == "admin\n"
    run(machine, "hostname other.example.org")
    assert run(machine, "hostname -s") == "other\n"
    assert refused(machine, "hostname x", "admin").endswith("must be root to change the host name")
    assert refused(machine, "uname -z").startswith("uname: invalid option")
    assert refused(machine, "sudo -u nobody2 true").startswith("sudo: unknown user")
    assert refused(machine, "sudo").startswith("usage: sudo")
    assert refused(machine, "su nope").startswith("su: user nope does not exist")
    assert refused(machine, "su root", "admin") == "su: Authentication failure"
    assert refused(machine, "shutdown -r tomorrow") == "Failed to parse time specification: tomorrow"
    assert run(machine, "shutdown -c") == ""
    run(machine, "shutdown -r now")
    bench.network.advance(0.1)
    assert machine.state == "rebooting"
    with pytest.raises(LabError, match="web2 is rebooting"):
        _ = machine.kernel
    with pytest.raises(LabError, match="web2 is rebooting"):
        _ = machine.systemd
    assert machine.command(["uname"]).status == 255
    bench.network.advance(1)
    assert machine.alive


def test_words_of_ip(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, carpd=config(advskew=0))
    bench.network.settle()
    shown = json.loads(run(machine, "ip -j -d addr show"))
    macvlan = next(link for link in shown if link["ifname"].startswith("carp30."))
    assert (macvlan["link"], macvlan["ifalias"]) == ("eth0", "bsdcarp vhid 30 on eth0")
    assert macvlan["linkinfo"]["info_kind"] == "macvlan"
    assert "    alias bsdcarp vhid 30 on eth0\n" in run(machine, "ip -d link")
    assert json.loads(run(machine, "ip -j -p route"))[-1]["dst"] == "192.0.2.0/24"
    assert run(machine, "ip -6 route") == run(machine, "ip neigh") == ""
    assert "lookup main" in run(machine, "ip rule")
    run(machine, "ip addr replace 2001:db8::5/64 dev eth0 nodad")
    assert "inet6 2001:db8::5/64 scope global nodad" in run(machine, "ip -6 addr show up")
    run(machine, "ip -6 addr flush dev eth0")
    assert "2001:db8::5" not in run(machine, "ip addr")
    assert "eth0" in run(machine, "ip -br link show")
    run(machine, f"ip link delete {macvlan['ifname']}")
    assert refused(machine, "ip link del eth0") == "RTNETLINK answers: Operation not supported"
    assert refused(machine, "ip link add x type dummy") == "RTNETLINK answers: Operation not supported"
    for command in ("ip link set eth0 down", "ip addr add 1.2.3.4/24 dev eth0", "ip link del eth0"):
        assert refused(machine, command, "admin") == "RTNETLINK answers: Operation not permitted"
    assert refused(machine, "ip link del nope") == 'Cannot find device "nope"'
    assert refused(machine, "ip addr add 1.2.3.4/24").startswith("Not enough information")
    assert refused(machine, "ip -z addr") == 'Option "-z" is unknown, try "ip -help".'
    assert refused(machine, "ip").startswith("Usage: ip")
    assert run(machine, "ip -V").startswith("ip utility")


@pytest.mark.parametrize(
    ("name", "release", "title"),
    [
        ("debian-12", "6.1.0-18-amd64", "Debian 12"),
        ("Debian 11", "5.10.0-28-amd64", "Debian 11"),
        ("ubuntu-24.04", "6.8.0-31-generic", "Ubuntu 24.04 LTS"),
        ("linux", "6.1.0-18-amd64", "Debian 12"),
        ("rocky-9.4", "6.1.0-18-amd64", "Rocky 9.4"),
        ("arch", "6.1.0-18-amd64", "Arch"),
    ],
)
def test_any_linux_can_be_named(name: str, release: str, title: str) -> None:
    found = linux_release_named(name)
    assert (found.uname_r, found.title) == (release, title)


def test_a_release_without_a_name_is_refused() -> None:
    with pytest.raises(LabError, match="needs a name"):
        linux_release_named(" ")


def test_files_that_cannot_be_written_are_one_clear_line(bench: Bench) -> None:
    (bench.root / "web2").write_text("in the way")
    with pytest.raises(LabError, match="cannot write the files of a machine"):
        linux(bench.root, bench.network)


@pytest.mark.parametrize(
    ("command", "out", "err"),
    [
        ("sysctl -N net.ipv4.ip_forward", "net.ipv4.ip_forward\n", ""),
        ("sysctl -b net.ipv4.ip_forward", "0", ""),
        ("sysctl --values net.ipv4.ip_forward", "0\n", ""),
        ("sysctl -n net.ipv4.conf.lo", "0\n0\n0\n0\n0\n", ""),
        ("sysctl kernel.osrelease=x", "", 'sysctl: permission denied on key "kernel.osrelease"\n'),
        ("sysctl -p /none", "", 'sysctl: cannot open "/none": No such file or directory\n'),
        ("sysctl -q -p /s", "", "sysctl: /s(5): invalid syntax, continuing...\n"),
        ("sysctl --load=/s", "net.ipv4.ip_forward = 1\n", "sysctl: /s(5): invalid syntax, continuing...\n"),
        ("sysctl", "", "Usage:\n sysctl [options]"),
        ("sysctl -z", "", "sysctl: invalid option -- 'z'\n"),
        ("sysctl --zz", "", "sysctl: unrecognized option '--zz'\n"),
    ],
)
def test_words_of_sysctl(bench: Bench, command: str, out: str, err: str) -> None:
    machine = linux(bench.root, bench.network)
    machine.tree.write("/s", "net.ipv4.ip_forward=1\nrubbish\n-kernel.osrelease = x\n-net.ipv4.ip_forward = x\n")
    reply = machine.command(command.split())
    assert reply.stdout.decode() == out
    assert err in reply.stderr.decode()


def test_more_words_about_units(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, carpd="{}")
    assert "\u00d7 bsdcarp-carpd.service" in machine.command(["systemctl", "status", CARPD]).stdout.decode()
    run(machine, "systemctl reset-failed")
    assert machine.command(["systemctl", "is-failed", CARPD]).stdout == b"inactive\n"
    machine.tree.path(PROGRAM).unlink()
    machine.command(["systemctl", "start", CARPD])
    assert (
        "activating (auto-restart) (Result: exit-code)"
        in machine.command(["systemctl", "status", CARPD]).stdout.decode()
    )
    bench.network.advance(1)
    assert int(run(machine, f"systemctl show -p NRestarts --value {CARPD}")) > 2
    run(machine, f"systemctl stop {CARPD}")
    run(machine, "systemctl mask nope")
    shown = machine.command(["systemctl", "status", "nope"]).stdout.decode()
    assert shown.splitlines()[1] == "     Loaded: masked (Reason: Unit nope.service is masked.)"
    assert run(machine, f"systemctl list-units {CARPD}") == ""
    machine.tree.write(
        "/etc/systemd/system/later.service", "[Unit]\nConditionPathExists=/nope\n[Service]\nExecStart=/x\n"
    )
    run(machine, "systemctl start later")
    assert "(ConditionPathExists=/nope)" in journal(machine, "later.service")[0]


def test_a_reload_by_signal_alone_keeps_the_old_configuration_when_the_new_one_is_bad(bench: Bench) -> None:
    machine = linux(bench.root, bench.network, carpd=config())
    machine.tree.write(f"{UNIT}.d/10-x.conf", "[Service]\nExecReload=\nExecReload=/bin/kill -HUP $MAINPID\n")
    run(machine, "systemctl daemon-reload")
    write_config(machine, "{}")
    run(machine, f"systemctl reload {CARPD}")
    assert "not reloaded: /etc/bsdcarp/carpd.json: vhids is missing" in journal(machine)
    assert machine.carp_states() == {"30@eth0": "BACKUP"}
