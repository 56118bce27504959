"""The server's side of one SSH connection: paramiko told to offer, accept and refuse what one FreeBSD's sshd would."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterable

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)

from bsdcarp.lab.algorithms import Algorithms
from bsdcarp.lab.session import Session

__all__ = ["Connection", "Door"]

_LOG = "bsdcarp.lab.sshd"
# Without a handler of its own, a client that hangs up in the middle would print a traceback on standard error.
logging.getLogger(_LOG).addHandler(logging.NullHandler())


class _TooNew(paramiko.PKey):
    """What a key becomes that this sshd has never heard of: refused like a stranger's, the connection goes on."""

    def __init__(self, _blob: paramiko.Message) -> None:
        super().__init__()

    def get_name(self) -> str:
        return "unknown"


class Connection(paramiko.Transport):
    """A connection that speaks ``algorithms`` and starts sessions at the right moment.

    paramiko answers a request after the server object has returned; a quick command could close its channel first,
    and a client that waits for the answer would take that for a refusal.
    """

    def __init__(self, sock: socket.socket, algorithms: Algorithms) -> None:
        super().__init__(sock, strict_kex=algorithms.strict_kex, server_sig_algs=algorithms.extensions)
        self._granted: list[Session] = []
        self.set_log_channel(_LOG)
        self.local_version = f"SSH-2.0-{algorithms.software}"
        options = self.get_security_options()
        options.kex = _offered(algorithms.kex, options.kex)
        options.key_types = _offered(algorithms.host_keys, options.key_types)
        options.ciphers = _offered(algorithms.ciphers, options.ciphers)
        options.digests = _offered(algorithms.macs, options.digests)
        known: dict[str, type[paramiko.PKey]] = dict(paramiko.Transport._key_info)  # type: ignore[attr-defined]  # noqa: SLF001  # the only place that says which class reads a user's key
        self._key_info = {name: cls if name in algorithms.user_keys else _TooNew for name, cls in known.items()}

    def grant(self, session: Session) -> None:
        """Start ``session`` as soon as the answer to the request being handled has been sent."""
        self._granted.append(session)

    def _send_user_message(self, data: paramiko.Message) -> None:
        super()._send_user_message(data)  # type: ignore[misc]  # private in paramiko, so the stubs leave it out
        if self._granted and threading.current_thread() is self:
            granted, self._granted = self._granted, []
            for session in granted:
                session.start()


def _offered(wanted: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    # paramiko's own list shrinks from release to release; what it has lost cannot be offered.
    available = frozenset(known)
    return tuple(name for name in wanted if name in available)


class Door(paramiko.ServerInterface):
    """Decides for one connection: which keys, which channels, which requests.

    ``open_session`` gets the channel, the command and the user, and returns what to start, or None to refuse.
    """

    def __init__(
        self,
        connection: Connection,
        authorized: frozenset[paramiko.PKey],
        open_session: Callable[[paramiko.Channel, bytes, str], Session | None],
    ) -> None:
        self._connection = connection
        self._authorized = authorized
        self._open_session = open_session

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        del username
        return AUTH_SUCCESSFUL if not isinstance(key, _TooNew) and key in self._authorized else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del chanid
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_pty_request(self, channel: paramiko.Channel, *_: object) -> bool:
        # Granted because clients ask for one out of habit; the command gets pipes all the same.
        del channel
        return True

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        session = self._open_session(channel, command, self._connection.get_username() or "root")
        if session is None:
            return False
        self._connection.grant(session)
        return True
