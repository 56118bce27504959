"""Where the daemon's lines go: the journal, syslog or standard error, and never at the cost of an advert.

The lines themselves are the FreeBSD kernel's and come ready made.  Here they get a severity of syslog(3) and a way out
that does not block: a log that does not read, for instance a journald that hangs, loses lines, which are counted and
told as soon as it reads again.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import stat
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Sink = Callable[[int, str], bool]
    """Takes (severity, line) and says whether the line went out."""

__all__ = ["SEVERITIES", "Logger", "journal", "one_line", "open_log", "plain", "syslog"]

SEVERITIES = {"error": 3, "warning": 4, "notice": 5, "info": 6, "debug": 7}
"""Level to severity, as in syslog(3).  FreeBSD's kernel logs changes with LOG_INFO, bad packets with LOG_DEBUG."""

_DAEMON = 3 << 3  # LOG_DAEMON
_LONGEST = 1000  # characters, so that a line is never longer than PIPE_BUF bytes
_DEBUG_LINES_A_SECOND = 20


def one_line(text: str) -> str:
    """Return ``text`` fit for a log or a terminal: on one line, not too long, control characters escaped."""
    shown = "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode("ascii") for ch in text[:_LONGEST])
    return shown if len(shown) <= _LONGEST and len(text) <= _LONGEST else shown[:_LONGEST] + "..."


class Logger:
    """Writes lines to a sink.  Never blocks, never raises.

    Somebody on the segment decides how many bad packets there are to report, so debug lines are rationed.
    """

    def __init__(self, sink: Sink, *, on_stderr: bool = True, clock: Callable[[], float] = time.monotonic) -> None:
        self._sink = sink
        self.on_stderr = on_stderr
        """Whether the lines also are what whoever started the process sees."""
        self._clock = clock
        self._lost = 0
        self._second = 0
        self._this_second = 0
        self._held_back = 0

    def write(self, level: str, text: str) -> None:
        """Write one line; ``level`` is a key of ``SEVERITIES``."""
        severity = SEVERITIES[level]
        if severity == SEVERITIES["debug"] and not self._spend():
            return
        if self._held_back:
            held, self._held_back = self._held_back, 0
            self._out(SEVERITIES["debug"], f"{held} more debug lines were not logged")
        self._out(severity, one_line(text))

    def _spend(self) -> bool:
        second = int(self._clock())
        if second != self._second:
            self._second, self._this_second = second, 0
        self._this_second += 1
        if self._this_second <= _DEBUG_LINES_A_SECOND:
            return True
        self._held_back += 1
        return False

    def _out(self, severity: int, line: str) -> None:
        if self._lost and self._sink(SEVERITIES["warning"], f"{self._lost} lines were lost: the log did not take them"):
            self._lost = 0
        if self._lost or not self._sink(severity, line):
            self._lost += 1


def journal(descriptor: int = 2) -> Sink:
    """Go to journald on a stream socket, with the severity in front as sd-daemon(3) says."""
    stream = socket.socket(fileno=os.dup(descriptor))
    rest = b""

    def sink(severity: int, line: str) -> bool:
        # MSG_DONTWAIT and not O_NONBLOCK, which would also hit everybody else who writes to this stream.
        nonlocal rest
        flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
        try:
            if rest:
                rest = rest[stream.send(rest, flags) :]
            if rest:
                return False
            data = f"<{severity}>{line}\n".encode("utf-8", "backslashreplace")
            rest = data[stream.send(data, flags) :]
        except OSError:
            return False
        return True

    return sink


def syslog(path: str = "/dev/log", *, tag: str = "carpd") -> Sink:
    """Go to a syslogd, each line a datagram as the C library would send it.  OSError if nobody listens there."""
    at: socket.socket | None = None

    def connect() -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            made.connect(path)
        except OSError:
            made.close()
            raise
        return made

    def sink(severity: int, line: str) -> bool:
        nonlocal at
        now = datetime.now()  # noqa: DTZ005 - syslog(3) wants local time
        head = f"<{_DAEMON | severity}>{now:%b} {now.day:2} {now:%H:%M:%S} {tag}[{os.getpid()}]: "
        data = (head + line).encode("utf-8", "backslashreplace")
        # A syslogd that was restarted listens on a new socket: once again, then it is lost.
        for _ in range(2):
            try:
                at = at or connect()
                at.send(data)
            except BlockingIOError:
                return False
            except OSError:
                if at:
                    at.close()
                at = None
            else:
                return True
        return False

    at = connect()
    return sink


def plain(descriptor: int = 2) -> Sink:
    """Lines with the time of day for a terminal, a pipe or a file."""
    poll = select.poll()
    with contextlib.suppress(OSError):
        poll.register(descriptor, select.POLLOUT)

    def sink(severity: int, line: str) -> bool:
        now = datetime.now()  # noqa: DTZ005 - for the eyes of who sits there
        mark = (
            "" if severity >= SEVERITIES["notice"] else "warning: " if severity == SEVERITIES["warning"] else "error: "
        )
        data = f"{now:%H:%M:%S}.{now.microsecond // 1000:03} {mark}{line}\n".encode("utf-8", "backslashreplace")
        try:
            # A pipe that polls writable has room for PIPE_BUF bytes, and no line is longer than that.
            ready = poll.poll(0)
            if not ready or not ready[0][1] & select.POLLOUT:
                return False
            os.write(descriptor, data)
        except OSError:
            return False
        return True

    return sink


def open_log(*, foreground: bool, environ: Mapping[str, str], devlog: str = "/dev/log") -> Logger:
    """Return the log for this process: standard error if in the foreground, else journal, else syslog, else stderr."""
    if foreground:
        return Logger(plain())
    if _is_journal(environ.get("JOURNAL_STREAM", "")):
        return Logger(journal())
    try:
        return Logger(syslog(devlog), on_stderr=False)
    except OSError:
        return Logger(plain())


def _is_journal(named: str) -> bool:
    """Whether standard error is the stream that systemd.exec(5) says JOURNAL_STREAM names, as device:inode."""
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return stat.S_ISSOCK(found.st_mode) and named == f"{found.st_dev}:{found.st_ino}"
