"""One script over one channel: send it, collect both outputs, get the exit status, and never wait for ever."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import TypeGuard

import paramiko

from bsdcarp.errors import SshError
from bsdcarp.ssh.become import Invocation
from bsdcarp.ssh.limit import time_limit
from bsdcarp.ssh.result import Result, RunFailed
from bsdcarp.ssh.transport import Transport

__all__ = ["ASK_SECONDS", "LINGER_SECONDS", "OUTPUT_LIMIT", "Exchange"]

ASK_SECONDS = 30.0
"""How long sudo, doas or su may take to ask, to be convinced, and to start a shell."""
LINGER_SECONDS = 2.0
"""How long the outputs may stay silent and open after the script has ended.

sshd reports the exit status at once but keeps the channel while anything holds the outputs, and rc.d scripts start
daemons that do so for ever.
"""
OUTPUT_LIMIT = 256 * 1024 * 1024
"""Bytes of one output at which a host is taken to be broken or hostile."""

_CHUNK = 65536
_SEND_SECONDS = 0.05
_CLOSE_SECONDS = 0.5


class _Wake(threading.Event):
    # A channel's two buffers clear their event when they run empty.  They share this one, and a buffer must not
    # silence the other, so only the reader clears it.
    def clear(self) -> None:
        pass

    def rearm(self) -> None:
        super().clear()


class Exchange:
    """Runs ``invocation`` once; ``sent`` tells, also after a failure, whether all of it may have reached the host.

    ``shell`` is the channel of a shell that an invocation before this one left there; afterwards it is that of the
    shell that this one left.
    """

    def __init__(
        self, transport: Transport, invocation: Invocation, *, timeout: float, shell: paramiko.Channel | None = None
    ) -> None:
        self.sent = False
        self.shell = shell
        self._transport = transport
        self._invocation = invocation
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._wake = _Wake()

    def run(self) -> Result:
        """Return the result.  Raises ``RunFailed``."""
        late = threading.Event()

        def expire() -> None:
            late.set()
            self._transport.shut()

        # Some of paramiko's waits have no limit: for the reply to an exec request, and for a socket that takes no
        # more bytes because the host has frozen.  Shutting the transport ends them all.
        with time_limit(self._timeout + _CLOSE_SECONDS, expire):
            try:
                left, self.shell = self.shell, None
                channel = left if self._taken(left) else self._open()
                try:
                    if channel is not left:
                        self._converse(channel)
                    self._send(channel)
                    status = self._collect(channel)
                    if self._invocation.clean(self._stdout, self._stderr):
                        self.shell = channel
                finally:
                    if self.shell is None:
                        channel.close()
                return self._invocation.result(bytes(self._stdout), bytes(self._stderr), status)
            except RunFailed:
                raise
            except SshError as error:
                # A refusal: root's shell was not there to act on anything.
                raise RunFailed(error.cause, remedy=error.remedy) from error
            except (paramiko.SSHException, EOFError, OSError) as error:
                if late.is_set() or self._left() <= 0:
                    raise self._late() from error
                raise self._lost(str(error)) from error

    def _taken(self, left: paramiko.Channel | None) -> TypeGuard[paramiko.Channel]:
        """Whether the shell that was left is there, and good for this."""
        if left is None:
            return False
        if self._invocation.lasting and not (self._gone(left) or left.exit_status_ready()):
            self._listen(left)
            return True
        left.close()
        return False

    def _listen(self, channel: paramiko.Channel) -> None:
        channel.in_buffer.set_event(self._wake)
        channel.in_stderr_buffer.set_event(self._wake)

    def _open(self) -> paramiko.Channel:
        limit = max(0.1, min(self._timeout, self._transport.channel_timeout))
        try:
            channel = self._transport.open_session(timeout=limit)
        except paramiko.ChannelException as error:
            raise RunFailed(f"sshd opens no session: {error.text}", remedy="see MaxSessions there") from error
        channel.settimeout(_SEND_SECONDS)
        self._listen(channel)
        if self._invocation.terminal:
            self._request(channel, "a terminal", "see PermitTTY there", lambda: channel.get_pty(term="dumb"))
        command = self._invocation.command
        self._request(channel, "a command", "see the user's authorized_keys", lambda: channel.exec_command(command))
        return channel

    def _request(self, channel: paramiko.Channel, what: str, remedy: str, ask: Callable[[], None]) -> None:
        try:
            ask()
        except paramiko.SSHException as error:
            # Refused by closing the channel; a lost connection closes it, too, but not without the transport.
            self._transport.join(_CLOSE_SECONDS / 5)
            if self._transport.is_alive():
                channel.close()
                raise RunFailed(f"sshd refuses to run {what}", remedy=remedy) from error
            raise

    def _converse(self, channel: paramiko.Channel) -> None:
        """Get root's shell ready, answering a prompt on the way."""
        deadline = min(self._deadline, time.monotonic() + ASK_SECONDS)
        while self._invocation.waits:
            ended = self._gone(channel)
            self._drain(channel)
            answer = self._invocation.reply(bytes(self._stdout), bytes(self._stderr))
            if answer is None:
                return
            if ended:
                self._status(channel)
                # No shell: what was said instead makes the error.
                self._invocation.result(bytes(self._stdout), bytes(self._stderr), -1)
            if answer:
                channel.sendall(answer)
            if time.monotonic() >= deadline:
                raise RunFailed(
                    f"{self._invocation.become.method} neither started a shell nor refused to "
                    f"within {min(self._timeout, ASK_SECONDS):g} s",
                    remedy="try it by hand on the host",
                )
            self._pause(deadline)

    def _send(self, channel: paramiko.Channel) -> None:
        view = memoryview(self._invocation.payload)
        while view:
            chunk = bytes(view[:_CHUNK])
            # If sending fails in the middle it cannot be told how much got out.
            self.sent = len(chunk) == len(view)
            try:
                view = view[channel.send(chunk) :]
            except TimeoutError:
                self.sent = False
                self._require_time()
            except OSError:
                # The channel is closed: the shell has ended, or was never there.  What came back tells.
                self.sent = False
                break
            else:
                self.sent = not view
            # A script that writes much before it has been read must not wait for us while we wait for it.
            self._drain(channel)
        if not self._invocation.lasting:
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                channel.shutdown_write()

    def _collect(self, channel: paramiko.Channel) -> int:
        quiet_since = time.monotonic()
        while True:
            # Looked at first: what arrives before the end is in the buffers once the end is seen.
            ended = self._gone(channel)
            if self._drain(channel):
                quiet_since = time.monotonic()
            if self._invocation.clean(self._stdout, self._stderr):
                return 0
            # Whatever records sessions may put both outputs into one.
            if time.monotonic() - quiet_since > LINGER_SECONDS and self._invocation.ended(self._stdout):
                return 0
            if ended:
                return self._status(channel)
            if channel.exit_status_ready() and time.monotonic() - quiet_since > LINGER_SECONDS:
                return channel.recv_exit_status()
            self._require_time()
            self._pause(self._deadline)

    def _status(self, channel: paramiko.Channel) -> int:
        # After the end of both outputs the status is there or on its way.
        channel.status_event.wait(max(0.0, self._left()))
        status = channel.exit_status
        if status == -1:
            # Ended by a signal, or not at all: a transport that has just died may need a moment to say so.
            self._transport.join(_CLOSE_SECONDS / 5)
            if not (self._transport.is_alive() and self._transport.is_active()):
                raise self._lost("")
            if not channel.status_event.is_set():
                raise self._late()
        elif not channel.eof_received:
            raise self._lost("")
        return status

    @staticmethod
    def _gone(channel: paramiko.Channel) -> bool:
        return bool(channel.eof_received or channel.closed)

    def _drain(self, channel: paramiko.Channel) -> bool:
        """Take what has arrived; True if there was anything."""
        self._wake.rearm()
        before = len(self._stdout) + len(self._stderr)
        while channel.recv_ready():
            self._keep(self._stdout, channel.recv(_CHUNK))
        while channel.recv_stderr_ready():
            self._keep(self._stderr, channel.recv_stderr(_CHUNK))
        return len(self._stdout) + len(self._stderr) > before

    def _keep(self, stream: bytearray, data: bytes) -> None:
        stream += data
        if len(stream) > OUTPUT_LIMIT:
            raise RunFailed(
                f"the host sent more than {OUTPUT_LIMIT} bytes", remedy="see what it is doing", sent=self.sent
            )

    def _pause(self, until: float) -> None:
        # Not longer than half a second: the exit status alone wakes nobody.
        self._wake.wait(max(0.0, min(until - time.monotonic(), 0.5)))

    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _require_time(self) -> None:
        if self._left() <= 0:
            raise self._late()

    def _late(self) -> RunFailed:
        return RunFailed(
            f"no answer within {self._timeout:g} s",
            remedy="the script may still be running there" if self.sent else "check the host's load and the network",
            sent=self.sent,
        )

    def _lost(self, why: str) -> RunFailed:
        return RunFailed(
            "the connection was lost" + (f": {why}" if why else ""),
            remedy="the host may have run the script" if self.sent else "the script had not been sent completely",
            sent=self.sent,
        )
