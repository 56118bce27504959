"""The SSH server of a simulated host, with a stand-in for the machine behind it."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from bsdcarp.errors import LabError
from bsdcarp.lab import server as server_module
from bsdcarp.lab.algorithms import algorithms
from bsdcarp.lab.firstfiles import csh_noise
from bsdcarp.lab.keys import HostKeys, KeyPair, client_keys, host_keys, known_hosts_lines
from bsdcarp.lab.marks import kill_marked
from bsdcarp.lab.server import Served, SshServer
from bsdcarp.lab.session import Session
from bsdcarp.lab.shell import Login

SHA2 = {"keys": ["rsa-sha2-512", "rsa-sha2-256"], "pubkeys": ["rsa-sha2-512", "rsa-sha2-256"]}


class Standin:
    """As much of a machine as a server needs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.alive = True
        self.on_down: list[Callable[[], None]] = []
        self.on_up: list[Callable[[], None]] = []
        (root / "root").mkdir(parents=True)

    def session_env(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "BSDCARP_ROOT": str(self.root)}

    def down(self) -> None:
        self.alive = False
        for call in self.on_down:
            call()

    def up(self) -> None:
        self.alive = True
        for call in self.on_up:
            call()


class Keys:
    def __init__(self, directory: Path) -> None:
        self.ed25519, self.rsa = client_keys(directory)
        self.host: HostKeys = host_keys(directory, ["host"])["host"]


class Rig:
    """A server, one machine behind it, and whoever connects."""

    def __init__(self, keys: Keys, root: Path) -> None:
        self.keys = keys
        self.machine = Standin(root)
        self.sshd = SshServer([keys.ed25519, keys.rsa])
        self.clients: list[paramiko.Transport] = []

    def serve(self, major: int = 14, csh: str | None = None) -> int:
        return self.sshd.serve(
            Served(self.machine, self.keys.host, algorithms(major), "csh" if major < 14 else "sh", csh=csh)
        )

    def connect(
        self, port: int, key: KeyPair | None = None, *, user: str = "root", sha1: bool = False
    ) -> paramiko.Transport:
        sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = paramiko.Transport(sock, disabled_algorithms=SHA2 if sha1 else None)
        self.clients.append(client)
        client.start_client(timeout=5)
        client.auth_publickey(user, (key or self.keys.ed25519).key)
        return client

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.sshd.close()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def rig(keys: Keys, tmp_path: Path) -> Iterator[Rig]:
    with contextlib.closing(Rig(keys, tmp_path / "host")) as made:
        yield made


def begin(client: paramiko.Transport, command: str) -> paramiko.Channel:
    channel = client.open_session(timeout=5)
    channel.settimeout(5)
    channel.exec_command(command)
    return channel


