"""Progress as events: fleet tells, report shows, tests listen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from bsdcarp.dataclass import dataclass

__all__ = ["Event", "Listener", "Stage", "silent"]

Stage = Literal[
    "connecting", "reading", "read", "applying", "applied", "waiting", "rebooting", "back", "failed", "done"
]


@dataclass(frozen=True, slots=True)
class Event:
    """One step of one host; ``host`` is empty where all of them wait together."""

    host: str
    stage: Stage
    detail: str = ""
    seconds: float = 0.0
    """With ``waiting``: how long at most."""


Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """Listen to nothing."""
    del event
