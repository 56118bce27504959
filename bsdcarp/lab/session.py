"""One command on a simulated host: a real process whose standard streams are an SSH channel.

As with OpenSSH's sshd the process gets its exit status reported when it ends, the channel closes when nobody holds
its output any more, and a client that goes away takes the streams with it but kills nothing.  What kills is the end of
the machine: every process that a session of it started, also one that has put itself into another session.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import paramiko

from bsdcarp.lab.shell import Login

__all__ = ["Session"]

_CHUNK = 32768


class Session:
    """Runs ``login`` on ``channel``; ``start`` returns at once, ``done`` is called when nothing is left of it."""

    def __init__(
        self,
        channel: paramiko.Channel,
        login: Login,
        *,
        environ: Mapping[str, str],
        cwd: Path,
        prelude: bytes = b"",
        done: Callable[[Session], None],
    ) -> None:
        self._channel = channel
        self._login = login
        self._environ = dict(environ)
        self._cwd = cwd
        self._prelude = prelude
        self._done = done
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._killed = False
        self._thread = threading.Thread(target=self._run, name="lab-session", daemon=True)

    def start(self) -> None:
        """Begin; the channel belongs to the session from here on."""
        self._thread.start()

    def kill(self) -> None:
        """End the process group at once, as a machine that loses power does."""
        with self._lock:
            self._killed = True
            # A reaped leader's number may belong to a stranger by now, so only a group whose leader is ours is hit.
            if self._process is not None and self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def join(self, timeout: float) -> bool:
        """Wait until nothing is left; False if ``timeout`` seconds were not enough."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with self._lock:
                if self._killed:
                    return
                process = self._process = self._spawn()
            self._converse(process)
        except OSError as error:
            # sshd reports what execve said and leaves with 1.
            with contextlib.suppress(OSError):
                self._channel.sendall_stderr(f"{self._login.executable}: {error.strerror}\n".encode())
                self._channel.send_exit_status(1)
        finally:
            with contextlib.suppress(OSError, EOFError):
                self._channel.close()
            self._done(self)

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._login.argv,
            executable=self._login.executable,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environ,
            cwd=self._cwd,
            bufsize=0,
            start_new_session=True,
        )

    def _converse(self, process: subprocess.Popen[bytes]) -> None:
        threads = [
            threading.Thread(target=self._feed, args=(process.stdin,), name="lab-stdin", daemon=True),
            threading.Thread(target=self._report, args=(process,), name="lab-wait", daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            self._drain(process)
        finally:
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
            # The reader of standard input ends with the channel, so the exit status has to be out before that.
            threads[1].join()
            with contextlib.suppress(OSError, EOFError):
                self._channel.close()
            threads[0].join()

    def _feed(self, stdin: BinaryIO) -> None:
        with contextlib.suppress(OSError, EOFError), contextlib.closing(stdin):
            while data := self._channel.recv(_CHUNK):
                view = memoryview(data)
                while view:
                    view = view[os.write(stdin.fileno(), view) :]

    def _report(self, process: subprocess.Popen[bytes]) -> None:
        # Not process.wait(): the number must stay ours until kill() can no longer be using it.
        with contextlib.suppress(ChildProcessError, AttributeError):  # macOS before Python 3.13 has no waitid
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        with self._lock:
            status = process.wait()
        # A negative status is a signal; sshd sends no exit status then, and clients make 255 or -1 of it.
        if status >= 0:
            with contextlib.suppress(OSError, EOFError):
                self._channel.send_exit_status(status)

    def _drain(self, process: subprocess.Popen[bytes]) -> None:
        ways = ((process.stdout, self._channel.sendall), (process.stderr, self._channel.sendall_stderr))
        send = {stream.fileno(): write for stream, write in ways if stream is not None}
        with contextlib.suppress(OSError, EOFError), selectors.DefaultSelector() as selector:
            if self._prelude:
                self._channel.sendall(self._prelude)
            for descriptor in send:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                # A client that has gone is noticed within this time even if the process stays silent.
                for key, _ in selector.select(timeout=0.5):
                    data = os.read(key.fd, _CHUNK)
                    if data:
                        send[key.fd](data)
                    else:
                        selector.unregister(key.fd)
                if self._channel.closed:
                    return
