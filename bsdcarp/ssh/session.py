"""A connection to one host: made hop by hop, used for a few scripts, closed whatever happens."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from bsdcarp.ssh.become import Become
from bsdcarp.ssh.lean import import_paramiko
from bsdcarp.ssh.result import Crowded, Result, RunFailed
from bsdcarp.ssh.target import SshTarget

if TYPE_CHECKING:
    import paramiko

    from bsdcarp.ssh.transport import Transport

__all__ = ["Session", "connect"]

# sshd drops connections at random from the tenth that has not logged in yet (MaxStartups 10:30:100 in
# sshd_config(5)), which a fleet behind one jump host would run into.
_STRANGERS = 8
_ALIVE_SECONDS = 15.0
"""Silence after which a host is asked whether it is there.  One that lost its power has forgotten the connection, and
installing a kernel was waited for as long as it may take (seen on FreeBSD 12.1)."""
_PAUSES = (0.5, 1.0, 2.0)
"""Seconds, more or less, after which one that was turned away all the same knocks again."""
_gates: defaultdict[str, threading.BoundedSemaphore] = defaultdict(lambda: threading.BoundedSemaphore(_STRANGERS))


class Session:
    """A logged-in connection; ``connect`` makes it.  One thread runs scripts on it; any thread may close it."""

    def __init__(self, target: SshTarget, transport: Transport, close: Callable[[], None]) -> None:
        self.target = target
        self._transport = transport
        self._close = close
        self._shell: paramiko.Channel | None = None

    def run(self, script: bytes, *, timeout: float, become: Become | None = None, lasting: bool = False) -> Result:
        """Feed ``script`` to /bin/sh as the login, or as root by ``become``, and return what came of it.

        The script arrives on the shell's standard input as it is, whatever the login shell is.  ``timeout`` is in
        seconds and counts from now; when it is over the connection is closed, though the host may go on.  ``lasting``
        scripts share one shell, one after another, where that is possible: each spares the host three processes, and
        has to set every variable it uses.  Raises ``RunFailed`` (an ``SshError``), whose ``sent`` tells whether the
        host may have acted.
        """
        from bsdcarp.ssh.exchange import Exchange

        try:
            invocation = (become or Become()).invocation(script, lasting=lasting)
            exchange = Exchange(self._transport, invocation, timeout=timeout, shell=self._shell)
            result = exchange.run()
        except RunFailed as failure:
            failure.place = failure.place or self.target.name
            # What is left of the exchange would be in the way of the next.
            self.close()
            raise
        self._shell = exchange.shell
        return result

    def hang_up(self) -> None:
        """Tell the connection to end, without waiting for it; ``close`` has to follow."""
        self._transport.hang_up()

    def close(self) -> None:
        """End the connection and everything it needed.  May be called again."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(target: SshTarget) -> Session:
    """Connect to ``target`` through its jump hosts and log in with a key; every hop's host key is verified.

    Raises ``SshError`` for whatever stands in the way.  No password is ever used to log in.
    """
    from bsdcarp.ssh.dial import dial, translated

    with contextlib.ExitStack() as stack:

        def reach(hop: SshTarget, through: Transport | None) -> Transport:
            with translated(hop, target) as proxies, _gates[hop.endpoint]:
                stream = dial(hop, through, stack, proxies)
                stack.callback(stream.close)
                # sshd starts at the other end meanwhile.
                import_paramiko()
                from bsdcarp.ssh.login import log_in
                from bsdcarp.ssh.transport import handshake

                transport = handshake(stream, hop)
                stack.callback(transport.shut)
                log_in(transport, hop)
                transport.ask_for_life(_ALIVE_SECONDS)
                return transport

        def reach_patiently(hop: SshTarget, through: Transport | None) -> Transport:
            for pause in _PAUSES:
                try:
                    return reach(hop, through)
                except Crowded:
                    # Others are let in at random meanwhile: not all that were turned away come back at once.
                    time.sleep(pause * (0.5 + random.random()))  # noqa: S311  # nothing to guess
            return reach(hop, through)

        way: Transport | None = None
        for hop in target.jumps:
            way = reach_patiently(hop, way)
        return Session(target, reach_patiently(target, way), stack.pop_all().close)
