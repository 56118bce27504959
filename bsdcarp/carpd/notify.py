"""sd_notify(3) without libsystemd: ready, reloading, stopping, and the watchdog that the daemon's own loop feeds.

Does nothing where NOTIFY_SOCKET is not set, that is anywhere but in a unit of Type=notify.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bsdcarp.carpd.loop import Loop

__all__ = ["Notify"]


class Notify:
    """The way to the service manager.  Never blocks; a message that cannot be sent is not sent."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        # "@name" is a name in the abstract name space, which has a null byte in front.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self.interval: float | None = _watchdog(environ) if self._address else None
        """Seconds between two signs of life, or None."""

    def ready(self, status: str) -> None:
        """Say that the service is up, or that a reload is over."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self, now: float) -> None:
        """Say that a reload begins; ``now`` is CLOCK_MONOTONIC."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={int(now * 1_000_000)}")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        self._send(f"STATUS={text}")

    def stopping(self) -> None:
        """Say that the service is going down."""
        self._send("STOPPING=1")

    def watch(self, loop: Loop) -> None:
        """Send signs of life from ``loop`` from now on, if the service manager wants them."""
        if self.interval is None:
            return
        self._send("WATCHDOG=1")
        loop.call_later(self.interval, lambda: self.watch(loop))

    def close(self) -> None:
        """Close the socket; later messages are dropped."""
        if self._socket:
            self._socket.close()
        self._socket = None

    def _send(self, *lines: str) -> None:
        if self._socket is None:
            return
        data = "\n".join(line.replace("\n", " ") for line in lines).encode("utf-8", "backslashreplace")
        try:
            self._socket.sendto(data, self._address)
        except OSError:
            return


def _watchdog(environ: Mapping[str, str]) -> float | None:
    # sd_watchdog_enabled(3): the PID is another one's if the variables were inherited.
    try:
        microseconds = int(environ["WATCHDOG_USEC"])
        owner = int(environ.get("WATCHDOG_PID", os.getpid()))
    except (KeyError, ValueError):
        return None
    if microseconds <= 0 or owner != os.getpid():
        return None
    return microseconds / 1_000_000 / 3
