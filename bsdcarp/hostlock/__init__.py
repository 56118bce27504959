"""What keeps two from changing one host at the same time: its lock, and the transaction that waits for its end.

The texts are sent in front of every program that changes a host, so that all of them go by the same rules.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from bsdcarp.shellwords import bare

__all__ = ["holder", "lock_program", "waits_program"]


@cache
def waits_program() -> str:
    """Return the functions that tell whether a transaction waits; ``R`` comes before them."""
    return bare((files("bsdcarp.hostlock") / "waits.sh").read_text(encoding="utf-8"))


@cache
def lock_program() -> str:
    """Return the functions that take the lock; ``waits_program`` comes before them."""
    return bare((files("bsdcarp.hostlock") / "lock.sh").read_text(encoding="utf-8"))


def holder(detail: str) -> str:
    """Return who has a lock, and what can be done, in words; ``detail`` is HOLDER of lock.sh."""
    alive, _, owner = detail.partition(" ")
    if alive == "alive":
        return f"{owner or 'somebody'}, who is still at work: wait, it ends by itself"
    return f"{owner or 'somebody'}, but that process is gone: --steal-lock takes the lock away"
