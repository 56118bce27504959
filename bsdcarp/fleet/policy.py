"""How an apply goes about its work: what it waits for, when a change becomes final, and when it stops."""

from __future__ import annotations

from typing import Literal

from bsdcarp.dataclass import dataclass

__all__ = ["DEFAULT_WINDOW", "Confirm", "Policy"]

DEFAULT_WINDOW = 120
"""Seconds after which a host takes back what nobody confirmed."""

Confirm = Literal["auto", "manual", "after-reboot", "never"]


@dataclass(frozen=True, slots=True)
class Policy:
    """The choices of one apply."""

    wait: bool = True
    """Wait for the election, and verify who is MASTER."""
    confirm: Confirm = "auto"
    """Who makes a change final: apply itself once it is verified, the operator, or a reboot that went well.  With
    ``never`` it is final as soon as it is made: no host takes anything back by itself."""
    window: int = DEFAULT_WINDOW
    """Seconds after which a host takes back what nobody confirmed; raised where the protocol needs longer."""
    canary: bool = False
    """Begin with one unit alone, and go on only if it ends well."""
    max_failures: int = 0
    """Begin no further unit once more than so many have failed."""
    steal: bool = False
    """Take locks away from processes that are gone."""
    deadline: float = 300.0
    """With ``after-reboot``: seconds that a host may take to come back."""
    back: bool = False
    """It goes back to what was before: all members of a unit at once, and no inventory to judge them by; they only
    have to be reachable."""
