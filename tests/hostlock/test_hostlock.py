"""Who has the lock of a host, who may take it, and which transaction waits: the programs with a real sh."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bsdcarp.hostlock import holder, lock_program, waits_program


def run(root: Path, words: str, *, steal: bool = False) -> str:
    head = f"R='{root}'\nOWNER='me@here since now'\nSTEAL={'yes' if steal else ''}\n"
    script = f"{head}{waits_program()}{lock_program()}{words}\n"
    done = subprocess.run(["/bin/sh", "-s"], input=script, capture_output=True, text=True, check=False, timeout=20)
    assert done.stderr == ""
    return done.stdout.strip()


def taken(root: Path, *, steal: bool = False) -> str:
    return run(root, 'if take "$R/run/lock" key; then echo ours; else echo "no $HOLDER"; fi', steal=steal)


def locked(root: Path, *, pid: object = None) -> Path:
    lock = root / "run/lock"
    lock.mkdir(parents=True)
    if pid is not None:
        (lock / "owner").write_text("joe@desk since noon\n")
        (lock / "pid").write_text(f"{pid}\n")
    return lock


@pytest.mark.parametrize("steal", [False, True])
def test_a_free_lock_is_taken_and_tells_whose_it_is(tmp_path: Path, steal: bool) -> None:
    assert taken(tmp_path, steal=steal) == "ours"
    lock = tmp_path / "run/lock"
    assert (lock / "owner").read_text() == "me@here since now\n"
    assert (lock / "tx").read_text() == "key\n"
    assert (lock / "pid").read_text().strip().isdecimal()


@pytest.mark.parametrize("steal", [False, True])
def test_a_process_that_lives_keeps_its_lock(tmp_path: Path, steal: bool) -> None:
    locked(tmp_path, pid=os.getpid())
    assert taken(tmp_path, steal=steal) == "no alive joe@desk since noon"


@pytest.mark.parametrize("pid", [99999999, "", "x; echo oops"])
def test_the_lock_of_a_process_that_is_gone_is_taken_by_whoever_says_so(tmp_path: Path, pid: object) -> None:
    lock = locked(tmp_path, pid=pid)
    assert taken(tmp_path) == "no gone joe@desk since noon"
    assert taken(tmp_path, steal=True) == "ours"
    assert (lock / "tx").read_text() == "key\n"


@pytest.mark.parametrize("steal", [False, True])
def test_a_lock_that_a_restart_emptied_is_nobodys(tmp_path: Path, steal: bool) -> None:
    locked(tmp_path)
    assert taken(tmp_path, steal=steal) == "ours"


def test_a_lock_that_cannot_be_written_has_no_holder(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way\n")
    assert taken(tmp_path) == "no"


@pytest.mark.parametrize(
    ("mark", "files", "waiting"),
    [
        ("tx-1", ("undo",), True),
        ("tx-1", ("undo", "outcome"), False),
        ("tx-1", ("outcome",), False),
        ("tx-1", (), False),
        ("", ("undo",), False),
        (None, ("undo",), False),
    ],
)
@pytest.mark.parametrize("state", ["/var/db/bsdcarp", "/var/lib/bsdcarp"])
def test_a_transaction_waits_while_it_is_armed_and_has_no_outcome(
    tmp_path: Path, state: str, mark: str | None, files: tuple[str, ...], waiting: bool
) -> None:
    here = tmp_path / state.strip("/") / "tx-1"
    here.mkdir(parents=True)
    for name in files:
        (here / name).write_text("x\n")
    if mark is not None:
        (here.parent / "pending").write_text(f"{mark}\n")
    said = run(tmp_path, 'if waits /var/db/bsdcarp /var/lib/bsdcarp; then echo "$WAITING"; else echo none; fi')
    assert said == ("tx-1" if waiting else "none")


def test_who_has_a_lock_is_told_with_what_can_be_done() -> None:
    assert holder("alive joe since noon") == "joe since noon, who is still at work: wait, it ends by itself"
    assert holder("gone joe") == "joe, but that process is gone: --steal-lock takes the lock away"
    assert holder("gone ").startswith("somebody, ")
