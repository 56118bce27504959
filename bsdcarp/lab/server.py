"""A real SSH server for each simulated host, on a loopback port that lives and dies with the machine.

Public keys only, exec requests only: bsdcarp must need neither a password, a shell nor SFTP.  One thread accepts for
all hosts; paramiko adds one for each connection.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import secrets
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import paramiko

from bsdcarp.errors import LabError
from bsdcarp.lab.algorithms import Algorithms
from bsdcarp.lab.connection import Connection, Door
from bsdcarp.lab.keys import HostKeys, KeyPair
from bsdcarp.lab.marks import MARK, kill_marked
from bsdcarp.lab.session import Session
from bsdcarp.lab.shell import find_csh, login, startup_noise

__all__ = ["Served", "SimulatedHost", "SshServer"]

LOOPBACK = "127.0.0.1"


class SimulatedHost(Protocol):
    """What the server needs to know of a machine; ``bsdcarp.lab.machine.Machine`` is one."""

    on_down: list[Callable[[], None]]
    on_up: list[Callable[[], None]]

    @property
    def root(self) -> Path: ...

    @property
    def alive(self) -> bool: ...

    def session_env(self) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class Served:
    """A machine with what makes its sshd: keys, algorithms, login shell.

    ``connection`` is (client, server) as the machine sees the two ends; it goes into ``SSH_CONNECTION``.
    """

    machine: SimulatedHost
    keys: HostKeys
    algorithms: Algorithms
    login_shell: Literal["csh", "sh"] = "sh"
    connection: tuple[str, str] = ("192.0.2.250", "192.0.2.1")
    csh: str | None = field(default_factory=find_csh)


class _Host:
    """One served machine: its listening socket while it is up, its connections and sessions."""

    def __init__(self, served: Served, authorized: frozenset[paramiko.PKey]) -> None:
        self.served = served
        self.authorized = authorized
        # Where the machine starts processes by itself, they and those of its sessions die together.
        self.mark = served.machine.session_env().get(MARK) or secrets.token_hex(8)
        self.port = 0
        self.listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._down = False
        self._connections: list[Connection] = []
        self._sessions: list[Session] = []

    def listen(self) -> socket.socket:
        """Take the port, always the same one; raises ``OSError``."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            # Connections of the last boot linger in TIME_WAIT and must not be in the way.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((LOOPBACK, self.port))
            listener.listen(64)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
        self.port = listener.getsockname()[1]
        self.listener = listener
        with self._lock:
            self._down = False
        return listener

    def accept(self, listener: socket.socket) -> None:
        """Greet whoever knocked."""
        try:
            sock, peer = listener.accept()
        except OSError:
            # Gone again before the door was open.
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(sock, self.served.algorithms)
        for pair in self.served.keys.of(self.served.algorithms.key_types):
            connection.add_server_key(pair.key)
        door = Door(connection, self.authorized, functools.partial(self.session, peer[1]))
        with self._lock:
            if self._down:
                sock.close()
                return
            self._connections = [known for known in self._connections if known.is_alive()]
            self._connections.append(connection)
            connection.start_server(event=threading.Event(), server=door)

    def session(self, port: int, channel: paramiko.Channel, command: bytes, user: str) -> Session | None:
        """Prepare ``command``; None if the machine is on its way down."""
        served = self.served
        home = served.machine.root / "root"
        client, server = served.connection
        environ = {
            **served.machine.session_env(),
            "HOME": str(home),
            "USER": user,
            "LOGNAME": user,
            "BSDCARP_USER": user,
            "SSH_CLIENT": f"{client} {port} 22",
            "SSH_CONNECTION": f"{client} {port} {server} 22",
            MARK: self.mark,
        }
        text = command.decode("utf-8", "surrogateescape")
        session = Session(
            channel,
            login(served.login_shell, text, environ, served.csh),
            environ=environ,
            cwd=home if home.is_dir() else served.machine.root,
            prelude=_noise(served, home),
            done=self._forget,
        )
        with self._lock:
            if self._down:
                return None
            self._sessions.append(session)
        return session

    def _forget(self, session: Session) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._sessions.remove(session)

    def die(self) -> None:
        """Cut every connection and kill every process of the machine; takes no lock of the lab."""
        with self._lock:
            self._down = True
            sessions, connections = list(self._sessions), list(self._connections)
        for session in sessions:
            session.kill()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        kill_marked(self.mark)

    def join(self, timeout: float) -> bool:
        """Wait for all threads; False if some are still there after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        with self._lock:
            threads: list[Session | Connection] = [*self._sessions, *self._connections]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(isinstance(thread, threading.Thread) and thread.is_alive() for thread in threads)


def _noise(served: Served, home: Path) -> bytes:
    # A real csh reads the file itself; for sh, sshd runs ~/.ssh/rc first, and so does this server by reading it.
    path = home / (".cshrc" if served.login_shell == "csh" else ".ssh/rc")
    if served.login_shell == "csh" and served.csh:
        return b""
    try:
        return startup_noise(path.read_text(errors="surrogateescape")).encode(errors="surrogateescape")
    except OSError:
        return b""


class SshServer:
    """The sshds of a lab.  ``start`` them, ``serve`` machines, ``close`` them all."""

    def __init__(self, authorized: Iterable[KeyPair]) -> None:
        self._authorized = frozenset(pair.key for pair in authorized)
        self._hosts: list[_Host] = []
        self._orders: queue.SimpleQueue[tuple[Callable[[], None], threading.Event]] = queue.SimpleQueue()
        self._bell, self._ear = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._ear, selectors.EVENT_READ, self._obey)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="lab-accept", daemon=True)
        self._thread.start()

    def serve(self, served: Served) -> int:
        """Give a machine its sshd and return the port; raises ``LabError`` if there is none to be had."""
        host = _Host(served, self._authorized)
        try:
            listener = host.listen()
        except OSError as error:
            raise LabError(f"cannot listen on {LOOPBACK}: {error.strerror}") from error
        self._hosts.append(host)
        if served.machine.alive:
            self._order(lambda: self._watch(host, listener))
        else:
            listener.close()
            host.listener = None
        served.machine.on_down.append(lambda: self._down(host))
        served.machine.on_up.append(lambda: self._order(lambda: self._up(host)))
        return host.port

    def close(self) -> None:
        """Refuse, cut and kill everything, and wait until it is gone."""
        if self._closing:
            return
        self._order(self._stop)
        self._thread.join()
        for host in self._hosts:
            host.die()
        stuck = [host.served.machine.root.name for host in self._hosts if not host.join(3.0)]
        for end in (self._bell, self._ear):
            end.close()
        if stuck:
            raise LabError("sessions do not end", place=", ".join(stuck))

    def _order(self, what: Callable[[], None]) -> None:
        # The accepting thread alone touches the selector; it takes no lock of the lab, so waiting for it is safe.
        done = threading.Event()
        self._orders.put((what, done))
        with contextlib.suppress(OSError):
            self._bell.send(b"!")
            done.wait(5.0)

    def _run(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select():
                key.data()
        self._selector.close()

    def _obey(self) -> None:
        self._ear.recv(1)
        what, done = self._orders.get()
        what()
        done.set()

    def _stop(self) -> None:
        self._closing = True
        for host in self._hosts:
            self._unwatch(host)

    def _watch(self, host: _Host, listener: socket.socket) -> None:
        self._selector.register(listener, selectors.EVENT_READ, functools.partial(host.accept, listener))

    def _unwatch(self, host: _Host) -> None:
        if host.listener is not None:
            self._selector.unregister(host.listener)
            host.listener.close()
            host.listener = None

    def _up(self, host: _Host) -> None:
        deadline = time.monotonic() + 2.0
        while host.listener is None and not self._closing:
            try:
                self._watch(host, host.listen())
            except OSError:
                # Some outgoing connection of this machine may have borrowed the number for a moment.
                if time.monotonic() > deadline:
                    return
                time.sleep(0.02)

    def _down(self, host: _Host) -> None:
        self._order(lambda: self._unwatch(host))
        host.die()
