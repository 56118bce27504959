"""The small simulated programs, called without a shell."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pytest
from lab_machines import Bench, refused, run

from bsdcarp.lab.machine import Machine


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def machine(bench: Bench) -> Machine:
    return bench.machine(release="14.2", loader='carp_load="YES"\n')


def test_unknown_program_and_full_path(machine: Machine) -> None:
    assert machine.command(["/sbin/nonsense"]).status == 127
    assert machine.command(["/usr/bin/uname", "-s"]).stdout == b"FreeBSD\n"


def test_uname_and_friends(machine: Machine) -> None:
    assert run(machine, "uname") == "FreeBSD\n"
    assert run(machine, "uname -o") == "FreeBSD\n"
    assert run(machine, "uname -mp") == "amd64 amd64\n"
    assert run(machine, "uname -UK") == "1402000 1402000\n"
    assert "illegal option -- Z" in refused(machine, "uname -Z")
    assert run(machine, "freebsd-version") == "14.2-RELEASE\n"
    assert run(machine, "freebsd-version -ku") == "14.2-RELEASE\n" * 2
    assert run(machine, "hostname -s") == "alpha\n"
    run(machine, "hostname other.example.org")
    assert run(machine, "hostname") == "other.example.org\n"
    assert "Operation not permitted" in refused(machine, "hostname x", user="joe")


def test_users(machine: Machine) -> None:
    assert run(machine, "id") == "uid=0(root) gid=0(wheel) groups=0(wheel),5(operator)\n"
    assert run(machine, "id -u") == "0\n"
    assert run(machine, "id -un") == "root\n"
    assert refused(machine, "id joe") == "id: joe: no such user"
    run(machine, "pw useradd joe")
    assert run(machine, "id joe") == "uid=1001(joe) gid=1001(joe) groups=1001(joe)\n"
    assert run(machine, "whoami", user="joe") == "joe\n"
    assert "already exists" in refused(machine, "pw useradd joe")
    assert "must be root" in refused(machine, "pw useradd jim", user="joe")
    assert refused(machine, "su root", user="joe") == "su: Sorry"
    assert refused(machine, "su jim") == "su: unknown login: jim"
    assert "BSDCARP_USER=joe" in machine.command(["su", "joe", "-c", "id"]).script


def test_kenv(machine: Machine) -> None:
    assert run(machine, "kenv carp_load") == "YES\n"
    assert refused(machine, "kenv nothing") == "kenv: unable to get nothing"
    assert refused(machine, "kenv -q nothing") == ""
    assert run(machine, "kenv a=b") == 'a="b"\n'
    assert refused(machine, "kenv a=c", user="joe") == "kenv: unable to set a"


def test_config_reads_kernels_and_refuses_other_files(machine: Machine) -> None:
    assert "ident\tGENERIC\n" in run(machine, "config -x /boot/kernel/kernel")
    assert run(machine, f"config -x {machine.root}/boot/kernel/kernel") == run(machine, "sysctl -n kern.conftxt")[:-1]
    assert "doesn't contain configuration file" in refused(machine, "config -x /etc/rc.conf")
    assert "usage" in refused(machine, "config GENERIC")


def test_kernel_is_built_and_installed_aside_or_over_the_old_one(machine: Machine) -> None:
    machine.tree.write(
        "/usr/src/sys/amd64/conf/MINE", "include GENERIC\nident MINE\ndevice carp\nnodevice em\nnooptions SMP\n"
    )
    run(machine, "make -C /usr/src buildkernel installkernel KERNCONF=MINE INSTKERNNAME=kernel.mine")
    config = run(machine, "config -x /boot/kernel.mine/kernel")
    assert "device\tcarp\n" in config
    assert "device\tem\n" not in config
    assert "options\tSMP\n" not in config
    run(machine, "make kernel KERNCONF=MINE")
    assert "ident\tGENERIC" in run(machine, "config -x /boot/kernel.old/kernel")
    assert "No kernel" in refused(machine, "make installkernel")
    run(machine, "make kernel")
    assert "ident\tMINE" in run(machine, "config -x /boot/kernel.old/kernel")
    assert "Missing kernel configuration" in refused(machine, "make buildkernel KERNCONF=NONE")
    assert "don't know how to make world" in refused(machine, "make world")
    assert "don't know how to make all" in refused(machine, "make")
    assert "Permission denied" in refused(machine, "make installkernel", user="joe")
    machine.tree.write("/usr/src/sys/amd64/conf/LOOP", "include LOOP\n")
    assert "includes itself" in refused(machine, "make buildkernel KERNCONF=LOOP")


def test_files_as_freebsd_s_tools_show_them(machine: Machine) -> None:
    machine.tree.write("/root/x", "abc\n")
    machine.tree.path("/root/x").chmod(0o600)
    assert run(machine, "stat -f %u:%g_%Lp_%Sf_%z_%Su /root/x") == "0:0_600_-_4_root\n"
    assert run(machine, "stat -n -f %p /root/x") == "100600"
    assert run(machine, "stat -L -f %Sp /root/x") == "-rw-------\n"
    assert "No such file" in refused(machine, "stat -f %z /root/y")
    assert "usage" in refused(machine, "stat /root/x")
    assert run(machine, "ls -lo /root/x").startswith("-rw-------  1 root  wheel - 4 ")
    assert run(machine, "ls -ld /root").startswith("drwx")
    assert run(machine, "ls -l /root").startswith("total 1\n-rw-------  1 root  wheel  4 ")
    assert "No such file" in refused(machine, "ls -l /nothing")
    assert machine.command(["ls", "-lR"]).script == "PATH=/usr/bin:/bin exec ls -lR"
    assert run(machine, "fsync /root/x") == ""
    assert "No such file" in refused(machine, "fsync /root/y")
    assert machine.command(["fsync", "x"], cwd="/root").status == 0


def test_digests(machine: Machine) -> None:
    machine.tree.write("/root/x", "abc")
    expected = hashlib.sha256(b"abc").hexdigest()
    assert run(machine, "sha256 -q /root/x") == f"{expected}\n"
    assert run(machine, "sha256 /root/x") == f"SHA256 (/root/x) = {expected}\n"
    assert run(machine, "sha256 -q -s abc") == f"{expected}\n"
    assert run(machine, "md5 -s abc") == 'MD5 ("abc") = 900150983cd24fb0d6963f7d28e17f72\n'
    assert "No such file" in refused(machine, "md5 /root/y")
    assert "md5sum" in machine.command(["md5", "-q"]).script


def test_programs_that_start_others(machine: Machine) -> None:
    script = machine.command(["daemon", "-f", "-p", "/tmp/pid", "sleep", "1"]).script
    assert "sleep 1 </dev/null >/dev/null 2>&1 &" in script
    assert "echo $! >/tmp/pid" in script
    assert "usage" in refused(machine, "daemon -f")
    assert machine.command(["lockf", "-k", "-t", "5", "/tmp/l", "echo", "a b"]).script == "exec echo 'a b'"
    assert "usage" in refused(machine, "lockf /tmp/l")
    assert run(machine, "wall hello") == ""
    run(machine, "logger -t bsdcarp applied")
    assert (machine.read("/var/log/messages") or "").endswith(" alpha bsdcarp: applied\n")


def test_modules(machine: Machine) -> None:
    assert "usage" in refused(machine, "kldload")
    assert "usage" in refused(machine, "kldunload")
    assert run(machine, "kldload -v nullfs") == "Loaded nullfs, id=3\n"
    assert run(machine, "kldload /boot/kernel/pf.ko") == ""
    assert run(machine, "kldstat -q -n nullfs.ko") == ""
    run(machine, "kldunload nullfs")
    assert "can't find file nullfs" in refused(machine, "kldunload nullfs")
    assert refused(machine, "kldunload carp", user="joe") == "kldunload: can't unload file: Operation not permitted"
    run(machine, "ifconfig em0 vhid 1 pass x alias 192.0.2.1/32")
    assert refused(machine, "kldunload carp") == "kldunload: can't unload file: Device busy"
    run(machine, "ifconfig em0 inet 192.0.2.1 -alias")
    run(machine, "kldunload carp")
    assert refused(machine, "sysctl net.inet.carp") == "sysctl: unknown oid 'net.inet.carp'"
    run(machine, "sysctl kern.securelevel=1")
    assert "Operation not permitted" in refused(machine, "kldload carp")
    assert "Contains modules" in run(machine, "kldstat -v")


def test_sysctl_corners(machine: Machine) -> None:
    assert run(machine, "sysctl -e net.inet.carp.log") == "net.inet.carp.log=1\n"
    assert run(machine, "sysctl -N net.inet.carp").splitlines()[0] == "net.inet.carp.stats"
    assert run(machine, "sysctl -q net.inet.carp.log=2") == ""
    assert run(machine, "sysctl -n net.inet.carp.log=1") == "2 -> 1\n"
    assert run(machine, "sysctl net.inet.carp.log=0x2") == "net.inet.carp.log: 1 -> 2\n"
    assert run(machine, "sysctl net.inet.carp.log=010") == "net.inet.carp.log: 2 -> 8\n"
    assert refused(machine, "sysctl net.inet.carp=1") == "sysctl: oid 'net.inet.carp' isn't a leaf node"
    reply = machine.command(["sysctl", "net.inet.carp.dscp=64"])
    assert reply.stdout == b"net.inet.carp.dscp: 56\n"
    assert reply.stderr == b"sysctl: net.inet.carp.dscp=64: Invalid argument\n"
    assert "Operation not permitted" in refused(machine, "sysctl kern.securelevel=-2")
    assert machine.command(["sysctl", "-b", "net.inet.carp.log"]).stdout == struct.pack("<i", 8)
    assert machine.command(["sysctl", "-b", "kern.ostype"]).stdout == b"FreeBSD\0"
    assert machine.command(["sysctl", "-b", "net.inet.carp.stats"]).stdout == bytes(128)
    assert run(machine, "sysctl net.inet.carp.stats=0") == ""
    assert "kern.ostype: FreeBSD\n" in run(machine, "sysctl -a")
    assert "usage: sysctl" in refused(machine, "sysctl")
    assert "illegal option -- z" in refused(machine, "sysctl -z")
    assert run(machine, "sysctl -d net.inet.ip.forwarding").startswith("net.inet.ip.forwarding: Enable")
    machine.tree.write("/root/s.conf", 'net.inet.carp.log = "1"\nnet.inet.carp.preempt: 1 # why\nnonsense\n')
    reply = machine.command(["sysctl", "-f", "/root/s.conf"])
    assert reply.stdout == b"net.inet.carp.log: 8 -> 1\nnet.inet.carp.preempt: 0 -> 1\n"
    assert reply.stderr == b"sysctl: unknown oid 'nonsense' at line 3\n"
    assert "No such file" in refused(machine, "sysctl -f/root/none")
    assert run(machine, "sysctl -- kern.ostype") == "kern.ostype: FreeBSD\n"


def test_sysctl_stops_at_the_first_unknown_name_up_to_nine_only(bench: Bench, machine: Machine) -> None:
    words = ["sysctl", "-n", "nonsense", "kern.ostype"]
    assert bench.machine("old", "9.3").command(words).stdout == b""
    assert machine.command(words).stdout == b"FreeBSD\n"


def test_sysrc_corners(machine: Machine) -> None:
    machine.tree.write("/etc/rc.conf.local", 'color="red"\n')
    assert run(machine, "sysrc -l") == "/etc/rc.conf\n/etc/rc.conf.local\n"
    assert run(machine, "sysrc -L") == "/etc/rc.conf\n/etc/rc.conf.local\n"
    assert run(machine, "sysrc -v color") == "/etc/rc.conf.local: color: red\n"
    assert run(machine, "sysrc -v cron_enable") == "/etc/defaults/rc.conf: cron_enable: YES\n"
    assert run(machine, "sysrc color=blue") == "color: red -> blue\n"
    assert machine.read("/etc/rc.conf.local") == 'color="blue"\n'
    assert run(machine, "sysrc -n list+=,a") == " -> a\n"
    assert run(machine, "sysrc list+=,b") == "list: a -> a,b\n"
    assert run(machine, "sysrc list-=,a") == "list: a,b -> b\n"
    assert run(machine, "sysrc list+=") == "list: b -> b\n"
    assert run(machine, "sysrc -e list") == 'list="b"\n'
    assert run(machine, "sysrc -q list=c") == ""
    assert "list: c\n" in run(machine, "sysrc -a")
    assert "cron_enable: YES\n" not in run(machine, "sysrc -a")
    assert "cron_enable: YES\n" in run(machine, "sysrc -A")
    assert "cannot create /etc/rc.conf" in refused(machine, "sysrc list=d", user="joe")
    assert "Usage: sysrc" in refused(machine, "sysrc --help")
    assert run(machine, "sysrc --version").startswith("7.7")
    assert refused(machine, "sysrc -c bad-name=x") == "sysrc: bad-name: name contains characters not allowed in shell"
    machine.tree.write("/etc/rc.conf", 'a="1"')
    run(machine, "sysrc b=2")
    assert machine.read("/etc/rc.conf") == 'a="1"\nb="2"\n'


def test_services(machine: Machine) -> None:
    assert run(machine, "service sshd status") == "sshd is running as pid 4242.\n"
    assert "/etc/rc.d/sshd\n" in run(machine, "service -e")
    assert "netif\n" in run(machine, "service -l")
    assert "usage: service" in refused(machine, "service sshd")
    assert "nosuch does not exist" in refused(machine, "service nosuch start")
    assert "Cannot 'status' pf" in refused(machine, "service pf status")
    assert machine.command(["service", "pf", "onestatus"]).stdout == b"pf is not running.\n"
    assert "Cannot 'start' pf" in refused(machine, "service pf start")
    assert run(machine, "service pf onestart") == "Starting pf.\n"
    assert run(machine, "service sshd restart") == "Starting sshd.\n"
    assert 'sshd_enable="YES"' in run(machine, "service sshd rcvar")
    assert run(machine, "service sshd enabled") == ""
    assert machine.command(["service", "pf", "enabled"]).status == 1
    assert "unknown directive" in refused(machine, "service sshd dance")
    assert "unknown directive" in refused(machine, "service routing dance")
    assert "unknown directive" in refused(machine, "service sysctl dance")
    assert run(machine, "service sysctl stop") == ""
    machine.tree.write("/etc/sysctl.conf", "nonsense=1\n")
    assert run(machine, "service sysctl reload") == ""
    assert machine.command(["service", "sysctl", "lastload"]).stderr == b"sysctl: unknown oid 'nonsense' at line 1\n"
    assert "delete host 127.0.0.1" in run(machine, "service routing stop")
    machine.tree.append("/etc/rc.conf", 'ifconfig_em0_alias0="inet vhid 1 pass a-b alias 192.0.2.1/32"\n')
    assert machine.command(["service", "netif", "start", "em0"]).script == "exec sleep 2147483647"
    assert run(machine, "service netif start em9") == ""


def test_routes_and_counters(machine: Machine) -> None:
    assert "usage: netstat" in refused(machine, "netstat")
    assert run(machine, "netstat -rn -f inet6") == "Routing tables\n"
    assert run(machine, "netstat -s -p tcp") == ""
    assert "usage: arp" in refused(machine, "arp host")
    assert run(machine, "arp -an") == f"? (192.0.2.2) at {machine.nics[0].ether} on em0 permanent [ethernet]\n"
    run(machine, "ifconfig em0 down")
    assert "192.0.2" not in run(machine, "netstat -rn")


def test_permission_to_stop_the_machine(machine: Machine) -> None:
    assert refused(machine, "shutdown -r now", user="joe") == "su: shutdown: Permission denied"
    assert "not permitted" in refused(machine, "reboot", user="joe")
    assert "not permitted" in refused(machine, "halt", user="joe")


def test_paths_cannot_leave_the_root(machine: Machine) -> None:
    assert machine.tree.path("/../../etc/x") == machine.root / "etc/x"
    assert machine.tree.path("../..", "/etc") == machine.root
    assert machine.tree.path(f"{machine.root}/etc") == machine.root / "etc"
    assert machine.read("/etc") is None
