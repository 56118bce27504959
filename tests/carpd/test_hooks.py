"""The notify script: told everything, in order, and never waited for."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from operating import change, turn

from bsdcarp.carp import State
from bsdcarp.carpd.hooks import PARALLEL, Hooks, environment, problem_with
from bsdcarp.carpd.loop import Loop

if TYPE_CHECKING:
    Script = Callable[..., str]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Write an executable script and return its path.  It says how it ended by what it leaves in its directory."""
    # /tmp is root's and sticky, so the path passes the check on who may write there.
    tmp_path.chmod(0o755)

    def write(body: str, name: str = "notify", first: str = "#!/bin/sh") -> str:
        path = tmp_path / name
        path.write_text(f"{first}\ncd {tmp_path}\n{body}\n")
        path.chmod(0o755)
        return str(path)

    return write


class Bench:
    def __init__(self, limit: float) -> None:
        self.loop = Loop()
        self.lines: list[tuple[str, str]] = []
        self.hooks = Hooks(self.loop, lambda *line: self.lines.append(line), limit=limit)

    def finish(self) -> None:
        turn(self.loop, lambda: not self.hooks.busy)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(limit=10.0)
    yield made
    made.hooks.close()


def test_the_script_gets_the_words_of_devd_and_the_whole_environment(
    bench: Bench, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_DAEMON", "x")
    path = script('printf "%s\\n" "$0" "$@" >argv; env >environment; cat >stdin')
    bench.hooks.changed(path, change())
    bench.finish()
    assert (tmp_path / "argv").read_text().splitlines() == [path, "1@eth0", "MASTER"]
    found = dict(line.split("=", 1) for line in (tmp_path / "environment").read_text().splitlines())
    for added_by_sh in ("PWD", "OLDPWD", "_", "SHLVL"):
        found.pop(added_by_sh, None)
    assert found == environment(change())
    assert found["CARP_STATE"] == "MASTER"
    assert found["CARP_OLD_STATE"] == "BACKUP"
    assert found["CARP_ADDRESSES"] == "192.0.2.1/24 2001:db8::1/64"
    assert (tmp_path / "stdin").read_text() == ""
    assert bench.lines == []


def test_no_script_is_nothing_to_do(bench: Bench) -> None:
    bench.hooks.changed(None, change())
    assert not bench.hooks.busy


def test_there_is_no_shell_in_between(bench: Bench, script: Script, tmp_path: Path) -> None:
    path = script('printf "%s\\n" "$CARP_REASON" "$CARP_GROUP" >out', name="a script; touch broken #")
    bench.hooks.changed(path, change(reason="$(touch broken)", group="`touch broken`"))
    bench.finish()
    assert (tmp_path / "out").read_text() == "$(touch broken)\n`touch broken`\n"
    assert not (tmp_path / "broken").exists()


def test_changed_only_queues(bench: Bench, script: Script, tmp_path: Path) -> None:
    bench.hooks.changed(script("touch ran"), change())
    assert bench.hooks.busy
    assert not (tmp_path / "ran").exists()
    bench.finish()
    assert (tmp_path / "ran").exists()


def test_changes_of_one_vhid_are_told_in_order(bench: Bench, script: Script, tmp_path: Path) -> None:
    path = script('[ "$2" = INIT ] && sleep 0.2; echo "$2" >>order')
    for state in (State.INIT, State.BACKUP, State.MASTER, State.BACKUP):
        bench.hooks.changed(path, change(state))
    bench.finish()
    assert (tmp_path / "order").read_text().split() == ["INIT", "BACKUP", "MASTER", "BACKUP"]


def test_different_vhids_do_not_wait_for_each_other_but_only_so_many_run(
    bench: Bench, script: Script, tmp_path: Path
) -> None:
    path = script('touch "running.$CARP_VHID"; until [ -e go ]; do sleep 0.02; done; touch "done.$CARP_VHID"')
    for number in range(1, PARALLEL + 4):
        bench.hooks.changed(path, change(number=number))
    turn(bench.loop, lambda: len(list(tmp_path.glob("running.*"))) == PARALLEL)
    time.sleep(0.05)
    turn(bench.loop, lambda: True)
    assert len(list(tmp_path.glob("running.*"))) == PARALLEL
    (tmp_path / "go").touch()
    bench.finish()
    assert len(list(tmp_path.glob("done.*"))) == PARALLEL + 3


def test_a_script_that_is_far_behind_loses_the_oldest_changes(bench: Bench, script: Script, tmp_path: Path) -> None:
    path = script('echo "$CARP_REASON" >>reasons')
    for number in range(20):
        bench.hooks.changed(path, change(reason=str(number)))
    bench.finish()
    assert (tmp_path / "reasons").read_text().split() == [str(number) for number in range(4, 20)]
    assert bench.lines == [("warning", f"notify script not run, it is too far behind: {path} 1@eth0 MASTER")] * 4


def test_what_it_prints_is_logged_up_to_a_limit(bench: Bench, script: Script) -> None:
    path = script("echo one; echo two >&2; printf 'no newline'")
    bench.hooks.changed(path, change())
    bench.finish()
    assert bench.lines == [("info", f"{path}: {text}") for text in ("one", "two", "no newline")]
    bench.lines.clear()
    bench.hooks.changed(
        script("i=0; while [ $i -lt 5000 ]; do echo $i; i=$((i+1)); done; head -c 100000 /dev/zero"), change()
    )
    bench.finish()
    assert len(bench.lines) == 20


@pytest.mark.parametrize(
    ("body", "how"),
    [("exit 3", "exit status 3"), ("kill -TERM $$", "signal 15"), ("exec /nonexistent", "exit status 127")],
)
def test_a_bad_end_is_logged(bench: Bench, script: Script, body: str, how: str) -> None:
    path = script(body)
    bench.hooks.changed(path, change())
    bench.finish()
    assert bench.lines[-1] == ("warning", f"notify script ended with {how}: {path} 1@eth0 MASTER")


def test_a_script_that_the_kernel_cannot_run_is_told(bench: Bench, script: Script) -> None:
    path = script("", first="#!/nonexistent/interpreter")
    bench.hooks.changed(path, change())
    bench.finish()
    assert bench.lines == [
        ("info", f"{path}: cannot be run: No such file or directory"),
        ("warning", f"notify script ended with exit status 127: {path} 1@eth0 MASTER"),
    ]


def test_after_the_limit_it_is_killed_with_all_it_started(script: Script, tmp_path: Path) -> None:
    bench = Bench(limit=0.2)
    path = script("trap '' TERM; sleep 60 & echo $! >child; wait; sleep 60")
    bench.hooks.changed(path, change())
    bench.hooks.changed(script("touch next", name="next"), change())
    bench.finish()
    assert bench.lines == [("warning", f"notify script killed after 0.2 seconds: {path} 1@eth0 MASTER")]
    assert (tmp_path / "next").exists()
    turn(bench.loop, lambda: not Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/exe").exists())
    bench.hooks.close()


def test_what_it_leaves_in_the_background_goes_on_and_is_not_waited_for(
    bench: Bench, script: Script, tmp_path: Path
) -> None:
    path = script("(sleep 30; echo late) & echo $! >child; echo now")
    began = time.monotonic()
    bench.hooks.changed(path, change())
    bench.finish()
    assert time.monotonic() - began < 5
    child = int((tmp_path / "child").read_text())
    os.kill(child, 0)
    os.kill(child, signal.SIGKILL)
    assert bench.lines == [("info", f"{path}: now")]


def test_closing_kills_what_runs_and_forgets_what_waits(script: Script, tmp_path: Path) -> None:
    bench = Bench(limit=10)
    path = script("echo $$ >pid.new; mv pid.new pid; exec sleep 60")
    bench.hooks.changed(path, change())
    bench.hooks.changed(path, change())
    turn(bench.loop, (tmp_path / "pid").exists)
    bench.hooks.close()
    assert not bench.hooks.busy
    os.waitpid(int((tmp_path / "pid").read_text()), 0)
    turn(bench.loop, lambda: True)


def test_signals_of_the_daemon_are_not_the_scripts(bench: Bench, script: Script, tmp_path: Path) -> None:
    # Python ignores SIGPIPE; a blocked signal or an ignored one would be inherited.
    path = script(
        "grep -E '^Sig(Blk|Ign)' /proc/self/status >signals; umask >umask; ls -l /proc/self/fd >files",
        name="n",
    )
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        bench.hooks.changed(path, change())
        bench.finish()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    masks = [int(line.split()[1], 16) for line in (tmp_path / "signals").read_text().splitlines()]
    # The C library keeps signals 32 and 33 for itself, and whoever started the tests may ignore them.
    assert [mask & 0x7FFFFFFF for mask in masks] == [0, 0]
    assert (tmp_path / "umask").read_text().strip() == "0022"
    files = (tmp_path / "files").read_text()
    assert "socket:" not in files
    assert "epoll" not in files


def test_a_script_that_others_can_write_is_not_run(bench: Bench, script: Script, tmp_path: Path) -> None:
    path = script("touch ran")
    Path(path).chmod(0o777)
    bench.hooks.changed(path, change())
    bench.hooks.changed(path, change())
    bench.finish()
    assert not (tmp_path / "ran").exists()
    refused = ("info", f"{path}: not run: {path}: others than root can write to {path}; chmod go-w it")
    ended = ("warning", f"notify script ended with exit status 126: {path} 1@eth0 MASTER")
    assert bench.lines == [refused, ended] * 2


def test_a_fork_that_fails_is_told_and_the_next_one_is_tried(
    bench: Bench, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = os.fork, [1]

    def fork() -> int:
        if failures.pop() if failures else 0:
            raise OSError(11, "Resource temporarily unavailable")
        return real()

    monkeypatch.setattr(os, "fork", fork)
    path = script('echo "$2" >>states')
    bench.hooks.changed(path, change(State.MASTER))
    bench.hooks.changed(path, change(State.BACKUP))
    bench.finish()
    assert (tmp_path / "states").read_text() == "BACKUP\n"
    assert bench.lines == [("error", f"notify script not run: {path} 1@eth0 MASTER: Resource temporarily unavailable")]


def test_no_pipe_to_be_had_is_told_and_the_next_one_is_tried(
    bench: Bench, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = os.pipe2, [1]

    def pipe2(flags: int) -> tuple[int, int]:
        if failures.pop() if failures else 0:
            raise OSError(24, "Too many open files")
        return real(flags)

    monkeypatch.setattr(os, "pipe2", pipe2)
    path = script('echo "$2" >>states')
    bench.hooks.changed(path, change(State.MASTER))
    bench.hooks.changed(path, change(State.BACKUP))
    bench.finish()
    assert (tmp_path / "states").read_text() == "BACKUP\n"
    assert bench.lines == [("error", f"notify script not run: {path} 1@eth0 MASTER: Too many open files")]


def test_telling_costs_the_loop_next_to_nothing(bench: Bench, script: Script) -> None:
    # The fork is the only thing done at once; exec, the script and its end all happen beside the loop.
    path = script("sleep 0.3")
    worst, last = [0.0], [0.0]

    def tick() -> None:
        now = bench.loop.now()
        if last[0]:
            worst[0] = max(worst[0], now - last[0] - 0.001)
        last[0] = now
        bench.loop.call_later(0.001, tick)

    tick()
    for number in range(1, PARALLEL + 1):
        bench.hooks.changed(path, change(number=number))
    bench.finish()
    assert worst[0] < 0.25  # far below the 0.3 s of one script, far above a busy machine's noise


def test_a_good_script_has_no_problem(script: Script) -> None:
    assert problem_with(script("")) is None
    assert problem_with("/bin/sh") is None


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("notify", "notify: not an absolute path"),
        ("/nonexistent/x", "/nonexistent/x: No such file or directory"),
        ("/etc", "/etc: not a regular file"),
        ("/etc/passwd", "/etc/passwd: not executable by its owner; chmod 755 it"),
    ],
)
def test_a_bad_script_has_one(path: str, problem: str) -> None:
    assert problem_with(path) == problem


def test_the_directories_above_count_too(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    inner = tmp_path / "inner"
    inner.mkdir()
    path = inner / "x"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    link = tmp_path / "link"
    link.symlink_to(path)
    assert problem_with(str(link)) is None
    inner.chmod(0o777)
    assert problem_with(str(link)) == f"{link}: others than root can write to {inner}; chmod go-w it"
    inner.chmod(0o1777)
    assert problem_with(str(link)) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it gives a file away")
def test_a_script_of_somebody_else_has_a_problem(script: Script) -> None:
    path = script("")
    os.chown(path, 12345, -1)
    assert problem_with(path) == f"{path}: {path} belongs to uid 12345 and not to root"


def test_a_loop_of_links_has_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "a")
    assert "a: " in str(problem_with(str(tmp_path / "a")))
