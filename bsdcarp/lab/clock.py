"""The two clocks of the lab: the machine's own, and one that only moves when a test says so."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "ManualClock", "MonotonicClock"]


class Clock(Protocol):
    """Seconds that never go back, and the wall time that belongs to them."""

    def now(self) -> float: ...

    def wall(self) -> float: ...


class MonotonicClock:
    """Real time."""

    def now(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


class ManualClock:
    """A clock that stands still between calls of :meth:`move_to`; it starts at ``start`` seconds after the epoch."""

    def __init__(self, start: float = 1_795_350_000.0) -> None:
        self._start = start
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._start + self._now

    def move_to(self, moment: float) -> None:
        self._now = max(self._now, moment)
