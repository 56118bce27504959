"""Answers that get lost are asked for again, and mean what they meant the first time."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from bsdcarp.errors import SshError
from bsdcarp.fleet import final
from bsdcarp.fleet.final import make_final, take_back
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.transaction import Ending

Answer = tuple[Ending, str] | SshError


class Answers:
    """Stands for a fleet whose host answers what it is told to."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.scripts: list[bytes] = []
        self.forgotten = 0

    def end(self, host: str, script: Callable[[str], bytes]) -> tuple[Ending, str]:
        self.scripts.append(script("marker"))
        answer = self.answers.pop(0)
        if isinstance(answer, SshError):
            raise answer
        return answer

    def forget(self, host: str) -> None:
        self.forgotten += 1


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(final, "_PAUSES", (0.0, 0.0, 0.0))


def confirm(*answers: Answer) -> tuple[tuple[Ending, str], Answers]:
    fleet = Answers(*answers)
    return make_final(cast("Fleet", fleet), "a", "/var/db/bsdcarp", "tx-1", "claim"), fleet


def undo(*answers: Answer) -> tuple[Ending, str]:
    return take_back(cast("Fleet", Answers(*answers)), "a", "/var/db/bsdcarp", "tx-1", "because")


def test_a_confirmation_whose_answer_was_lost_is_asked_for_over_a_new_connection() -> None:
    ending, fleet = confirm(("lost", ""), SshError("gone"), ("late", "confirmed"))
    assert ending == ("confirmed", "")
    assert fleet.forgotten == 2
    assert all(b"claim" in script for script in fleet.scripts)


def test_a_host_that_went_back_before_is_not_confirmed() -> None:
    assert confirm(("late", "undone nobody confirmed it"))[0] == ("late", "undone nobody confirmed it")
    assert confirm(("late", "broken live-2: nobody confirmed it"))[0] == ("broken", "live-2: nobody confirmed it")
    assert confirm(("stranger", ""))[0] == ("stranger", "")


def test_a_host_that_cannot_be_reached_any_more_is_an_error() -> None:
    with pytest.raises(SshError, match="the third"):
        confirm(SshError("one"), SshError("two"), SshError("the third"))
    assert confirm(("lost", ""), ("lost", ""), ("lost", ""))[0] == ("lost", "")


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        (("undone", "because"), ("undone", "because")),
        (("late", "undone nobody confirmed it"), ("undone", "nobody confirmed it")),
        (("late", "untouched disk full"), ("undone", "disk full")),
        (("late", "confirmed"), ("late", "confirmed")),
        (("late", "broken live-1: because"), ("broken", "live-1: because")),
        (("unknown", ""), ("unknown", "")),
    ],
)
def test_taking_back_tells_how_it_really_ended(answer: tuple[Ending, str], ending: tuple[Ending, str]) -> None:
    assert undo(("lost", ""), answer) == ending
