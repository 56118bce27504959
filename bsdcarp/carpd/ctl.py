"""``carpd ctl``: the other end of the control socket."""

from __future__ import annotations

import json
import socket
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from bsdcarp.carpd.logs import one_line
from bsdcarp.carpd.status import as_text

__all__ = ["SOCKET", "Refused", "add_arguments", "ask", "listen", "main"]

SOCKET = "/run/bsdcarp/carpd.sock"
_PATIENCE = 10.0


class Refused(Exception):
    """The daemon does not answer, or says no.  One line."""


def add_arguments(parser: ArgumentParser) -> None:
    """Give ``parser`` the commands."""
    parser.add_argument("--socket", metavar="PATH", default=SOCKET, help="of the daemon (%(default)s)")
    commands = parser.add_subparsers(dest="request", metavar="COMMAND")
    commands.required = True
    status = commands.add_parser("status", help="show all vhids in ifconfig's words")
    status.add_argument("--json", action="store_true", help="show everything, as JSON")
    demote = commands.add_parser("demote", help="add to the demotion, so that the others take over (240 is enough)")
    demote.add_argument("amount", metavar="N", type=int, help="negative to take back")
    commands.add_parser("undemote", help="take back all that `demote` has added")
    failover = commands.add_parser("failover", help="hand one vhid over and leave it to the others")
    failover.add_argument("vhid", metavar="VHID", type=int)
    failover.add_argument("--interface", metavar="IF", help="if several interfaces have that vhid")
    failover.add_argument("--undo", action="store_true", help="take part again with the configured advskew")
    commands.add_parser("events", help="show each change as one line of JSON, as it happens")


def main(arguments: Namespace, out: TextIO) -> int:
    """Carry out one command.  Raise ``Refused``."""
    name = arguments.request
    if name == "events":
        for line in listen(arguments.socket):
            print(line, file=out, flush=True)
        return 0
    if name == "status":
        status = ask(arguments.socket, {"command": name})["status"]
        text = json.dumps(status, indent=2) + "\n" if arguments.json else as_text(status)
        out.write(text)
        return 0
    if name == "failover":
        wish = {"vhid": arguments.vhid, "interface": arguments.interface, "undo": arguments.undo}
        ask(arguments.socket, {"command": name, **wish})
        return 0
    wish = {"amount": arguments.amount} if name == "demote" else {}
    answer = ask(arguments.socket, {"command": name, **wish})
    print(f"net.inet.carp.demotion: {answer['before']} -> {answer['demotion']}", file=out)
    return 0


def ask(path: str, request: dict[str, Any]) -> dict[str, Any]:
    """Send one request to the daemon at ``path`` and return its answer.  Raise ``Refused``."""
    with _asked(path, request) as lines:
        return _accepted(next(lines, ""), path)


def listen(path: str) -> Iterator[str]:
    """Yield events as lines of JSON until the daemon ends.  The first one is "status", how things are now."""
    with _asked(path, {"command": "events"}) as lines:
        now = _accepted(next(lines, ""), path)
        yield json.dumps({"event": "status", "status": now["status"]})
        yield from lines


@contextmanager
def _asked(path: str, request: dict[str, Any]) -> Iterator[Iterator[str]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(path)
            connection.sendall(json.dumps(request).encode("ascii") + b"\n")
        except OSError as error:
            raise Refused(_why(path, error)) from None
        yield _lines(connection, path)


def _lines(connection: socket.socket, path: str) -> Iterator[str]:
    rest = b""
    while True:
        try:
            data = connection.recv(65536)
        except OSError as error:
            raise Refused(_why(path, error)) from None
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "backslashreplace")
            # The first line is an answer and due at once; the next ones are events and come when they come.
            connection.settimeout(None)


def _accepted(line: str, path: str) -> dict[str, Any]:
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise Refused(f"{path}: the daemon hung up; its log says why")
    if answer.get("ok") is not True:
        raise Refused(one_line(str(answer.get("error", "refused"))))
    return answer


def _why(path: str, error: OSError) -> str:
    if isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
        return f"{path}: carpd is not running"
    if isinstance(error, PermissionError):
        return f"{path}: only root may do this"
    if isinstance(error, socket.timeout):
        return f"{path}: no answer within {_PATIENCE:g} seconds"
    return f"{path}: {error.strerror or error}"
