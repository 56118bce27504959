"""The real hosts themselves: are they what the integration tests take them for?"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bsdcarp.lab.machine import Machine
from realhosts import roots, wires
from realhosts.harness import RealCluster, why_not
from realhosts.inventories import pairs


def ssh(cluster: RealCluster, host: str, command: str, stdin: str = "") -> tuple[int, str, str]:
    argv = ["ssh", "-F", str(cluster.ssh_config), "-o", "BatchMode=yes", host, command]
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr


def soon(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not (done := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return done


def refused(address: str) -> bool:
    try:
        socket.create_connection((address, 22), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_roots_login_shell_is_csh_before_14(cluster: RealCluster) -> None:
    assert ssh(cluster, "h1", "ls >/dev/null 2>&1") == (1, "", "Ambiguous output redirect.\n")
    assert ssh(cluster, "h1", "echo $(id)") == (1, "", "Illegal variable name.\n")
    assert ssh(cluster, "h1", "echo $shell:t $?tcsh") == (0, "csh 1\n", "")
    assert ssh(cluster, "h2", "ls >/dev/null 2>&1; echo $SHELL") == (0, "/bin/sh\n", "")


@pytest.mark.parametrize("host", ["h1", "h2"])
def test_a_script_on_standard_input_is_run_by_sh(cluster: RealCluster, host: str) -> None:
    assert ssh(cluster, host, "/bin/sh -s", "x=$(echo ok) 2>&1; echo $x; exit 3\n") == (3, "ok\n", "")


def test_the_commands_are_those_of_the_release(cluster: RealCluster) -> None:
    assert ssh(cluster, "h1", "uname -sr") == (0, "FreeBSD 9.3-RELEASE\n", "")
    assert ssh(cluster, "h2", "/usr/bin/uname -sr") == (0, "FreeBSD 14.2-RELEASE\n", "")
    assert ssh(cluster, "h1", "/sbin/sysctl -n kern.osreldate")[1] == "903000\n"
    assert ssh(cluster, "h2", "/bin/freebsd-version")[1] == "14.2-RELEASE\n"


def test_the_interfaces_are_the_machines_and_not_the_namespaces(cluster: RealCluster) -> None:
    _, out, _ = ssh(cluster, "h2", "/sbin/ifconfig -a")
    assert "inet 10.7.0.3 netmask 0xffffff00 broadcast 10.7.0.255" in out
    assert "net0" not in out


def test_the_files_are_the_machines_at_their_real_places(cluster: RealCluster) -> None:
    assert 'hostname="h2"\n' in ssh(cluster, "h2", "cat /etc/rc.conf")[1]
    ssh(cluster, "h2", "/bin/sh -s", "echo 'new_line=\"1\"' >>/etc/rc.conf\n")
    assert (cluster.machine("h2").read("/etc/rc.conf") or "").endswith('new_line="1"\n')
    assert (cluster.root("h2") / "etc/rc.conf").read_text().endswith('new_line="1"\n')
    assert "new_line" not in (cluster.root("h1") / "etc/rc.conf").read_text()


def test_a_host_shows_nothing_of_the_machine_it_runs_on(cluster: RealCluster) -> None:
    _, out, _ = ssh(
        cluster,
        "h1",
        "/bin/sh -s",
        "for c in bash python3 perl sudo ip; do command -v $c; done; echo $BSDCARP_ROOT; hostname; cat /etc/os-release",
    )
    assert out == "\nh1\n"
    assert not list(cluster.root("h1").glob("proc/*"))


def test_a_host_has_only_its_own_processes(cluster: RealCluster) -> None:
    _, out, _ = ssh(cluster, "h1", "ps -ax -o pid=,comm=")
    pids = {int(line.split()[0]) for line in out.splitlines()}
    assert 1 in pids
    assert os.getpid() not in pids
    assert len(pids) < 20


def test_commands_that_fall_back_on_the_real_ones_do(cluster: RealCluster) -> None:
    assert "rc.conf\n" in ssh(cluster, "h2", "ls /etc")[1]
    assert ssh(cluster, "h2", "echo abc | sed -e s/b/x/") == (0, "axc\n", "")
    assert ssh(cluster, "h2", "/bin/sh -s", "cd /tmp; echo a >f; sed -i '' s/a/b/ f; cat f; stat -f %z f") == (
        0,
        "b\n2\n",
        "",
    )


def test_sftp_and_other_users_are_refused(cluster: RealCluster) -> None:
    argv = ["-F", str(cluster.ssh_config), "-o", "BatchMode=yes"]
    assert subprocess.run(["ssh", *argv, "-s", "h2", "sftp"], capture_output=True, check=False).returncode != 0
    assert (
        subprocess.run(["ssh", *argv, "-l", "nobody", "h2", "true"], capture_output=True, check=False).returncode == 255
    )


def test_groups_elect_a_master(cluster: RealCluster) -> None:
    ssh(cluster, "h1", "ifconfig carp0 create; ifconfig carp0 vhid 1 advskew 0 pass secret 10.7.0.1/24")
    ssh(cluster, "h2", "kldload carp; ifconfig em0 inet vhid 1 advskew 100 pass secret 10.7.0.1/24 alias")
    assert soon(
        lambda: (
            sorted((cluster.machine("h1").carp_states() | cluster.machine("h2").carp_states()).values())
            == ["BACKUP", "MASTER"]
        )
    )


@pytest.fixture
def fresh(real_hosts: None, tmp_path: Path) -> Iterator[RealCluster]:
    with RealCluster.start(pairs(["14.2"]), tmp_path, noise=["h1"]) as started:
        yield started


def test_a_reboot_ends_sessions_and_daemons_and_comes_back(fresh: RealCluster) -> None:
    machine = fresh.machine("h1")
    pid = ssh(fresh, "h1", "/bin/sh -s", "daemon -f sleep 300; sleep 0.1; pgrep sleep")[1].strip()
    assert pid.isdigit()
    status, out, _ = ssh(fresh, "h1", "shutdown -r now; sleep 20; echo survived")
    assert status == 255
    assert "survived" not in out
    assert soon(lambda: machine.generation == 2 and machine.alive)
    assert ssh(fresh, "h1", "pgrep sleep")[1] == ""


def test_a_machine_that_is_off_refuses_connections_until_it_boots(fresh: RealCluster) -> None:
    machine: Machine = fresh.machine("h1")
    assert ssh(fresh, "10.7.0.2", "echo on")[1] == "on\n"
    machine.power_off()
    assert refused(fresh.hosts["h1"].address)
    machine.boot()
    assert ssh(fresh, "h1", "echo on")[1] == "on\n"


def test_only_sha1_is_spoken_by_freebsd_7(real_hosts: None, tmp_path: Path) -> None:
    with RealCluster.start(pairs(["7.2"]), tmp_path) as old:
        assert ssh(old, "h1", "uname -r")[1] == "7.2-RELEASE\n"
        plain = [
            "ssh",
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            f"UserKnownHostsFile={old.known_hosts}",
            "-i",
            str(old.identity_rsa),
        ]
        refusal = subprocess.run(
            [*plain, f"root@{old.hosts['h1'].address}", "true"], capture_output=True, text=True, check=False
        )
        assert refusal.returncode == 255
        assert "no matching" in refusal.stderr


def test_nothing_is_left_behind(real_hosts: None, tmp_path: Path) -> None:
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    links, mounts = subprocess.check_output(["ip", "-o", "link"]), Path("/proc/self/mounts").read_bytes()
    with RealCluster.start(pairs(["12.1", "15.0"]), tmp_path) as started:
        assert ssh(started, "h1", "true")[0] == 0
        processes = [
            int(path.name) for path in Path("/proc").glob("[0-9]*") if _root_of(path).startswith(str(started.directory))
        ]
        assert processes
    started.close()
    assert soon(lambda: not any(Path(f"/proc/{pid}/root").exists() for pid in processes))
    assert set(threading.enumerate()) == threads
    assert open_descriptors() == descriptors
    assert Path("/proc/self/mounts").read_bytes() == mounts
    assert len(subprocess.check_output(["ip", "-o", "link"]).splitlines()) <= len(links.splitlines())


def open_descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def _root_of(process: Path) -> str:
    try:
        return str((process / "root").readlink())
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("what", "value", "reason"),
    [
        ("sys.platform", "freebsd14", "needs Linux"),
        ("os.geteuid", lambda: 1000, "needs root"),
        ("missing", lambda: ["tcsh"], "not installed: tcsh"),
    ],
)
def test_the_reason_for_skipping_is_clear(
    what: str, value: object, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"realhosts.harness.{what}", value)
    assert reason in (why_not() or "")


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_args, **_options: None)
    assert "sshd" in roots.missing()
    assert wires.in_namespace(5, ["true"]) == ["nsenter", "--net=/proc/self/fd/5", "true"]