def execute(client: paramiko.Transport, command: str, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    channel = begin(client, command)
    channel.sendall(stdin)
    channel.shutdown_write()
    out, err = channel.makefile("rb").read(), channel.makefile_stderr("rb").read()
    return channel.recv_exit_status(), out, err


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


def soon(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not (done := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return done


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def pid_from(channel: paramiko.Channel) -> int:
    line = b""
    while not line.endswith(b"\n"):
        line += channel.recv(1)
    return int(line)


# Commands


def test_a_script_comes_in_on_standard_input_and_answers_on_all_three_ways(rig: Rig) -> None:
    client = rig.connect(rig.serve())
    assert execute(client, "/bin/sh -s", b"echo out; echo err >&2; exit 3\n") == (3, b"out\n", b"err\n")


def test_bytes_pass_unchanged_and_in_quantity(rig: Rig) -> None:
    data = bytes(range(256)) * 4096
    assert execute(rig.connect(rig.serve()), "cat", data) == (0, data, b"")


def test_one_connection_runs_many_commands(rig: Rig) -> None:
    client = rig.connect(rig.serve())
    assert [execute(client, f"exit {status}")[0] for status in range(5)] == list(range(5))


def test_a_command_that_ends_at_once_is_still_granted_first(rig: Rig) -> None:
    client = rig.connect(rig.serve())
    for _ in range(40):
        assert execute(client, "true")[0] == 0


def test_a_command_sees_the_machine_and_the_two_ends_of_the_connection(rig: Rig) -> None:
    client = rig.connect(rig.serve(), user="admin")
    _, out, _ = execute(client, 'echo "$BSDCARP_ROOT $HOME $USER $LOGNAME"; pwd; echo $SSH_CONNECTION')
    root = str(rig.machine.root)
    first, second, third = out.decode().splitlines()
    assert first == f"{root} {root}/root admin admin"
    assert second == f"{root}/root"
    peer, port, own, own_port = third.split()
    assert (peer, own, own_port) == ("192.0.2.250", "192.0.2.1", "22")
    assert int(port) > 0


def test_without_a_home_directory_a_command_starts_in_the_root(rig: Rig) -> None:
    (rig.machine.root / "root").rmdir()
    assert execute(rig.connect(rig.serve()), "pwd")[1].decode() == f"{rig.machine.root}\n"


def test_a_shell_that_cannot_start_is_reported_as_sshd_reports_it(rig: Rig) -> None:
    status, _, err = execute(rig.connect(rig.serve(major=9, csh="/nowhere/csh")), "true")
    assert (status, err) == (1, b"/nowhere/csh: No such file or directory\n")


def test_a_command_that_dies_from_a_signal_has_no_exit_status(rig: Rig) -> None:
    assert execute(rig.connect(rig.serve()), "kill -9 $$")[0] == -1


def test_a_command_that_reads_nothing_does_not_hang_its_client(rig: Rig) -> None:
    assert execute(rig.connect(rig.serve()), "exit 4", b"x" * 300_000)[0] == 4


def test_the_status_comes_with_the_shell_and_the_end_with_the_last_writer(rig: Rig) -> None:
    channel = begin(rig.connect(rig.serve()), "(sleep 0.3; echo late) & exit 5")
    assert channel.recv_exit_status() == 5
    assert channel.makefile("rb").read() == b"late\n"


def test_csh_only_hosts_fail_as_csh_fails(rig: Rig) -> None:
    client = rig.connect(rig.serve(major=12))
    assert execute(client, "ls >/dev/null 2>&1") == (1, b"", b"Ambiguous output redirect.\n")
    assert execute(client, "/bin/sh -s", b"echo ok 2>&1\n") == (0, b"ok\n", b"")


def test_startup_noise_comes_before_the_answer(rig: Rig) -> None:
    (rig.machine.root / "root/.cshrc").write_text(csh_noise("hello there"))
    client = rig.connect(rig.serve(major=12))
    assert execute(client, "/bin/sh -s", b"echo ok\n")[1] == b"hello there\nok\n"


def test_a_shell_a_subsystem_and_forwarding_are_refused(rig: Rig) -> None:
    client = rig.connect(rig.serve())
    with pytest.raises(paramiko.SSHException):
        client.open_session(timeout=5).invoke_shell()
    with pytest.raises(paramiko.SSHException):
        client.open_session(timeout=5).invoke_subsystem("sftp")
    with pytest.raises(paramiko.ChannelException):
        client.open_channel("direct-tcpip", ("127.0.0.1", 22), ("127.0.0.1", 1), timeout=5)


def test_a_terminal_is_granted(rig: Rig) -> None:
    channel = rig.connect(rig.serve()).open_session(timeout=5)
    channel.get_pty()
    channel.exec_command("echo ok")
    assert channel.makefile("rb").read() == b"ok\n"


# Keys and algorithms


def test_a_strange_key_and_a_password_are_refused(rig: Rig, tmp_path: Path) -> None:
    port = rig.serve()
    stranger, _ = client_keys(tmp_path)
    with pytest.raises(paramiko.AuthenticationException):
        rig.connect(port, stranger)
    client = rig.clients[-1]
    with pytest.raises(paramiko.BadAuthenticationType) as caught:
        client.auth_password("root", "guess")
    assert caught.value.allowed_types == ["publickey"]


def test_freebsd_7_offers_sha1_only(rig: Rig) -> None:
    port = rig.serve(major=7)
    client = rig.connect(port, rig.keys.rsa, sha1=True)
    assert client.host_key_type == "ssh-rsa"
    assert client.remote_version == "SSH-2.0-OpenSSH_5.1p1 FreeBSD-20080901"
    assert client.get_remote_server_key() == rig.keys.host.of(["rsa"])[0].key
    with pytest.raises(paramiko.AuthenticationException):
        rig.connect(port, rig.keys.ed25519, sha1=True)
    assert rig.clients[-1].is_active()


def test_freebsd_7_knows_no_sha2_signature_of_an_rsa_key(rig: Rig) -> None:
    with pytest.raises(paramiko.AuthenticationException):
        rig.connect(rig.serve(major=7), rig.keys.rsa)


def test_freebsd_14_takes_no_sha1_signature(rig: Rig) -> None:
    port = rig.serve()
    assert rig.connect(port, rig.keys.rsa).host_key_type == "ssh-ed25519"
    with pytest.raises(paramiko.AuthenticationException):
        rig.connect(port, rig.keys.rsa, sha1=True)


@pytest.mark.parametrize("major", [9, 10, 12, 15])
def test_every_release_talks_to_a_client_of_today(rig: Rig, major: int) -> None:
    assert execute(rig.connect(rig.serve(major)), "echo ok")[1] == b"ok\n"
    assert not algorithms(major).legacy
    assert algorithms(7).legacy


def test_keys_are_made_once(tmp_path: Path) -> None:
    first = [pair.path.read_bytes() for pair in client_keys(tmp_path)]
    assert [pair.path.read_bytes() for pair in client_keys(tmp_path)] == first
    assert (tmp_path / "id_ed25519").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "id_rsa.pub").read_text().startswith("ssh-rsa ")


def test_a_damaged_key_is_one_clear_line(tmp_path: Path) -> None:
    pair, _ = client_keys(tmp_path)
    pair.path.write_text("no key")
    with pytest.raises(LabError, match="cannot read this key") as caught:
        _ = pair.key
    assert caught.value.place == str(pair.path)


def test_known_hosts_vouches_for_port_name_and_address(keys: Keys) -> None:
    text = known_hosts_lines(("a", "192.0.2.1", "a"), "127.0.0.1", 2022, keys.host.pairs)
    lines = text.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("[127.0.0.1]:2022,a,192.0.2.1 ") for line in lines)
    assert lines[0].split(" ", 1)[1] == keys.host.pairs[0].public


# Life and death


def test_a_machine_that_goes_down_takes_sessions_and_processes_with_it(rig: Rig) -> None:
    port = rig.serve()
    channel = begin(rig.connect(port), "echo $$; exec sleep 60")
    pid = pid_from(channel)
    rig.machine.down()
    assert channel.recv(1) == b""
    assert channel.recv_exit_status() == -1
    assert soon(lambda: not running(pid))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs Linux's /proc")
def test_a_machine_that_goes_down_takes_its_daemons_with_it(rig: Rig) -> None:
    port = rig.serve()
    client = rig.connect(port)
    _, out, _ = execute(client, "setsid sh -c 'echo $$; exec sleep 60 >/dev/null 2>&1' &")
    pid = int(out)
    assert running(pid)
    rig.machine.down()
    assert soon(lambda: not running(pid))


def test_the_port_is_refused_while_the_machine_is_down_and_the_same_afterwards(rig: Rig) -> None:
    port = rig.serve()
    rig.connect(port)
    rig.machine.down()
    assert refused(port)
    rig.machine.up()
    assert execute(rig.connect(port), "echo back")[1] == b"back\n"


def test_a_machine_that_is_off_has_a_port_that_nobody_answers(rig: Rig) -> None:
    rig.machine.alive = False
    port = rig.serve()
    assert refused(port)
    rig.machine.up()
    assert execute(rig.connect(port), "echo up")[1] == b"up\n"


def test_a_client_that_goes_away_kills_nothing(rig: Rig, tmp_path: Path) -> None:
    client = rig.connect(rig.serve())
    channel = begin(client, f"echo $$; read line; echo done > {tmp_path}/done")
    pid_from(channel)
    client.close()
    assert soon((tmp_path / "done").exists)


def test_a_client_that_hangs_up_early_prints_nothing(rig: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    port = rig.serve()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.recv(10)
    assert execute(rig.connect(port), "echo ok")[1] == b"ok\n"
    assert capfd.readouterr() == ("", "")


def test_close_ends_everything_and_can_be_repeated(keys: Keys, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    rig = Rig(keys, tmp_path / "host")
    pid = pid_from(begin(rig.connect(rig.serve()), "echo $$; sleep 60"))
    rig.sshd.close()
    rig.sshd.close()
    assert not running(pid)
    rig.close()
    assert soon(lambda: set(threading.enumerate()) <= before)


def test_a_port_that_is_taken_meanwhile_is_waited_for(rig: Rig) -> None:
    port = rig.serve()
    rig.machine.down()
    with socket.create_server(("127.0.0.1", port)):
        thread = threading.Thread(target=rig.machine.up)
        thread.start()
        thread.join(0.1)
    thread.join()
    assert execute(rig.connect(port), "echo ok")[1] == b"ok\n"


def test_no_port_to_be_had_is_one_clear_line(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LOOPBACK", "192.0.2.1")
    with pytest.raises(LabError, match=r"cannot listen on 192\.0\.2\.1"):
        rig.serve()


def test_a_session_killed_before_it_began_runs_nothing(rig: Rig, tmp_path: Path) -> None:
    channel = rig.connect(rig.serve()).open_session(timeout=5)
    ended: list[Session] = []
    start = Login("/bin/sh", ("sh", "-c", f"touch {tmp_path}/ran"))
    session = Session(channel, start, environ={}, cwd=tmp_path, done=ended.append)
    assert session.join(0.0)
    session.kill()
    session.start()
    assert session.join(5.0)
    assert ended == [session]
    assert not (tmp_path / "ran").exists()


def test_a_client_that_knocked_and_went_is_no_reason_to_stumble(rig: Rig) -> None:
    port = rig.serve()
    for _ in range(3):
        knock = socket.create_connection(("127.0.0.1", port), timeout=5)
        knock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        knock.close()
    assert execute(rig.connect(port), "echo ok")[1] == b"ok\n"


def test_only_processes_with_the_mark_are_killed() -> None:
    assert kill_marked(f"nobody-{os.getpid()}") == 0
