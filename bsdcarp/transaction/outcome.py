"""What a transaction reported, read into data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bsdcarp.model import Secret
from bsdcarp.plaintext import printable
from bsdcarp.plan import Plan
from bsdcarp.plan.mask import mask

__all__ = ["Outcome", "State", "read_outcome"]

State = Literal["done", "untouched", "undone", "broken", "locked", "lost"]
"""In force; refused before the first write; failed and taken back; failed and not fully taken back; held by somebody
else; or nothing known, because the answer ended early."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a transaction ended on one host."""

    host: str
    state: State
    reason: str = ""
    """Why it was refused or undone; passwords masked, safe to print."""
    files: tuple[str, ...] = ()
    live: int = 0
    """How many live commands ran."""

    @property
    def good(self) -> bool:
        """Whether the plan is in force."""
        return self.state == "done"


def read_outcome(answer: bytes, token: str, plan: Plan) -> Outcome:
    """Read the report of ``transaction_script(plan, token=token, ...)``."""
    state: State = "lost"
    reason = ""
    touched: list[str] = []
    ran = 0
    failed = ""
    for piece in answer.decode("utf-8", "surrogateescape").split(f"\n{token} ")[1:]:
        word, _, rest = piece.partition("\n")[0].partition(" ")
        detail = (rest + " " + " ".join(piece.split("\n")[1:])).strip()
        match word:
            case "file":
                touched.append(rest)
            case "live":
                ran = int(rest) if rest.isdecimal() else ran
            case "failed" if rest.isdecimal() and 0 < int(rest) <= len(plan.live):
                failed = f"{plan.live[int(rest) - 1].command}: "
            case "done":
                state = "done"
            case "untouched" | "undone" | "broken" | "locked":
                state, reason = word, failed + detail
            case _:
                pass
    return Outcome(plan.host, state, _shown(reason, plan), tuple(touched), ran)


def _shown(reason: str, plan: Plan) -> str:
    """A failing command may echo its own arguments, the password among them."""
    for change in plan.live:
        for word in change.command.words:
            if isinstance(word, Secret) and word:
                reason = reason.replace(word.reveal(), str(word))
    return printable(mask(reason))
