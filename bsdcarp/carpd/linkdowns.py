"""Macvlans set down behind the daemon's back.

Setting one down waits for an RCU grace period, about 14 ms, in which the daemon could not send adverts: with 255 vhids
that were more than the time after which the others take over.  So a vanished presence loses its addresses at once, and
a thread sets the interface down when there is a pause.
"""

from __future__ import annotations

import contextlib
import threading
import time

from bsdcarp.carpd.errors import NetlinkError
from bsdcarp.carpd.rtnl import requests
from bsdcarp.carpd.rtnl.route import Route

__all__ = ["LinkDowns"]

# All changes of links take the same kernel lock, so the thread waits until the daemon is through with its own.
_PAUSE = 0.02
# After so long without work, one interface is no sign of many.
_CALM = 0.2
_TOO_LONG = 10.0


class LinkDowns:
    """A queue of interface indexes and the thread that works on it, started when there is first need."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._pending: dict[int, None] = {}
        self._busy = 0
        self._ended = float("-inf")
        self._closing = False
        self._thread: threading.Thread | None = None

    def add(self, index: int) -> None:
        """Set this interface down soon."""
        with self._change:
            self._pending[index] = None
            if self._thread is None:
                # The socket is made here, so that an error is seen; the namespace is the same.
                self._thread = threading.Thread(target=self._work, args=(Route(),), name="linkdowns", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def cancel(self, index: int) -> None:
        """Forget about this interface; if the thread is just at it, wait for its end."""
        with self._change:
            self._pending.pop(index, None)
            self._change.wait_for(lambda: self._busy != index, _TOO_LONG)

    def close(self) -> None:
        """Set down what is pending, and end the thread."""
        with self._change:
            thread, self._thread, self._closing = self._thread, None, True
            self._change.notify_all()
        if thread is not None:
            thread.join(_TOO_LONG)
        self._closing = False

    def _work(self, route: Route) -> None:
        while self._next():
            if not self._busy:
                continue
            with contextlib.suppress(NetlinkError):  # the interface stays up without addresses, which is harmless
                route.attempt([requests.set_link(self._busy, up=False)])
        route.close()

    def _next(self) -> bool:
        """Wait for something to do and leave it in ``_busy``; False if this is the end."""
        with self._change:
            if self._busy:
                self._busy, self._ended = 0, time.monotonic()
            self._change.notify_all()
            self._change.wait_for(lambda: bool(self._pending) or self._closing)
            # A single one, after a while without any, goes at once: the less time for its kernel to say something.
            # Otherwise every addition wakes up, and the pause begins again.
            hurry = len(self._pending) == 1 and time.monotonic() - self._ended > _CALM
            while not hurry and not self._closing and self._change.wait(_PAUSE):
                continue
            if not self._pending:
                return not self._closing
            self._busy = next(iter(self._pending))
            del self._pending[self._busy]
            return True
