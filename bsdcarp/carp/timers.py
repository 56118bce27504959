"""The timers of one vhid: one for adverts, and a master-down timer for each address family.

A BACKUP that hears IPv4 adverts but no IPv6 ones takes over when the IPv6 timer runs out, because carp_setrun()
restarts only the timer of the family that was heard.
"""

from __future__ import annotations

from collections.abc import Iterable

from bsdcarp.carp.vhid import Family, Vhid

__all__ = ["Timers", "seconds"]

# A large negative demotion makes an interval negative; the kernel then waits for one tick.
_TICK = 0.001


def seconds(advbase: int, advskew: int) -> float:
    """The kernel's struct timeval for a pair of settings: whole microseconds."""
    return max(_TICK, advbase + advskew * 1_000_000 // 256 / 1_000_000)


class Timers:
    """When what is due, in monotonic seconds.  Nothing runs by itself: somebody has to ask."""

    def __init__(self) -> None:
        self._advert: float | None = None
        self._down: dict[Family, float] = {}

    def stop(self) -> None:
        """All of them."""
        self._advert = None
        self._down.clear()

    def stop_adverts(self) -> None:
        """The one for adverts only."""
        self._advert = None

    def advertise(self, now: float, interval: tuple[int, int]) -> None:
        """The next advert is due one interval (advbase, advskew) from now."""
        self._advert = now + seconds(*interval)

    def wait(self, now: float, families: Iterable[Family], config: Vhid) -> None:
        """Give the MASTER 3 x advbase + advskew/256 from now on each of the families."""
        for family in families:
            self._down[family] = now + seconds(3 * config.advbase, config.advskew)

    def keep(self, families: Iterable[Family]) -> None:
        """Forget the families that are not among these."""
        self._down = {family: self._down[family] for family in families if family in self._down}

    def deadline(self) -> float | None:
        """The earliest of them."""
        times = list(self._down.values())
        if self._advert is not None:
            times.append(self._advert)
        return min(times, default=None)

    def master_is_down(self, now: float) -> bool:
        """Whether a master-down timer ran out; those that did are stopped."""
        late = [family for family, when in self._down.items() if when <= now]
        for family in late:
            del self._down[family]
        return bool(late)

    def advert_is_due(self, now: float) -> bool:
        """Whether the advert timer ran out; if so, it is stopped."""
        due = self._advert is not None and self._advert <= now
        if due:
            self._advert = None
        return due
