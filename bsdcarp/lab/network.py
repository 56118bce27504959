"""Time in the lab: one queue of events and one thread that drives every machine, or a test that moves the clock."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from bsdcarp.errors import LabError
from bsdcarp.lab.clock import Clock, ManualClock, MonotonicClock

if TYPE_CHECKING:
    from bsdcarp.lab.segment import Segment

__all__ = ["Network", "Timed"]

_IDLE = 3600.0


class Timed(Protocol):
    """Something with deadlines of its own: a machine, whose kernel has CARP timers."""

    def deadline(self) -> float | None: ...

    def on_timer(self, now: float) -> None: ...

    def carp_states(self) -> dict[str, str]: ...


class Network:
    """All segments and machines of a lab, their lock and their time.

    ``lock`` guards everything that is simulated: whoever touches a machine from outside holds it.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or MonotonicClock()
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._members: list[Timed] = []
        self._segments: dict[str, Segment] = {}
        self._thread: threading.Thread | None = None
        self._running = False
        self._driving = False
        self._untold: list[Callable[[], None]] = []
        self._telling = threading.RLock()

    def segment(self, name: str) -> Segment:
        """Return the segment called ``name``, making it on first use."""
        from bsdcarp.lab.segment import Segment

        with self.lock:
            if name not in self._segments:
                self._segments[name] = Segment(self, name)
            return self._segments[name]

    def join(self, member: Timed) -> None:
        """Have this network drive the timers of ``member``."""
        with self.lock:
            self._members.append(member)

    def schedule(self, delay: float, event: Callable[[], None]) -> None:
        """Run ``event`` after ``delay`` seconds, under the lock."""
        with self.lock:
            heapq.heappush(self._events, (self.clock.now() + delay, next(self._order), event))
            self._changed.notify_all()

    def tell(self, callbacks: Iterable[Callable[[], None]]) -> None:
        """Call ``callbacks`` without holding the lock: at once, or after the event that is running now.

        Who listens may have to wait for a thread that itself waits for the lock.  They are called one after another,
        whatever threads they come from: what a host does on its way down is over before it comes up.
        """
        with self.lock:
            self._untold.extend(callbacks)
            if self._driving:
                return
        self._tell_all()

    def _tell_all(self) -> None:
        with self._telling:
            while True:
                with self.lock:
                    if not self._untold:
                        return
                    callback = self._untold.pop(0)
                callback()

    def wake(self) -> None:
        """Tell the thread that some deadline may have moved."""
        with self.lock:
            self._changed.notify_all()

    def start(self) -> None:
        """Start the thread that drives the lab in real time."""
        if isinstance(self.clock, ManualClock):
            raise LabError("a manual clock is moved by advance(), not by a thread")
        with self.lock:
            if self._thread is None:
                self._running = True
                self._thread = threading.Thread(target=self._drive, name="lab time", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Stop the thread; the simulated machines stand still from here on."""
        with self.lock:
            thread, self._thread = self._thread, None
            self._running = False
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    def advance(self, seconds: float) -> None:
        """Move a manual clock on by ``seconds``, running everything that falls due, in order."""
        clock = self._manual()
        with self.lock:
            target = clock.now() + seconds
            while (due := self._next()) is not None and due <= target:
                clock.move_to(due)
                self._run_due()
            clock.move_to(target)
        self._tell_all()

    def settle(self, limit: float = 30.0, quiet: float = 4.0) -> None:
        """Advance a manual clock until no role has changed for ``quiet`` seconds, ``limit`` seconds at most."""
        clock = self._manual()
        end = clock.now() + limit
        before, since = self._roles(), clock.now()
        while clock.now() < end and clock.now() - since < quiet:
            self.advance(0.25)
            if (roles := self._roles()) != before:
                before, since = roles, clock.now()

    def _manual(self) -> ManualClock:
        if not isinstance(self.clock, ManualClock):
            raise LabError("only a manual clock can be moved")
        return self.clock

    def _roles(self) -> list[dict[str, str]]:
        return [member.carp_states() for member in self._members]

    def _next(self) -> float | None:
        due = [deadline for member in self._members if (deadline := member.deadline()) is not None]
        if self._events:
            due.append(self._events[0][0])
        return min(due, default=None)

    def _run_due(self) -> None:
        self._driving = True
        try:
            self._run_due_at(self.clock.now())
        finally:
            self._driving = False

    def _run_due_at(self, now: float) -> None:
        while self._events and self._events[0][0] <= now:
            heapq.heappop(self._events)[2]()
        for member in tuple(self._members):
            if (deadline := member.deadline()) is not None and deadline <= now:
                member.on_timer(now)

    def _drive(self) -> None:
        while True:
            with self.lock:
                if not self._running:
                    return
                due = self._next()
                wait = _IDLE if due is None else due - self.clock.now()
                if wait > 0:
                    self._changed.wait(wait)
                else:
                    self._run_due()
            self._tell_all()
