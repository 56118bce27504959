"""What confirming tells of hosts on which there is nothing to confirm, or nothing any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import pytest

from bsdcarp.fleet.ending import confirm_pending, undo_pending
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.fleet.past import Memory
from bsdcarp.fleet.results import Row, exit_status
from bsdcarp.transaction import Ending
from bsdcarp.transaction.history import History, Past
from bsdcarp.transaction.recorded import Recorded

UNDONE = "undone nobody confirmed it within 120 s"


class Answering:
    """Stands for a fleet of which every host gives this answer."""

    def __init__(self, ending: Ending = "lost", why: str = "") -> None:
        self.answer = (ending, why)

    def end(self, host: str, script: Callable[[str], bytes]) -> tuple[Ending, str]:
        assert script("marker")
        return self.answer

    def each(self, work: Callable[[Memory], None], items: Iterable[Memory]) -> None:
        for item in items:
            work(item)


def memory(*outcomes: str, pending: str = "") -> Memory:
    """A host whose transactions tx-1, tx-2 ... ended so."""
    record = Recorded("", "me", (), (), 0, ())
    past = tuple(Past(f"tx-{number}", outcome, record) for number, outcome in enumerate(outcomes, 1))
    return Memory("a", history=History(pending, past))


def confirmed(found: Memory, claims: dict[str, str], fleet: Answering | None = None) -> Row:
    [row] = confirm_pending(cast("Fleet", fleet or Answering()), {"a": found}, claims)
    return row


def test_only_the_newest_transaction_can_be_one_that_was_confirmed_too_late() -> None:
    claims = {"tx-1": "one", "tx-2": "two"}
    assert confirmed(memory(UNDONE), claims).result == "rolled back"
    assert confirmed(memory("confirmed", UNDONE), claims) == Row("a", "rolled back", f"tx-2: {UNDONE}")
    later = confirmed(memory(UNDONE, "confirmed"), claims)
    assert (later.result, exit_status([later])) == ("unchanged", 0)
    assert confirmed(memory(UNDONE, "confirmed", "confirmed"), claims) == Row("a", "unchanged", "nothing is pending")
    assert confirmed(memory("confirmed", UNDONE), {}).result == "rolled back", "with --token nobody can say which"
    assert confirmed(memory(), claims) == Row("a", "unchanged", "nothing is pending")


@pytest.mark.parametrize("end", [confirm_pending, undo_pending])
def test_what_could_not_be_taken_back_is_broken_and_not_undone(end: Callable[..., list[Row]]) -> None:
    waiting = memory("under way", pending="tx-1")
    more = ({"tx-1": "one"},) if end is confirm_pending else ()
    [row] = end(Answering("late", "broken live-2: nobody confirmed it"), {"a": waiting}, *more)
    assert row.result == "broken"
    assert row.detail.endswith("could not be taken back: live-2: nobody confirmed it")
    assert exit_status([row]) == 1
    assert confirmed(memory("broken live-2: why"), {"tx-1": "one"}).result == "broken"
