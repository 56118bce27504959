"""Scripts that share one shell, against a real sshd."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sshd_peer import TIMEOUT, Sshd, StartSshd, TargetFor, needs_sshd

from bsdcarp.model import Secret
from bsdcarp.ssh import Become, Result, RunFailed, Session, connect, exchange

pytestmark = needs_sshd


@pytest.fixture
def session(shared_sshd: Sshd, target_for: TargetFor) -> Iterator[Session]:
    with connect(target_for(shared_sshd)) as session:
        yield session


def run(session: Session, script: str, timeout: float = TIMEOUT) -> Result:
    return session.run(script.encode(), timeout=timeout, lasting=True)


def test_they_have_one_process_and_their_own_outputs(session: Session) -> None:
    said = [run(session, f"echo $$; echo {number} >&2; (exit {number})\n") for number in range(4)]
    assert len({result.stdout for result in said}) == 1
    assert [(r.status, r.stderr) for r in said] == [(n, f"{n}\n".encode()) for n in range(4)]


def test_options_traps_and_field_separators_do_not_outlive_a_script(session: Session) -> None:
    run(session, "set -fC; IFS=:; trap '' TERM HUP INT PIPE\n")
    result = run(session, "case $- in *[fC]*) echo options ;; esac; x='a b'; set -- $x; echo $#; trap\n")
    assert result.stdout == b"2\n"


def test_one_that_exits_ends_the_shell_and_the_next_has_a_new_one(session: Session) -> None:
    first = run(session, "echo $$\n").stdout
    assert run(session, "echo bye; exit 3\n") == Result(3, b"bye\n", b"")
    assert run(session, "echo $$\n").stdout != first


def test_one_that_sh_cannot_read_ends_the_shell_and_says_so(session: Session) -> None:
    result = run(session, "echo before\nif then\n")
    assert result.status == 2
    assert b"yntax error" in result.stderr
    assert run(session, "echo after\n").stdout == b"after\n"


def test_large_outputs_without_a_last_newline_arrive_whole(session: Session) -> None:
    big = "head -c 3000000 /dev/zero & head -c 2000000 /dev/zero >&2; wait; (exit 9)\n"
    for _ in range(2):
        result = run(session, big)
        assert (result.status, len(result.stdout), len(result.stderr)) == (9, 3000000, 2000000)


def test_scripts_with_a_shell_of_their_own_may_come_between(session: Session) -> None:
    run(session, ":\n")
    assert session.run(b"echo between; exit 4\n", timeout=TIMEOUT) == Result(4, b"between\n", b"")
    assert run(session, "echo later\n").stdout == b"later\n"


def test_a_time_limit_ends_it_and_says_that_it_was_sent(session: Session) -> None:
    run(session, ":\n")
    with pytest.raises(RunFailed, match=r"no answer within 0\.3 s") as caught:
        run(session, "sleep 5\n", timeout=0.3)
    assert caught.value.sent


def test_what_a_process_left_behind_writes_late_is_in_nobodys_way(session: Session, tmp_path: Path) -> None:
    go = tmp_path / "go"
    run(session, f"(while [ ! -e '{go}' ]; do sleep 0.05; done; echo late; echo late >&2) &\n")
    go.touch()
    time.sleep(0.5)
    assert run(session, "echo mine; echo mine >&2\n") == Result(0, b"mine\n", b"mine\n")


def test_outputs_that_something_joins_on_the_way_do_not_keep_us(
    start_sshd: StartSshd, target_for: TargetFor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LINGER_SECONDS", 0.3)
    joined = tmp_path / "joined"
    joined.write_text('#!/bin/sh\nexec 2>&1\neval "$SSH_ORIGINAL_COMMAND"\n')
    joined.chmod(joined.stat().st_mode | stat.S_IXUSR)
    with connect(target_for(start_sshd(f"ForceCommand {joined}"))) as session:
        for _ in range(2):
            result = run(session, "echo out; (exit 6)\n", timeout=5)
            assert result.status == 6
            assert b"\nout\n" in result.stdout


def test_become_decides_whether_a_shell_can_stay() -> None:
    assert Become().lasts
    assert Become("sudo").lasts
    assert Become("doas").lasts
    assert not Become("sudo", Secret("x")).lasts
    assert not Become("su", Secret("x")).lasts
    assert not Become("su").lasts
