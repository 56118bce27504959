"""The timers of the vhids on the loop's heap, one for each vhid and moved as seldom as possible.

A BACKUP's deadline moves away with each advert that it hears.  Its timer is left where it is: when it fires too early
it is set again, once in three adverts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bsdcarp.carp import Action
    from bsdcarp.carpd.loop import Loop
    from bsdcarp.carpd.members import Member, Members

__all__ = ["Agenda"]


class Agenda:
    """Calls ``Machine.on_timer`` when it is wanted and performs what comes of it."""

    def __init__(self, loop: Loop, members: Members, perform: Callable[[Iterable[Action]], None]) -> None:
        self._loop = loop
        self._members = members
        self._perform = perform

    def touch(self, member: Member | None) -> None:
        """The timers of this vhid, or of all (None), may have changed."""
        if member is None:
            for each in self._members:
                self._arrange(each)
        else:
            self._arrange(member)

    def _arrange(self, member: Member) -> None:
        deadline = member.machine.deadline()
        if deadline is None:
            return
        if member.timer is not None:
            if member.timer.when <= deadline:
                return
            member.timer.cancel()
        member.timer = self._loop.call_at(deadline, partial(self._fire, member))

    def _fire(self, member: Member) -> None:
        member.timer = None
        now = self._loop.now()
        deadline = member.machine.deadline()
        if deadline is not None and deadline <= now:
            self._perform(member.machine.on_timer(now))
        self._arrange(member)
