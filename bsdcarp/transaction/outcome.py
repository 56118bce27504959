"""What a transaction reported, read into data."""

from __future__ import annotations

from typing import Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.hostlock import holder
from bsdcarp.model import Secret
from bsdcarp.plaintext import printable
from bsdcarp.plan import Plan
from bsdcarp.plan.mask import mask

__all__ = ["Ending", "Outcome", "State", "read_ending", "read_outcome"]

State = Literal["done", "untouched", "undone", "broken", "locked", "pending", "overdue", "lost"]
"""In force until its window is over; refused before the first write; failed and taken back; failed and not fully taken
back; held by somebody else; another one waits for its confirmation; its window was over before it was done, and the
host takes it back; or nothing known, because the answer ended early."""
Ending = Literal["confirmed", "undone", "broken", "late", "stranger", "unknown", "lost"]
"""Final; taken back; not fully taken back; decided otherwise before; the claim is another's; no such transaction; or
nothing known."""


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
    failed = warning = ""
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
            case "locked":
                state, reason = word, holder(detail)
            case "untouched" | "undone" | "broken" | "pending" | "overdue":
                state, reason = word, failed + detail
            case "demotion":
                warning = f"the demotion was {detail.replace(' ', ' before and is ')} now"
            case _:
                pass
    return Outcome(plan.host, state, _shown(reason or warning, plan), tuple(touched), ran)


def read_ending(answer: bytes, token: str) -> tuple[Ending, str]:
    """Read the report of ``confirmation_script`` or ``undo_script``: how it ended, and the reason."""
    for piece in reversed(answer.decode("utf-8", "surrogateescape").split(f"\n{token} ")[1:]):
        word, _, rest = piece.partition("\n")[0].partition(" ")
        match word:
            case "confirmed" | "undone" | "broken" | "late" | "stranger" | "unknown":
                return word, printable(mask(rest.strip()))
            case _:
                pass
    return "lost", ""


def _shown(reason: str, plan: Plan) -> str:
    """A failing command may echo its own arguments, the password among them."""
    for change in plan.live:
        for word in change.command.words:
            if isinstance(word, Secret) and word:
                reason = reason.replace(word.reveal(), str(word))
    return printable(mask(reason))
