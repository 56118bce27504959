"""A ProxyCommand as a socket.

``paramiko.ProxyCommand`` is not used: it never sees the command's end (it spins until a time limit), leaks its pipes
and leaves a zombie (paramiko issues 1715 and 2568).  Here the command's standard streams are one end of a socket pair,
so its end is the end of the connection, and closing waits for it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile

__all__ = ["Proxy"]

_GRACE_SECONDS = 1.0


class Proxy:
    """The running command; ``socket`` is our end of it."""

    def __init__(self, command: str) -> None:
        self.socket, theirs = socket.socketpair()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the command
        try:
            # As ssh(1) does it: the user's shell, replaced by the command.  A session of its own, so that an
            # interrupt on the terminal does not cut the connection under a running transaction.
            self._process = subprocess.Popen(
                [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._complaints,
                start_new_session=True,
            )
        except BaseException:
            self.socket.close()
            self._complaints.close()
            raise
        finally:
            theirs.close()

    def complaint(self) -> str:
        """The last line the command wrote to its standard error."""
        self._complaints.seek(0)
        lines = self._complaints.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""

    def close(self) -> None:
        """Close our end, end the command and wait for it.  May be called again."""
        self.socket.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_GRACE_SECONDS)
        self._complaints.close()
