"""Ways to a host: jump hosts through real sshds, a ProxyCommand, and ways that do not lead there."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from odd_server import Odd, odd_server, odd_target, tcp_server, until_closed
from sshd_peer import TIMEOUT, Sshd, StartSshd, TargetFor, free_port, needs_sshd

from bsdcarp.errors import SshError
from bsdcarp.ssh import SshTarget, connect, resolve, session

pytestmark = needs_sshd

RELAY = """\
import os, socket, sys, threading
far = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def copy(read, write):
    while data := read():
        write(data)
    os._exit(0)
threading.Thread(target=copy, args=(lambda: os.read(0, 65536), far.sendall)).start()
copy(lambda: far.recv(65536), lambda data: os.write(1, data))
"""


def where(target: SshTarget) -> bytes:
    with connect(target) as session:
        return session.run(b'echo "$SSH_CONNECTION"\n', timeout=TIMEOUT).stdout


def test_two_jump_hosts_in_a_row_each_verified(
    start_sshd: StartSshd, home: Path, keys: Path, known_hosts: Path
) -> None:
    """The whole way from ssh_config to the third sshd, nested ProxyJump included."""
    outer, inner, last = start_sshd(), start_sshd(), start_sshd()
    known_hosts.parent.mkdir()
    known_hosts.write_text("".join(server.known_line() for server in (outer, inner, last)))
    config = home / "config"
    config.write_text(f"""\
Host *
  IdentityFile {keys}/user_ed25519
  User {Path.home().owner()}
Host outer
  HostName 127.0.0.1
  Port {outer.port}
Host inner
  HostName 127.0.0.1
  Port {inner.port}
  ProxyJump outer
Host server1
  HostName 127.0.0.1
  Port {last.port}
  ProxyJump inner
