"""Servers that misbehave: plain TCP ones, and paramiko's own with one thing wrong."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
from sshd_peer import public

from bsdcarp.ssh import SshTarget


@contextlib.contextmanager
def tcp_server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Accept connections on a loopback port and give each to ``serve``; yield the port."""
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException), connection:
            serve(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                thread = threading.Thread(target=one, args=(connection,))
                threads.append(thread)
                thread.start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()
            for thread in threads:
                thread.join()


def until_closed(connection: socket.socket) -> None:
    """Read and ignore."""
    while connection.recv(65536):
        pass


class Odd(paramiko.ServerInterface):
    """Lets everybody in by key; tests override what should go wrong."""

    allowed = "publickey"
    key_result = paramiko.common.AUTH_SUCCESSFUL

    def __init__(self) -> None:
        self.channels: list[paramiko.Channel] = []
        self.executed = threading.Event()

    def get_allowed_auths(self, username: str) -> str:
        return self.allowed

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self.key_result

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        self.channels.append(channel)
        self.executed.set()
        return True


Afterwards = Callable[[paramiko.Transport, Odd], None]


@contextlib.contextmanager
def odd_server(
    server: Odd,
    host_key: Path,
    afterwards: Afterwards | None = None,
    prepare: Callable[[paramiko.Transport], None] | None = None,
) -> Iterator[int]:
    """Run ``server``; once a command was asked for, ``afterwards`` runs in a thread of its own."""

    def serve(connection: socket.socket) -> None:
        transport = paramiko.Transport(connection)
        transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(str(host_key)))
        try:
            if prepare:
                prepare(transport)
            transport.start_server(server=server)
            if afterwards and server.executed.wait(10):
                afterwards(transport, server)
            transport.join(30)
        finally:
            transport.close()
            transport.join(2)
            transport.packetizer.complete_handshake()

    with tcp_server(serve) as port:
        yield port


def odd_target(port: int, known_hosts: Path, host_key: Path, identity: Path, **changes: object) -> SshTarget:
    """A target that knows the odd server's key."""
    known_hosts.parent.mkdir(exist_ok=True)
    known_hosts.write_text(f"[127.0.0.1]:{port} {' '.join(public(host_key))}\n")
    settings: dict[str, object] = {
        "name": "server1",
        "hostname": "127.0.0.1",
        "port": port,
        "user": "root",
        "identity_files": (identity,),
        "known_hosts_files": (known_hosts,),
        "connect_timeout": 5.0,
    }
    return SshTarget(**{**settings, **changes})  # type: ignore[arg-type]  # names and types are SshTarget's
