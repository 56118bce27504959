"""Tokens of pending transactions are kept for their operator alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from bsdcarp.cli.claims import keep_claims, known_claims


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "bsdcarp/pending.json"


def test_nothing_is_known_and_nothing_written_at_first(state: Path) -> None:
    assert known_claims() == {}
    keep_claims({})
    assert not state.exists()


def test_the_newest_twenty_are_kept_where_nobody_else_reads(state: Path) -> None:
    for number in range(25):
        keep_claims({f"tx-{number:02}": str(number)})
    assert list(known_claims()) == [f"tx-{number:02}" for number in range(5, 25)]
    assert state.stat().st_mode & 0o777 == 0o600
    assert state.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "\0"])
def test_a_file_that_makes_no_sense_holds_nothing(state: Path, text: str) -> None:
    state.parent.mkdir()
    state.write_text(text)
    assert known_claims() == {}
    keep_claims({"tx-1": "a"})
    assert known_claims() == {"tx-1": "a"}


def test_a_directory_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    keep_claims({"tx-1": "a"})
    assert known_claims() == {}
