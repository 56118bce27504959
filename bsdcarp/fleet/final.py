"""The end of a transaction on one host: made final, or taken back, over a connection that is new if need be."""

from __future__ import annotations

import time
from collections.abc import Callable

from bsdcarp.errors import SshError
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.transaction import Ending, confirmation_script, undo_script

__all__ = ["make_final", "take_back"]

_PAUSES = (0.0, 1.0, 3.0)
"""Seconds before each try: an answer that was lost is asked for again, over a new connection."""


def make_final(fleet: Fleet, host: str, state: str, name: str, claim: str) -> tuple[Ending, str]:
    """Confirm a transaction that waits on ``host``; return how it ended, and why.

    Raises ``SshError`` when the host cannot be reached.
    """
    ending, why = _told(fleet, host, lambda token: confirmation_script(name, state, claim, token=token))
    # Said on the second try, when only the answer to the first was lost.
    return ("confirmed", "") if (ending, why) == ("late", "confirmed") else _broken(ending, why)


def take_back(fleet: Fleet, host: str, state: str, name: str, why: str) -> tuple[Ending, str]:
    """Take a transaction that waits, or may wait, on ``host`` back; return how it ended, and why.

    ``undone`` also where the host did so by itself.  Raises ``SshError`` when the host cannot be reached.
    """
    ending, said = _broken(*_told(fleet, host, lambda token: undo_script(name, state, why, token=token)))
    word, _, reason = said.partition(" ")
    return ("undone", reason) if ending == "late" and word in ("undone", "untouched") else (ending, said)


def _broken(ending: Ending, said: str) -> tuple[Ending, str]:
    """Too late is one thing, and that the host could not take it back another."""
    word, _, reason = said.partition(" ")
    return ("broken", reason) if ending == "late" and word == "broken" else (ending, said)


def _told(fleet: Fleet, host: str, script: Callable[[str], bytes]) -> tuple[Ending, str]:
    answer: tuple[Ending, str] = ("lost", "")
    error: SshError | None = None
    for pause in _PAUSES:
        time.sleep(pause)
        try:
            answer, error = fleet.end(host, script), None
        except SshError as failure:
            error = failure
        if error is None and answer[0] != "lost":
            break
        fleet.forget(host)
    if error:
        raise error
    return answer
