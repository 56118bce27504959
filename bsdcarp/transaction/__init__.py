"""Plan -> one POSIX sh script that puts it into force as a whole or not at all, and the reading of its report.

What it puts into force is taken back by the host itself unless somebody confirms it in time over a new connection.
"""

from __future__ import annotations

from bsdcarp.transaction.outcome import Ending, Outcome, read_ending, read_outcome
from bsdcarp.transaction.script import Terms, confirmation_script, transaction_script, undo_script

__all__ = [
    "Ending",
    "Outcome",
    "Terms",
    "confirmation_script",
    "read_ending",
    "read_outcome",
    "transaction_script",
    "undo_script",
]
