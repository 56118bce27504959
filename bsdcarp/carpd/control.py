"""The control socket: one JSON object a line in, one or more out, for root only.

Requests and what comes back::

    {"command": "status"}                    {"ok": true, "status": {...}}        as status.document makes it
    {"command": "demote", "amount": 240}     {"ok": true, "before": 0, "demotion": 240}
    {"command": "undemote"}                  {"ok": true, "before": 240, "demotion": 0}
    {"command": "failover", "vhid": 1, "interface": null, "undo": false}
                                             {"ok": true}
    {"command": "events"}                    {"ok": true, "status": {...}}        then one object per event

Refusals are ``{"ok": false, "error": "..."}``.  Events have "event" ("state", "demotion", "reload" or "stop") and
"time" (Unix seconds).

Nothing here waits for a client.  One request is answered in a pass of the loop, requests are short, output that is not
read is kept up to a limit, and who is too slow, too long or one too many is dropped.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bsdcarp.carpd.status import document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bsdcarp.carpd.loop import Loop, Timer
    from bsdcarp.carpd.snapshot import Snapshot

__all__ = ["CLIENTS", "LONGEST_REQUEST", "PATIENCE", "UNREAD", "Commands", "Control"]

CLIENTS = 32
"""Connections at a time."""
LONGEST_REQUEST = 4096
"""Bytes of a request."""
UNREAD = 1 << 20
"""Bytes of output that wait for a client; the status of 255 vhids is about 120,000."""
PATIENCE = 10.0
"""Seconds for a client to send a request or to read the answer."""
_LARGEST_DEMOTION = 1_000_000


class Commands(Protocol):
    """What is asked of the daemon."""

    def snapshot(self) -> Snapshot: ...

    def demote(self, amount: int) -> None: ...

    def undemote(self) -> int: ...

    def failover(self, vhid: int, interface: str | None = None, *, undo: bool = False) -> None:
        """Raise LookupError with a sentence for the user."""
        ...


class _Refused(Exception):
    """The text goes to the client."""


class _Client:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.heard = b""
        self.unread = b""
        self.writing = False
        self.events = False
        self.closing = False
        self.gone = False
        self.patience: Timer | None = None


class Control:
    """The listening socket at ``path`` and its clients; ``write`` takes (level, text)."""

    def __init__(self, path: Path, loop: Loop, daemon: Commands, write: Callable[[str, str], None]) -> None:
        self._path = path
        self._loop = loop
        self._daemon = daemon
        self._write = write
        self._listener: socket.socket | None = None
        self._clients: list[_Client] = []

    def open(self) -> None:
        """Listen.  Raise OSError.  The run directory is locked, so what is left at ``path`` is nobody's."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        mask = os.umask(0o177)
        try:
            listener.bind(str(self._path))
            listener.listen(8)
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(mask)
        self._listener = listener
        self._loop.watch(listener, self._accept)

    def publish(self, event: Mapping[str, Any]) -> None:
        """Send ``event`` to those who asked for events."""
        if any(client.events for client in self._clients):
            line = _line({"time": round(time.time(), 3), **event})
            for client in [client for client in self._clients if client.events]:
                self._send(client, line)

    def close(self) -> None:
        """Drop all clients and remove the socket."""
        for client in list(self._clients):
            self._drop(client)
        if self._listener:
            self._loop.unwatch(self._listener)
            self._listener.close()
            with contextlib.suppress(OSError):
                self._path.unlink()
        self._listener = None

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        uid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
        if uid not in (0, os.geteuid()) or len(self._clients) >= CLIENTS:
            why = "too many connections" if uid in (0, os.geteuid()) else f"uid {uid} is not root"
            self._write("notice", f"control connection refused: {why}")
            with contextlib.suppress(OSError):
                connection.send(_line({"ok": False, "error": why}))
            connection.close()
            return
        client = _Client(connection)
        self._clients.append(client)
        self._loop.watch(connection, partial(self._read, client))
        self._expect(client)

    def _expect(self, client: _Client) -> None:
        """Give the client ``PATIENCE`` seconds from now."""
        if client.patience:
            client.patience.cancel()
        client.patience = self._loop.call_later(PATIENCE, partial(self._drop, client))

    def _read(self, client: _Client) -> None:
        try:
            data = client.connection.recv(LONGEST_REQUEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or client.events:
            # An end, or chatter from one who is to listen.
            self._drop(client)
            return
        client.heard += data
        self._serve(client)

    def _serve(self, client: _Client) -> None:
        """Answer the next request, if all of it is here and the last answer is out."""
        if client.gone or client.writing or client.closing or client.events:
            return
        line, newline, rest = client.heard.partition(b"\n")
        if len(line) > LONGEST_REQUEST:
            client.closing = True
            self._send(client, _line({"ok": False, "error": f"a request is longer than {LONGEST_REQUEST} bytes"}))
            return
        if not newline:
            return
        client.heard = rest
        self._expect(client)
        try:
            answer = self._answer(client, line)
        except (_Refused, LookupError) as refused:
            answer = {"ok": False, "error": str(refused.args[0]) if refused.args else "refused"}
        self._send(client, _line(answer))
        if rest:
            self._loop.call_later(0, partial(self._serve, client))

    def _answer(self, client: _Client, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            raise _Refused("the request is not JSON") from None
        if not isinstance(request, dict):
            raise _Refused("the request is not an object")
        command = request.get("command")
        if command == "status":
            return {"ok": True, "status": self._status()}
        if command == "events":
            answer = {"ok": True, "status": self._status()}
            client.events = True
            if client.patience:
                client.patience.cancel()
            return answer
        if command == "demote":
            amount = _integer(request, "amount", _LARGEST_DEMOTION)
            before = self._daemon.snapshot().demotion
            self._daemon.demote(amount)
            return {"ok": True, "before": before, "demotion": self._daemon.snapshot().demotion}
        if command == "undemote":
            before = self._daemon.snapshot().demotion
            self._daemon.undemote()
            return {"ok": True, "before": before, "demotion": self._daemon.snapshot().demotion}
        if command == "failover":
            interface, undo = request.get("interface"), request.get("undo", False)
            if not isinstance(interface, (str, type(None))) or not isinstance(undo, bool):
                raise _Refused("failover: interface is a string or null, undo is true or false")
            self._daemon.failover(_integer(request, "vhid", 255), interface, undo=undo)
            return {"ok": True}
        raise _Refused("no such command; there are status, demote, undemote, failover and events")

    def _status(self) -> dict[str, Any]:
        return document(self._daemon.snapshot())

    def _send(self, client: _Client, data: bytes) -> None:
        if client.gone:
            return
        if len(client.unread) + len(data) > UNREAD:
            self._write("notice", "control connection dropped: it does not read what it asked for")
            self._drop(client)
            return
        client.unread += data
        self._flush(client)

    def _flush(self, client: _Client) -> None:
        try:
            while client.unread:
                client.unread = client.unread[client.connection.send(client.unread, socket.MSG_NOSIGNAL) :]
        except BlockingIOError:
            if not client.writing:
                client.writing = True
                self._loop.watch(client.connection, partial(self._flush, client), writing=True)
            if not client.events:
                self._expect(client)
            return
        except OSError:
            self._drop(client)
            return
        if client.closing:
            self._drop(client)
        elif client.writing:
            client.writing = False
            self._loop.watch(client.connection, partial(self._read, client))
            self._loop.call_later(0, partial(self._serve, client))

    def _drop(self, client: _Client) -> None:
        if client.gone:
            return
        client.gone = True
        if client.patience:
            client.patience.cancel()
        self._clients.remove(client)
        self._loop.unwatch(client.connection)
        client.connection.close()


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def _integer(request: Mapping[str, Any], name: str, largest: int) -> int:
    value = request.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > largest:
        raise _Refused(f"{name}: not a whole number of at most {largest}")
    return value
