"""A change of loader.conf whose connection ends after it was made: taken back, or said when it goes back by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bsdcarp.errors import SshError
from bsdcarp.fleet.hosts import Fleet, Look
from bsdcarp.fleet.kernels import put_into_force
from bsdcarp.inventory import load_text, require
from bsdcarp.model import Release
from bsdcarp.plan import FileChange, Plan
from bsdcarp.snapshot import Snapshot
from bsdcarp.transaction import Ending, Outcome, Terms
from bsdcarp.transaction.outcome import State

TEXT = """\
version: 1
hosts:
  a: {address: 192.0.2.2, interface: em0, os: freebsd-14.2}
groups:
  one: {vhid: 1, password: abc, addresses: [192.0.2.1/24], members: [a]}
"""
PLAN = Plan("a", (FileChange("/boot/loader.conf", "", 'carp_load="YES"\n'),))


class Cut(Fleet):
    """A host that is changed, and cannot be reached for so many tries after that."""

    def __init__(self, state: State, away: int) -> None:
        super().__init__(require(load_text(TEXT, "t.yml")))
        self.state: State = state
        self.away = away
        self.ends: list[bytes] = []

    def _reach(self, host: str) -> None:
        self.away -= 1
        if self.away >= 0:
            raise SshError("connection refused", place=host)

    def transact(self, plan: Plan, terms: Terms) -> Outcome:
        del terms
        return Outcome(plan.host, self.state)

    def look_at(self, name: str) -> Look:
        try:
            self._reach(name)
        except SshError as error:
            return Look(name, error=error)
        return Look(name, snapshot=Snapshot(Release("freebsd", 14, 2)))

    def end(self, host: str, script: Callable[[str], bytes]) -> tuple[Ending, str]:
        self._reach(host)
        self.ends.append(script("T"))
        return ("confirmed", "") if b"\nconfirm <" in self.ends[-1] else ("undone", "")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bsdcarp.fleet.final._PAUSES", (0.0, 0.0, 0.0))


def test_what_can_be_reached_anew_is_final() -> None:
    fleet = Cut("done", 0)
    row = put_into_force(fleet, PLAN)
    assert row.result == "changed", row
    assert len(fleet.ends) == 1


@pytest.mark.parametrize(("state", "away"), [("done", 1), ("done", 3), ("lost", 0)])
def test_what_cannot_be_verified_is_taken_back_at_once(state: State, away: int) -> None:
    row = put_into_force(Cut(state, away), PLAN)
    assert (row.result, "as it was before" in row.detail) == ("rolled back", True), row


def test_where_nobody_can_be_told_it_is_said_when_it_goes_back() -> None:
    row = put_into_force(Cut("done", 99), PLAN)
    assert row.result == "unknown", row
    assert "it takes itself back in 120 s" in row.detail


def test_a_confirmation_that_cannot_be_sent_is_not_called_unreachable() -> None:
    class Mute(Cut):
        def end(self, host: str, script: Callable[[str], bytes]) -> tuple[Ending, str]:
            del script
            raise SshError("connection refused", place=host)

    row = put_into_force(Mute("done", 0), PLAN)
    assert row.result == "unknown", row
    assert "120 s" in row.detail