""")
    target = resolve("server1", "192.168.90.2", ssh_config=config)
    target = replace(target, user=target.jumps[0].user)
    assert [hop.name for hop in target.jumps] == ["outer", "inner"]
    assert where(target).split()[3] == str(last.port).encode()
    assert b"Accepted publickey" in outer.log.read_bytes()
    assert b"Accepted publickey" in inner.log.read_bytes()

    known_hosts.write_text("".join(server.known_line() for server in (outer, last)))
    with pytest.raises(SshError) as caught:
        connect(target)
    assert str(caught.value).startswith("server1, jump host inner: the ssh-ed25519 host key")


def test_a_jump_host_that_cannot_reach_or_will_not(
    start_sshd: StartSshd, shared_sshd: Sshd, target_for: TargetFor
) -> None:
    jump = replace(target_for(shared_sshd), name="jump")
    target = target_for(shared_sshd, port=free_port(), jumps=(jump,))
    with pytest.raises(SshError, match=r"server1: the jump host before it cannot reach 127\.0\.0\.1"):
        connect(target)
    strict = start_sshd("AllowTcpForwarding no")
    target = target_for(shared_sshd, jumps=(replace(target_for(strict), name="jump"),))
    with pytest.raises(SshError, match="the jump host before it forbids forwarding to"):
        connect(target)


def test_a_jump_host_that_does_not_answer_a_forwarding(
    known_hosts: Path, keys: Path, shared_sshd: Sshd, target_for: TargetFor
) -> None:
    class Slow(Odd):
        def check_channel_direct_tcpip_request(
            self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
        ) -> int:
            self.executed.wait(TIMEOUT)
            return 1

    slow = Slow()
    with odd_server(slow, keys / "host_ed25519") as port:
        jump = odd_target(port, known_hosts, keys / "host_ed25519", keys / "user_ed25519", name="jump")
        with pytest.raises(SshError, match="the jump host before it did not connect to"):
            connect(target_for(shared_sshd, jumps=(jump,), connect_timeout=0.2))
        slow.executed.set()


def test_twenty_hosts_behind_one_jump_host_with_default_limits(
    start_sshd: StartSshd, shared_sshd: Sshd, target_for: TargetFor
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    jump = replace(target_for(start_sshd("MaxStartups 10:30:100")), name="jump")
    targets = [target_for(shared_sshd, name=f"server{number}", jumps=(jump,)) for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        assert len(list(pool.map(where, targets))) == 20


def test_who_is_turned_away_because_of_a_crowd_knocks_again(
    start_sshd: StartSshd, target_for: TargetFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = target_for(start_sshd("MaxStartups 1:100:1"))
    with socket.create_connection(("127.0.0.1", target.port)) as stranger:
        stranger.recv(100)  # it is one that is not logged in from here on
        monkeypatch.setattr(session, "_PAUSES", (0.01,))
        with pytest.raises(SshError, match="too many connections that are not logged in yet") as caught:
            connect(target)
        assert "MaxStartups" in caught.value.remedy
        monkeypatch.setattr(session, "_PAUSES", (0.5, 1.0, 2.0))
        closing = threading.Timer(0.3, stranger.shutdown, (socket.SHUT_RDWR,))
        closing.start()
        assert where(target)
        closing.join()


def relay(port: int) -> str:
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(RELAY)} {port}"


def test_a_proxy_command_carries_the_connection_and_is_reaped(shared_sshd: Sshd, target_for: TargetFor) -> None:
    target = target_for(shared_sshd, proxy_command=relay(shared_sshd.port))
    assert where(target).split()[3] == str(shared_sshd.port).encode()
    children = subprocess.run(
        ["ps", "-o", "args=", "--ppid", str(os.getpid())], capture_output=True, check=False
    ).stdout
    assert b"socket.create_connection" not in children


def test_a_proxy_command_that_ignores_its_end_is_killed(
    shared_sshd: Sshd, target_for: TargetFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bsdcarp.ssh import proxy

    monkeypatch.setattr(proxy, "_GRACE_SECONDS", 0.2)
    target = target_for(shared_sshd, proxy_command="sh -c 'trap \"\" TERM; echo garbage; while :; do sleep 1; done'")
    began = time.monotonic()
    with pytest.raises(SshError):
        connect(replace(target, connect_timeout=0.5))
    assert time.monotonic() - began < 10


def test_a_proxy_command_that_fails_is_quoted(shared_sshd: Sshd, target_for: TargetFor) -> None:
    with pytest.raises(SshError, match="before it said anything; the ProxyCommand says: out of order"):
        connect(target_for(shared_sshd, proxy_command="sh -c 'echo out of order >&2; exit 1'"))


def test_a_shell_that_is_missing_for_the_proxy_command(
    shared_sshd: Sshd, target_for: TargetFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELL", "/nonexistent/shell")
    with pytest.raises(SshError, match=r"server1: the connection to 127.* failed"):
        connect(target_for(shared_sshd, proxy_command="true"))


def test_no_name_no_route_and_nobody_there(shared_sshd: Sshd, target_for: TargetFor) -> None:
    with pytest.raises(SshError, match=r"the name host\.invalid does not resolve"):
        connect(target_for(shared_sshd, hostname="host.invalid"))
    with pytest.raises(SshError, match="cannot be reached: Connection refused"):
        connect(target_for(shared_sshd, port=free_port()))
    with pytest.raises(SshError, match=r"\S+ cannot be reached|does not resolve"):
        connect(target_for(shared_sshd, hostname="a" * 70 + ".example"))


def test_a_connection_that_is_never_completed(shared_sshd: Sshd, target_for: TargetFor) -> None:
    with socket.socket() as full:
        # A listener whose queue is full takes no more connections.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = []
        for _ in range(3):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(full.getsockname())
            waiting.append(client)
        try:
            with pytest.raises(SshError, match=r"did not answer within 0\.3 s"):
                connect(target_for(shared_sshd, port=full.getsockname()[1], connect_timeout=0.3))
        finally:
            for client in waiting:
                client.close()


def silent(connection: socket.socket) -> None:
    until_closed(connection)


def web(connection: socket.socket) -> None:
    connection.recv(100)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def chatter(connection: socket.socket) -> None:
    connection.sendall(b"Welcome!\r\n" * 120)
    until_closed(connection)


def binary(connection: socket.socket) -> None:
    connection.sendall(b"\xff\xfe\x00\xff\n" * 10)
    until_closed(connection)


def hang_up(connection: socket.socket) -> None:
    connection.recv(1)


def greeting_only(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-Frozen\r\n")
    until_closed(connection)


def greeting_then_gone(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-Gone\r\n")
    connection.recv(1)


def endless(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 100)
        time.sleep(0.05)


def old(connection: socket.socket) -> None:
    connection.sendall(b"SSH-1.5-1.2.27\r\n")
    until_closed(connection)


@pytest.mark.parametrize(
    ("serve", "cause"),
    [
        (silent, "no SSH server answered within 0.4 s"),
        (endless, "no SSH server answered within 0.4 s"),
        (web, "does not speak SSH, it says 'HTTP/1.1 400 Bad Request'"),
        (chatter, "does not speak SSH, it says 'Welcome!'"),
        (binary, "does not speak SSH"),
        (hang_up, "closed the connection before it said anything"),
        (greeting_only, "the key exchange did not end within 0.4 s"),
        (greeting_then_gone, "the key exchange with .* failed: (the connection was closed|Connection reset)"),
        (old, "the key exchange with .* failed: Incompatible version"),
    ],
)
def test_what_is_no_ssh_server_is_told_apart(
    shared_sshd: Sshd, target_for: TargetFor, serve: object, cause: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with tcp_server(serve) as port:  # type: ignore[arg-type]  # a union of the functions above
        began = time.monotonic()
        with pytest.raises(SshError, match=f"server1: .*{cause}") as caught:
            connect(target_for(shared_sshd, port=port, connect_timeout=0.4 if "within" in cause else TIMEOUT))
        assert time.monotonic() - began < 10
    assert caught.value.remedy
    assert capfd.readouterr().err == ""
