"""The one loop of the daemon: descriptors, timers and signals, in one thread, nothing that blocks.

It also notices lost time.  A suspended machine, or a process that was stopped, wakes up with timers that are long
overdue and with packets that are old; ``on_gap`` hears of that before any of them is handled.
"""

from __future__ import annotations

import contextlib
import heapq
import selectors
import signal
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    Callback = Callable[[], None]

__all__ = ["Clock", "Loop", "SystemClock", "Timer"]

# What a busy host may be late without anybody's role being in doubt.
_LATE = 0.5
# Seconds for all callbacks of a round; more means that the process did not run.
_SLOW = 0.05


class Clock(Protocol):
    """Two clocks that nobody sets: one stands still while the machine is suspended, the other does not."""

    def monotonic(self) -> float: ...

    def boottime(self) -> float: ...


class SystemClock:
    """CLOCK_MONOTONIC and CLOCK_BOOTTIME."""

    monotonic = staticmethod(time.monotonic)

    def boottime(self) -> float:
        """Seconds since boot, suspended time included; the other clock where the system has none of this kind."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Timer:
    """Something that happens once, unless it is cancelled."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callback) -> None:
        self.when = when
        self.callback: Callback | None = callback

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when

    def cancel(self) -> None:
        """Forget it.  No error if it has happened."""
        self.callback = None


class Loop:
    """Waits and calls.  An exception out of a callback ends ``run``."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self.now: Callable[[], float] = self._clock.monotonic
        self.on_gap: Callable[[float], None] = lambda _: None
        """Called with the seconds that were lost, before anything else is done."""
        self._selector = selectors.DefaultSelector()
        self._timers: list[Timer] = []
        self._soon: deque[Callback] = deque()
        self._signals: dict[int, Callback] = {}
        self._wakeup: tuple[socket.socket, socket.socket] | None = None
        self._stopped = False
        self._put_off = False

    def watch(self, fileobj: Any, callback: Callback, *, writing: bool = False) -> None:
        """Call ``callback`` whenever ``fileobj`` can be read, or written; a second call replaces the first."""
        events = selectors.EVENT_WRITE if writing else selectors.EVENT_READ
        try:
            self._selector.register(fileobj, events, callback)
        except KeyError:
            self._selector.modify(fileobj, events, callback)

    def unwatch(self, fileobj: Any) -> None:
        """Call no more.  To be done before closing; no error if it was not watched."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(fileobj)

    def call_at(self, when: float, callback: Callback) -> Timer:
        """Call at ``when`` (monotonic seconds) or as soon after as possible."""
        timer = Timer(when, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def call_later(self, seconds: float, callback: Callback) -> Timer:
        """Call in so many seconds."""
        return self.call_at(self.now() + seconds, callback)

    def soon(self, callback: Callback) -> None:
        """Call at the end of this round."""
        self._soon.append(callback)

    def on_signal(self, number: int, callback: Callback) -> None:
        """Call from the loop when the signal came, any number of the same kind counting as one."""
        if self._wakeup is None:
            mine, kernels = socket.socketpair()
            mine.setblocking(False)
            kernels.setblocking(False)
            self._wakeup = (mine, kernels)
            signal.set_wakeup_fd(kernels.fileno(), warn_on_full_buffer=False)
            self.watch(mine, self._read_signals)
        self._signals[number] = callback
        # The handler only has to exist: the number comes through the socket.
        signal.signal(number, lambda *_: None)

    def _read_signals(self) -> None:
        came: set[int] = set()
        if self._wakeup is not None:
            with contextlib.suppress(BlockingIOError):
                while True:
                    came.update(self._wakeup[0].recv(4096))
        for number in sorted(came & self._signals.keys()):
            self._signals[number]()

    def run(self) -> None:
        """Until ``stop``; may be called again."""
        self._stopped = False
        while not self._stopped:
            self.turn()

    def stop(self) -> None:
        """End ``run`` after this round."""
        self._stopped = True

    def turn(self) -> None:
        """One round: wait, look for lost time, then descriptors, timers, and what was put off."""
        before, before_boot = self.now(), self._clock.boottime()
        timeout = self._patience(before)
        # A process that was stopped past its next timer gets nothing from the wait, although packets are there.
        ready = self._selector.select(timeout) or self._selector.select(0)
        now = self.now()
        # With suspended time monotonic stands still; in a stopped process it runs past the time of waking.
        suspended = (self._clock.boottime() - before_boot) - (now - before)
        overslept = 0.0 if timeout is None else now - before - timeout
        lost = max(suspended, overslept)
        if lost > _LATE:
            self.on_gap(lost)
        for key, _ in ready:
            # An earlier callback of this round may have taken this one away.
            if self._selector.get_map().get(key.fd) is key or self._still(key):
                key.data()
        # Stopped in the midst of a callback?  What came meanwhile goes first, but timers wait for it only once.
        self._put_off = not self._put_off and self.now() - now > _SLOW
        if not self._put_off:
            self._run_timers()
        for _ in range(len(self._soon)):
            self._soon.popleft()()

    def _still(self, key: selectors.SelectorKey) -> bool:
        try:
            return self._selector.get_key(key.fileobj).data is key.data
        except (KeyError, ValueError):
            return False

    def _patience(self, now: float) -> float | None:
        timers = self._timers
        while timers and timers[0].callback is None:
            heapq.heappop(timers)
        if self._soon or self._stopped:
            return 0.0
        return max(0.0, timers[0].when - now) if timers else None

    def _run_timers(self) -> None:
        now = self.now()
        timers = self._timers
        due = []
        while timers and timers[0].when <= now:
            due.append(heapq.heappop(timers))
        # Those that are started meanwhile wait for the next round, so that descriptors get their turn.
        for timer in due:
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()

    def close(self) -> None:
        """Give the signals and the selector back."""
        if self._wakeup is not None:
            signal.set_wakeup_fd(-1)
            for number in self._signals:
                signal.signal(number, signal.SIG_DFL)
            for end in self._wakeup:
                self.unwatch(end)
                end.close()
            self._wakeup = None
            self._signals.clear()
        self._selector.close()
