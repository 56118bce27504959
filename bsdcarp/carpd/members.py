"""The vhids of the daemon: for each what is configured, its state machine, and its presence on the host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bsdcarp.carp import State

if TYPE_CHECKING:
    from bsdcarp.carp import Machine
    from bsdcarp.carpd.config import VhidConfig
    from bsdcarp.carpd.errors import CarpdError
    from bsdcarp.carpd.loop import Timer
    from bsdcarp.carpd.presence import Presence

__all__ = ["Member", "Members"]


@dataclass(eq=False)
class Member:
    """One vhid.  Mutable: it is the place where what is known about it is kept."""

    config: VhidConfig
    machine: Machine
    presence: Presence
    since: float
    """Monotonic seconds of the last change of state."""
    reason: str = ""
    trouble: CarpdError | None = None
    """Why it cannot work here; it stays in INIT as long."""
    timer: Timer | None = field(default=None, repr=False)
    retry: Timer | None = field(default=None, repr=False)

    @property
    def is_master(self) -> bool:
        return self.machine.state is State.MASTER

    def cancel_timers(self) -> None:
        """To be done before it is forgotten."""
        for timer in (self.timer, self.retry):
            if timer is not None:
                timer.cancel()
        self.timer = self.retry = None


class Members:
    """All of them by (interface, vhid), in the order in which they were configured."""

    def __init__(self) -> None:
        self._all: dict[tuple[str, int], Member] = {}

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self._all.values()))

    def __len__(self) -> int:
        return len(self._all)

    def add(self, member: Member) -> None:
        """Keep one more."""
        self._all[member.config.key] = member

    def drop(self, member: Member) -> None:
        """Forget one."""
        del self._all[member.config.key]

    def get(self, interface: str, vhid: int) -> Member | None:
        """The one with this vhid there."""
        return self._all.get((interface, vhid))

    def on(self, interface: str) -> list[Member]:
        """Those on one parent."""
        return [member for member in self._all.values() if member.config.interface == interface]

    def with_vhid(self, vhid: int) -> list[Member]:
        """Those with one number, at most one for each parent."""
        return [member for member in self._all.values() if member.config.vhid == vhid]

    def by_index(self) -> dict[int, list[Member]]:
        """Those that are prepared, by the index of the interface that gets their addresses."""
        found: dict[int, list[Member]] = {}
        for member in self._all.values():
            if member.presence.prepared:
                found.setdefault(member.presence.index, []).append(member)
        return found
