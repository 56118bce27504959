"""One call into the core, as its inner methods pass it on."""

from __future__ import annotations

from dataclasses import dataclass, field

from bsdcarp.carp.actions import Action
from bsdcarp.carp.vhid import Family

__all__ = ["Moment"]


@dataclass(frozen=True)
class Moment:
    """The time of the call, the actions gathered in it so far, and the family of the packet, if there is one."""

    now: float
    out: list[Action] = field(default_factory=list)
    family: Family | None = None
