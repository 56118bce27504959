"""The operator's script, run at each change of state, without ever holding up the protocol.

The script is called with the two words that devd(8) offers to its actions for CARP on FreeBSD, so one script serves
both systems::

    SCRIPT 1@eth0 MASTER

and finds more in its environment: CARP_GROUP, CARP_VHID, CARP_INTERFACE, CARP_OLD_STATE, CARP_STATE, CARP_REASON,
CARP_ADDRESSES (with prefix lengths, separated by spaces) and PATH; nothing else.  There is no shell in between,
standard input is empty, and what it prints is logged.  It runs as root with the capabilities and within the limits of
the daemon.  It has ten seconds, then it and what it started are killed.

Changes of one vhid are told one after the other and in order, those of different vhids side by side, at most
``PARALLEL`` of them.  A fork costs one or two milliseconds, so there is one fork in a round of the loop.  It is a fork
and not posix_spawn(3), which would wait for the disk that the script comes from.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bsdcarp.carpd.loop import Loop, Timer
    from bsdcarp.carpd.observer import Change

    Key = tuple[str, int]  # interface, vhid

__all__ = ["LIMIT", "PARALLEL", "Hooks", "environment", "problem_with"]

LIMIT = 10.0
"""Seconds a script may take."""
PARALLEL = 8
_WAITING = 16  # changes of one vhid that wait for the one being told
_POLL = 0.05
_LINES = 20  # of output, per run
_NOT_RUN = 126
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class _Job:
    script: str
    arguments: tuple[str, ...]
    environment: dict[str, str]

    @property
    def title(self) -> str:
        return " ".join((self.script, *self.arguments))


@dataclass
class _Running:
    job: _Job
    pid: int
    output: int
    expiry: Timer
    rest: bytes = b""
    lines: int = 0
    closed: bool = False


def problem_with(path: str) -> str | None:
    """Return in one line why the script at ``path`` must not be run as root, None if it may."""
    if not path.startswith("/"):
        return f"{path}: not an absolute path"
    try:
        real = Path(path).resolve(strict=True)
        found = real.stat()
        above = [(parent, parent.stat()) for parent in real.parents]
    except (OSError, RuntimeError) as error:
        return f"{path}: {getattr(error, 'strerror', None) or error}"
    if not stat.S_ISREG(found.st_mode):
        return f"{path}: not a regular file"
    if not found.st_mode & 0o100:
        return f"{path}: not executable by its owner; chmod 755 it"
    for place, its in [(real, found), *above]:
        # Whoever can write there can become root; a sticky directory (/tmp) protects what others own in it.
        if its.st_uid not in (0, os.geteuid()):
            return f"{path}: {place} belongs to uid {its.st_uid} and not to root"
        if its.st_mode & 0o022 and not its.st_mode & stat.S_ISVTX:
            return f"{path}: others than root can write to {place}; chmod go-w it"
    return None


def environment(change: Change) -> dict[str, str]:
    """Return the whole environment of a script that is told ``change``."""
    return {
        "PATH": _PATH,
        "CARP_GROUP": change.group,
        "CARP_VHID": str(change.vhid),
        "CARP_INTERFACE": change.interface,
        "CARP_OLD_STATE": change.old.value,
        "CARP_STATE": change.new.value,
        "CARP_REASON": change.reason,
        "CARP_ADDRESSES": " ".join(change.addresses),
    }


class Hooks:
    """Runs scripts from ``loop``; ``write`` takes (level, text)."""

    def __init__(self, loop: Loop, write: Callable[[str, str], None], *, limit: float = LIMIT) -> None:
        self._loop = loop
        self._write = write
        self._limit = limit
        self._waiting: dict[Key, deque[_Job]] = {}
        self._running: dict[Key, _Running] = {}
        self._unreaped: list[int] = []
        self._poll: Timer | None = None
        self._start: Timer | None = None

    @property
    def busy(self) -> bool:
        """Whether a script runs or waits."""
        return bool(self._running or self._waiting)

    def changed(self, script: str | None, change: Change) -> None:
        """Tell ``script`` of ``change``, soon."""
        if script is None:
            return
        queue = self._waiting.setdefault((change.interface, change.vhid), deque())
        if len(queue) == _WAITING:
            lost = queue.popleft()
            self._write("warning", f"notify script not run, it is too far behind: {lost.title}")
        queue.append(_Job(script, (change.label, change.new.value), environment(change)))
        self._start_soon()

    def close(self) -> None:
        """Kill what runs, forget what waits."""
        self._waiting.clear()
        for key, run in list(self._running.items()):
            self._kill(run)
            self._finish(key, run)
        for timer in (self._poll, self._start):
            if timer:
                timer.cancel()

    def _start_soon(self) -> None:
        if self._start is None:
            self._start = self._loop.call_later(0, self._start_one)

    def _start_one(self) -> None:
        self._start = None
        free = [key for key in self._waiting if key not in self._running]
        if not free or len(self._running) >= PARALLEL:
            return  # the end of one that runs comes back here
        key = free[0]
        job = self._waiting[key].popleft()
        if not self._waiting[key]:
            del self._waiting[key]
        self._spawn(key, job)
        if len(free) > 1:
            self._start_soon()

    def _spawn(self, key: Key, job: _Job) -> None:
        try:
            output, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            # Without it no role may be lost: too many open files, say, is no reason to end.
            self._write("error", f"notify script not run: {job.title}: {error.strerror}")
            self._start_soon()
            return
        os.set_blocking(theirs, True)
        # A signal for the daemon must not be taken between fork and exec: the wakeup descriptor is the daemon's, too.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                _become(job, theirs)
        except OSError as error:
            self._write("error", f"notify script not run: {job.title}: {error.strerror}")
            os.close(output)
            self._start_soon()
            return
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            os.close(theirs)
        run = _Running(job, pid, output, self._loop.call_later(self._limit, lambda: self._expire(key, run)))
        self._running[key] = run
        self._loop.watch(output, partial(self._read, key, run))
        self._poll_later()

    def _read(self, key: Key, run: _Running) -> None:
        if self._drain(run):
            self._close(run)
            self._check(key, run)

    def _drain(self, run: _Running) -> bool:
        """Log what the script has printed, and say whether that was the end of it."""
        try:
            data = os.read(run.output, 4096)
        except BlockingIOError:
            return False
        *lines, run.rest = (run.rest + data).split(b"\n")
        if not data or len(run.rest) > 4096:
            lines, run.rest = [*lines, run.rest], b""
        for line in filter(None, lines):
            run.lines += 1
            if run.lines <= _LINES:
                self._write("info", f"{run.job.script}: {line.decode('utf-8', 'backslashreplace')}")
        return not data

    def _close(self, run: _Running) -> None:
        if not run.closed:
            run.closed = True
            self._loop.unwatch(run.output)
            os.close(run.output)

    def _expire(self, key: Key, run: _Running) -> None:
        self._write("warning", f"notify script killed after {self._limit:g} seconds: {run.job.title}")
        self._kill(run)
        self._finish(key, run)

    def _kill(self, run: _Running) -> None:
        with contextlib.suppress(OSError):
            os.killpg(run.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.kill(run.pid, signal.SIGKILL)  # it may not have come as far as its own process group

    def _check(self, key: Key, run: _Running) -> None:
        """See whether the script has ended; what it left in the background may go on."""
        status = _reap(run.pid)
        if status is None:
            return
        if not run.closed:
            self._drain(run)
        self._finish(key, run, status)

    def _finish(self, key: Key, run: _Running, status: int | None = None) -> None:
        if self._running.get(key) is not run:
            return
        del self._running[key]
        run.expiry.cancel()
        self._close(run)
        if status is None:
            # Killed, but it can be stuck in the kernel: nobody waits for that.
            self._unreaped.append(run.pid)
            self._poll_later()
        elif status:
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            self._write("warning", f"notify script ended with {how}: {run.job.title}")
        self._start_soon()

    def _poll_later(self) -> None:
        if self._poll is None:
            self._poll = self._loop.call_later(_POLL, self._look)

    def _look(self) -> None:
        self._poll = None
        self._unreaped = [pid for pid in self._unreaped if _reap(pid) is None]
        for key, run in list(self._running.items()):
            self._check(key, run)
        if self._running or self._unreaped:
            self._poll_later()


def _reap(pid: int) -> int | None:
    """The exit status, a signal as a negative number, or None while the process runs."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    if not found:
        return None
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _become(job: _Job, output: int) -> None:
    """Turn this child into the script.  Does not return."""
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for ours, theirs in ((null, 0), (output, 1), (output, 2)):
            os.dup2(ours, theirs)
        with contextlib.suppress(OSError, ValueError):
            Path("/proc/self/oom_score_adj").write_text("0", "ascii")
        os.chdir("/")
        os.umask(0o022)
        # Looked at here and not before the fork: a disk that does not answer is not the daemon's trouble.
        problem = problem_with(job.script)
        if problem:
            os.write(2, f"not run: {problem}\n".encode("utf-8", "backslashreplace"))
            os._exit(_NOT_RUN)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execve(job.script, [job.script, *job.arguments], job.environment)  # noqa: S606 - no shell, on purpose
    except OSError as error:
        os.write(2, f"cannot be run: {error.strerror}\n".encode())
    finally:
        os._exit(127)
