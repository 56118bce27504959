"""How it ended, per host: plain rows, and the exit status that follows from them."""

from __future__ import annotations

from collections.abc import Iterable

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import BsdcarpError, SshError
from bsdcarp.transaction import Outcome

__all__ = ["Row", "exit_status", "row_of_error", "row_of_outcome"]

_STATUSES: tuple[tuple[int, frozenset[str]], ...] = (
    # A host in an unknown or half state weighs more than all others, one that was never touched least.
    (1, frozenset({"broken", "failed", "unknown"})),
    (6, frozenset({"undone", "rolled back"})),
    (5, frozenset({"unreachable"})),
    (4, frozenset({"not verified", "would not survive"})),
    (1, frozenset({"refused", "skipped"})),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One host's result: ``changed``, ``unchanged``, ``verified``, ``would survive`` or one of the bad ones."""

    host: str
    result: str
    detail: str = ""


def row_of_error(host: str, error: BsdcarpError) -> Row:
    """Return the row of a host that could not be worked on."""
    text = str(error).removeprefix(f"{host}: ")
    return Row(host, "unreachable" if isinstance(error, SshError) else "refused", text)


def row_of_outcome(outcome: Outcome, *, files: int, live: int, window: int) -> Row:
    """Return the row of a host on which a transaction of so many changes ended, or waits for its confirmation."""
    counted = f"{files} file{'' if files == 1 else 's'}, {live} live command{'' if live == 1 else 's'}"
    host, reason = outcome.host, outcome.reason
    match outcome.state:
        case "done":
            return Row(host, "changed", f"{counted}; {reason}" if reason else counted)
        case "untouched":
            return Row(host, "refused", f"untouched: {reason}")
        case "locked":
            return Row(host, "refused", f"untouched: held by {reason or 'another transaction'}")
        case "pending":
            return Row(host, "refused", f"untouched: {reason} waits for `bsdcarp confirm` or `bsdcarp rollback`")
        case "undone":
            return Row(host, "undone", f"as it was before: {reason}")
        case "overdue":
            return Row(host, "undone", f"{reason}; the host takes it back")
        case "broken":
            return Row(host, "broken", f"could not be taken back: {reason}")
        case _:
            return Row(
                host, "unknown", f"the session was lost ({reason}); unconfirmed, it ends as it was in {window} s"
            )


def exit_status(rows: Iterable[Row]) -> int:
    """Return 0 when every host is fine, otherwise the status of the worst.

    A host that was left untouched, perhaps because of another one, counts only when nothing else explains it.
    """
    results = {row.result for row in rows}
    return next((status for status, bad in _STATUSES if results & bad), 0)
