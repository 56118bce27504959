"""Plan -> one POSIX sh script that puts it into force as a whole or not at all, and the reading of its report."""

from __future__ import annotations

from bsdcarp.transaction.outcome import Outcome, read_outcome
from bsdcarp.transaction.script import transaction_script

__all__ = ["Outcome", "read_outcome", "transaction_script"]
