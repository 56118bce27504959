"""The timers of one vhid: one for adverts, and a master-down timer for each address family.

A BACKUP that hears IPv4 adverts but no IPv6 ones takes over when the IPv6 timer runs out, because carp_setrun()
restarts only the timer of the family that was heard.  How long an interval is, the dialect says; here it is seconds.
"""

from __future__ import annotations

from collections.abc import Iterable

from bsdcarp.carp.vhid import Family

__all__ = ["NEVER", "Timers"]

NEVER = float("inf")


class Timers:
    """When what is due, in monotonic seconds.  Nothing runs by itself: somebody has to ask."""

    def __init__(self) -> None:
        self.earliest = NEVER
        """The first of them; kept up to date because a node with 255 vhids asks 255 times for each advert."""
        self._advert = NEVER
        self._down: dict[Family, float] = {}

    def _changed(self) -> None:
        self.earliest = min(self._advert, *self._down.values()) if self._down else self._advert

    def stop(self) -> None:
        """All of them."""
        self._advert = NEVER
        self._down.clear()
        self._changed()

    def stop_adverts(self) -> None:
        """The one for adverts only."""
        self._advert = NEVER
        self._changed()

    def advertise(self, now: float, interval: float) -> None:
        """The next advert is due one interval from now."""
        self._advert = now + interval
        self._changed()

    def wait(self, now: float, families: Iterable[Family], patience: float) -> None:
        """Give the MASTER that long from now on each of the families."""
        for family in families:
            self._down[family] = now + patience
        self._changed()

    def wait_also(self, now: float, families: tuple[Family, ...], patience: float) -> None:
        """These are the families now: forget the timers of others, start those that do not run, leave the rest."""
        self._down = {family: self._down.get(family, now + patience) for family in families}
        self._changed()

    def deadline(self) -> float | None:
        """The earliest of them."""
        return None if self.earliest == NEVER else self.earliest

    def master_is_down(self, now: float) -> bool:
        """Whether a master-down timer ran out; those that did are stopped."""
        late = [family for family, when in self._down.items() if when <= now]
        for family in late:
            del self._down[family]
        self._changed()
        return bool(late)

    def advert_is_due(self, now: float) -> bool:
        """Whether the advert timer ran out; if so, it is stopped."""
        due = self._advert <= now
        if due:
            self._advert = NEVER
            self._changed()
        return due
