"""A whole lab: machines behind their servers, as an SSH client meets them."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from bsdcarp.errors import LabError
from bsdcarp.lab import up
from bsdcarp.lab.clock import ManualClock
from bsdcarp.lab.up import Lab
from bsdcarp.model import Group, Host, Inventory, Member, PasswordSource, Release, vip

SHA2 = ["rsa-sha2-512", "rsa-sha2-256"]


def article(first: str = "7.2", second: str = "14.2") -> Inventory:
    hosts = {}
    for name, number, release in (("server1", 2, first), ("server2", 3, second)):
        major, minor = (int(part) for part in release.split("."))
        hosts[name] = Host(name, f"192.168.90.{number}", "em0", Release("freebsd", major, minor))
    members = (Member("server1", 0, "em0"), Member("server2", 100, "em0"))
    group = Group("carp1", 1, PasswordSource("plain", "secret"), (vip("192.168.90.1/24"),), members)
    return Inventory("article.yml", hosts, {"carp1": group})


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Lab]:
    """One lab for the tests that only look."""
    with Lab.start(article(), tmp_path_factory.mktemp("shared"), keys=keys, noise=["server1"]) as lab:
        yield lab


@pytest.fixture
def lab(tmp_path: Path, keys: Path) -> Iterator[Lab]:
    with Lab.start(article("9.3"), tmp_path / "lab", keys=keys) as started:
        yield started


@contextlib.contextmanager
def login(lab: Lab, name: str) -> Iterator[paramiko.Transport]:
    """Log in with nothing but what ssh_config says."""
    options = paramiko.SSHConfig.from_path(str(lab.ssh_config)).lookup(name)
    legacy = "ssh-rsa" in options.get("hostkeyalgorithms", "")
    identity = options["identityfile"][0]
    key = paramiko.RSAKey(filename=identity) if legacy else paramiko.Ed25519Key(filename=identity)
    known = paramiko.HostKeys(options["userknownhostsfile"])
    sock = socket.create_connection((options["hostname"], int(options["port"])), timeout=5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    transport = paramiko.Transport(sock, disabled_algorithms={"keys": SHA2, "pubkeys": SHA2} if legacy else None)
    try:
        transport.start_client(timeout=5)
        assert known.check(f"[{options['hostname']}]:{options['port']}", transport.get_remote_server_key())
        assert known.check(name, transport.get_remote_server_key())
        transport.auth_publickey(options["user"], key)
        yield transport
    finally:
        transport.close()


def execute(transport: paramiko.Transport, command: str, stdin: str = "") -> tuple[int, str]:
    channel = transport.open_session(timeout=5)
    channel.settimeout(10)
    channel.set_combine_stderr(True)
    channel.exec_command(command)
    channel.sendall(stdin.encode())
    channel.shutdown_write()
    output = channel.makefile("rb").read().decode()
    return channel.recv_exit_status(), output


def soon(condition: Callable[[], bool], seconds: float = 8.0) -> bool:
    deadline = time.monotonic() + seconds
    while not (done := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return done


def answers(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def test_each_host_answers_as_its_release_by_name_and_by_address(shared: Lab) -> None:
    with login(shared, "server2") as transport:
        assert execute(transport, "uname -sr") == (0, "FreeBSD 14.2-RELEASE\n")
    with login(shared, "192.168.90.3") as transport:
        assert execute(transport, "/bin/sh -s", "hostname; id -u\n") == (0, "server2\n0\n")


def test_an_old_host_wants_old_algorithms_and_its_shell_is_noisy_csh(shared: Lab) -> None:
    greeting = "Welcome to server1.  Authorised use only!\n"
    with login(shared, "server1") as transport:
        assert execute(transport, "/bin/sh -s", "uname -r 2>&1\n") == (0, f"{greeting}7.2-RELEASE\n")
        assert execute(transport, "ls >/dev/null 2>&1")[0] == 1


@pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH's client is not installed")
@pytest.mark.parametrize(("name", "release"), [("server1", "7.2-RELEASE"), ("192.168.90.3", "14.2-RELEASE")])
def test_openssh_gets_in_with_the_same_ssh_config(shared: Lab, name: str, release: str) -> None:
    argv = ["ssh", "-F", str(shared.ssh_config), "-o", "BatchMode=yes", name, "uname -r"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.endswith(f"{release}\n")


def test_the_machines_files_and_address_are_those_of_the_inventory(shared: Lab) -> None:
    assert 'hostname="server1"' in (shared.root("server1") / "etc/rc.conf").read_text()
    with login(shared, "server2") as transport:
        assert "inet 192.168.90.3 netmask 0xffffff00" in execute(transport, "ifconfig em0")[1]
        assert execute(transport, "echo $SSH_CONNECTION")[1].split()[2:] == ["192.168.90.3", "22"]


def test_what_a_lab_knows_of_itself(shared: Lab) -> None:
    assert list(shared.machines) == ["server1", "server2"]
    assert shared.machine("server2").alive
    assert shared.directory.stat().st_mode & 0o077 == 0
    assert shared.identity.stat().st_mode & 0o777 == 0o600
    assert shared.identity_rsa.exists()
    assert shared.network.segment("lan").stations() == tuple(shared.machines.values())
    with pytest.raises(LabError, match="no machine 'nobody'"):
        shared.port("nobody")


def test_a_reboot_ends_the_session_and_comes_back_on_the_same_port(lab: Lab) -> None:
    machine, port = lab.machine("server2"), lab.port("server2")
    with login(lab, "server2") as transport:
        status, output = execute(transport, "shutdown -r now; sleep 30; echo survived")
    assert status == -1
    assert "survived" not in output
    assert soon(lambda: machine.generation == 2 and answers(port))  # sshd comes a little later than the kernel
    assert lab.port("server2") == port
    with login(lab, "server2") as transport:
        assert execute(transport, "echo back") == (0, "back\n")


def test_groups_elect_a_master_over_the_segment_and_time_can_stand_still(tmp_path: Path, keys: Path) -> None:
    clock = ManualClock()
    with Lab.start(article("9.3"), tmp_path, keys=keys, clock=clock) as still:
        with login(still, "server1") as transport:
            script = "ifconfig carp0 create; ifconfig carp0 vhid 1 advskew 0 pass secret 192.168.90.1/24\n"
            assert execute(transport, "/bin/sh -s", script)[0] == 0
        with login(still, "server2") as transport:
            script = "kldload carp; ifconfig em0 inet vhid 1 advskew 100 pass secret 192.168.90.1/24 alias\n"
            assert execute(transport, "/bin/sh -s", script)[0] == 0
        assert clock.now() == 0.0
        still.network.settle()
        assert still.machine("server1").carp_states() == {"1@carp0": "MASTER"}
        assert still.machine("server2").carp_states() == {"1@em0": "BACKUP"}


def test_a_lab_begins_anew_each_time_but_keeps_its_keys(tmp_path: Path, keys: Path) -> None:
    with Lab.start(article("14.2"), tmp_path, hosts=["server1"], keys=keys) as first:
        (first.root("server1") / "etc/rc.conf").write_text("# gone\n")
        known = first.known_hosts.read_text().split()[1:3]
    with Lab.start(article("14.2"), tmp_path, hosts=["server1"], keys=keys) as second:
        assert "hostname" in (second.root("server1") / "etc/rc.conf").read_text()
        assert second.known_hosts.read_text().split()[1:3] == known


def test_keys_stay_in_the_directory_unless_told_otherwise(tmp_path: Path) -> None:
    with Lab.start(article("15.0"), tmp_path, hosts=["server1"]) as started:
        assert (tmp_path / "keys/server1/ssh_host_ed25519_key").exists()
        assert started.identity.exists()


def test_close_leaves_neither_threads_nor_processes(tmp_path: Path, keys: Path) -> None:
    before = set(threading.enumerate())
    started = Lab.start(article(), tmp_path, hosts=["server2"], keys=keys)
    with login(started, "server2") as transport:
        channel = transport.open_session(timeout=5)
        channel.exec_command("sleep 60")
        started.close()
        started.close()
        assert channel.recv_exit_status() == -1
    assert soon(lambda: set(threading.enumerate()) <= before)


def test_a_start_that_fails_cleans_up(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(up, "write_ssh_files", fail)
    with pytest.raises(OSError, match="No space"):
        Lab.start(article(), tmp_path, hosts=["server2"], keys=keys)
    assert set(threading.enumerate()) == before


def test_a_directory_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="cannot keep a lab here"):
        Lab.start(article(), tmp_path / "file")


def test_a_lab_without_hosts_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no host to simulate"):
        Lab.start(Inventory("l.yml", {}, {}), tmp_path)


def test_a_linux_host_stands_beside_a_freebsd_one(tmp_path: Path, keys: Path) -> None:
    hosts = {
        "web1": Host("web1", "192.0.2.11", "vtnet0", Release("freebsd", 14, 2)),
        "web2": Host("web2", "192.0.2.12", "eth0", Release("linux", 12, name="debian-12"), user="admin"),
    }
    members = (Member("web1", 0, "vtnet0"), Member("web2", 100, "eth0"))
    group = Group("web", 30, PasswordSource("plain", "secret"), (vip("192.0.2.10/24"),), members)
    with Lab.start(Inventory("mixed.yml", hosts, {"web": group}), tmp_path, keys=keys, noise=["web2"]) as lab:
        assert lab.linux("web2").release.name == "debian-12"
        assert lab.freebsd("web1").release.name == "14.2"
        with pytest.raises(LabError, match="web2 runs Debian 12, not FreeBSD"):
            lab.freebsd("web2")
        with pytest.raises(LabError, match=r"web1 runs FreeBSD 14\.2, not Linux"):
            lab.linux("web1")
        with login(lab, "web2") as transport:
            assert transport.remote_version.startswith("SSH-2.0-OpenSSH_9.2p1 Debian")
            assert execute(transport, "whoami; sudo -n /bin/sh -c 'whoami; uname'") == (
                0,
                "Welcome to web2.  Authorised use only!\nadmin\nroot\nLinux\n",
            )
