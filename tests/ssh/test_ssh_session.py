"""A session against a real sshd: scripts, outputs, time limits, loss."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sshd_peer import TIMEOUT, Sshd, StartSshd, TargetFor, needs_sshd

from bsdcarp.ssh import RunFailed, Session, connect, exchange

pytestmark = needs_sshd


@pytest.fixture
def session(shared_sshd: Sshd, target_for: TargetFor) -> Iterator[Session]:
    with connect(target_for(shared_sshd)) as session:
        yield session


def test_a_script_gives_status_and_both_outputs(session: Session) -> None:
    result = session.run(b"echo out; echo err >&2; exit 7\n", timeout=TIMEOUT)
    assert (result.status, result.stdout, result.stderr) == (7, b"out\n", b"err\n")


def test_three_scripts_share_one_connection(session: Session) -> None:
    said = [session.run(b'echo "$SSH_CONNECTION"\n', timeout=TIMEOUT).stdout for _ in range(3)]
    assert len(set(said)) == 1


def test_the_script_is_an_input_that_ends(session: Session) -> None:
    assert session.run(b"cat\nthis goes through cat", timeout=TIMEOUT).stdout in {b"", b"this goes through cat"}
    assert session.run(b"", timeout=TIMEOUT).status == 0


def test_every_byte_arrives_and_comes_back(session: Session) -> None:
    every = bytes(range(1, 256)).replace(b"\n", b"")
    octal = b"".join(b"\\%03o" % byte for byte in range(256))
    script = b"cat <<'END'\n" + every + b"\nEND\nprintf '" + octal + b"' >&2\n"
    result = session.run(script, timeout=TIMEOUT)
    assert (result.stdout, result.stderr) == (every + b"\n", bytes(range(256)))


def test_several_megabytes_on_both_outputs_do_not_block(session: Session) -> None:
    big = b"head -c 6000000 /dev/zero & head -c 5000000 /dev/zero >&2; wait; exit 4\n"
    result = session.run(big, timeout=TIMEOUT)
    assert (result.status, len(result.stdout), len(result.stderr)) == (4, 6000000, 5000000)


def test_a_script_larger_than_the_window_that_writes_all_the_time_does_not_block(session: Session) -> None:
    # More than sshd's 2 MiB window in either direction before the other side has been read.
    line = b": " + b"x" * 4000 + b"; echo " + b"y" * 4000 + b"\n"
    result = session.run(line * 700, timeout=TIMEOUT)
    assert (result.status, len(result.stdout)) == (0, 700 * 4001)


def test_a_shell_that_ends_before_it_has_read_everything_gives_its_status(session: Session) -> None:
    result = session.run(b"echo early; exit 3\n" + b"# never read\n" * 300_000, timeout=TIMEOUT)
    assert (result.status, result.stdout) == (3, b"early\n")


def test_a_signal_shows_in_the_status(session: Session) -> None:
    result = session.run(b"echo before; kill -9 $$\n", timeout=TIMEOUT)
    # A login shell that waits for /bin/sh instead of becoming it makes a number of it.
    assert result.status in {-1, 128 + 9}
    assert result.stdout == b"before\n"


def test_what_the_login_shell_says_first_is_not_the_scripts(start_sshd: StartSshd, target_for: TargetFor) -> None:
    server = start_sshd('ForceCommand echo noise; printf more; echo noise >&2; exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"')
    with connect(target_for(server)) as session:
        result = session.run(b"echo out; echo err >&2\n", timeout=TIMEOUT)
    assert (result.stdout, result.stderr) == (b"out\n", b"err\n")


def test_a_login_that_runs_no_commands_is_an_error(start_sshd: StartSshd, target_for: TargetFor) -> None:
    server = start_sshd("ForceCommand echo 'This account is currently not available.'; exit 1")
    with connect(target_for(server)) as session, pytest.raises(RunFailed) as caught:
        session.run(b"echo out\n", timeout=TIMEOUT)
    assert "the login shell did not start /bin/sh: " in str(caught.value)
    assert "This account is currently not available." in str(caught.value)
    assert not caught.value.sent


def test_a_daemon_that_keeps_the_outputs_does_not_keep_us(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "LINGER_SECONDS", 0.5)
    began = time.monotonic()
    result = session.run(b"sleep 15 & echo started $!; exit 5\n", timeout=TIMEOUT)
    assert time.monotonic() - began < 10
    assert result.status == 5
    session.run(b"kill " + result.stdout.split()[1] + b"\n", timeout=TIMEOUT)


def test_outputs_closed_early_do_not_end_the_wait(session: Session) -> None:
    assert session.run(b"exec >&- 2>&-; sleep 0.3; exit 6\n", timeout=TIMEOUT).status == 6


def test_a_time_limit_ends_the_session_and_says_that_the_script_was_sent(session: Session) -> None:
    began = time.monotonic()
    with pytest.raises(RunFailed, match=r"server1: no answer within 1.5 s \(the script may still") as caught:
        session.run(b"sleep 30\n", timeout=1.5)
    assert caught.value.sent
    assert time.monotonic() - began < 5
    with pytest.raises(RunFailed, match="connection was lost") as again:
        session.run(b"echo\n", timeout=TIMEOUT)
    assert not again.value.sent


def test_a_connection_lost_in_the_middle_says_that_the_script_was_sent(
    start_sshd: StartSshd, target_for: TargetFor
) -> None:
    with connect(target_for(start_sshd())) as session, pytest.raises(RunFailed, match="connection was lost") as caught:
        # The parent is sshd, or the login shell whose parent is; a server of our own, since it may hit the listener.
        session.run(b"kill -9 $PPID $(ps -o ppid= -p $PPID); sleep 20\n", timeout=TIMEOUT)
    assert caught.value.sent


def test_closing_from_another_thread_ends_a_run(session: Session, tmp_path: Path) -> None:
    started = tmp_path / "started"

    def close() -> None:
        while not started.exists():
            time.sleep(0.01)
        session.close()

    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises(RunFailed) as caught:
        session.run(f": >{started}; sleep 30\n".encode(), timeout=TIMEOUT)
    closer.join()
    assert caught.value.sent


def test_a_host_that_sends_without_end_is_cut_off(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "OUTPUT_LIMIT", 100_000)
    with pytest.raises(RunFailed, match="sent more than 100000 bytes"):
        session.run(b"cat /dev/zero\n", timeout=TIMEOUT)


def test_a_frozen_host_is_given_up_even_while_it_takes_no_bytes(
    start_sshd: StartSshd, target_for: TargetFor, tmp_path: Path
) -> None:
    server = start_sshd("MaxSessions 1")
    with connect(target_for(server)) as session:
        pid = session.run(b"cat /proc/$PPID/status | sed -n 's/^Pid:.//p'\n", timeout=TIMEOUT).stdout
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, check=True
        ).stdout.split()
        stopped = [int(child) for child in {*children, pid.strip()} if child]
        for child in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, 19)
        try:
            began = time.monotonic()
            with pytest.raises(RunFailed, match=r"no answer within 0\.5 s"):
                session.run(b"# more than any buffer\n" * 1_000_000, timeout=0.5)
            assert time.monotonic() - began < 8
        finally:
            for child in stopped:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, 18)


def test_new_keys_in_the_middle_do_not_disturb(start_sshd: StartSshd, target_for: TargetFor) -> None:
    with connect(target_for(start_sshd("RekeyLimit 300K"))) as session:
        result = session.run(b": " + b"x" * 700_000 + b"\nhead -c 3000000 /dev/zero\n", timeout=TIMEOUT)
    assert (result.status, len(result.stdout)) == (0, 3000000)


def test_a_system_without_quick_acknowledgements_will_do(
    shared_sshd: Sshd, target_for: TargetFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "TCP_QUICKACK", raising=False)
    with connect(target_for(shared_sshd)) as session:
        assert session.run(b"echo here\n", timeout=TIMEOUT).stdout == b"here\n"


def test_sessions_refused_are_named(start_sshd: StartSshd, target_for: TargetFor) -> None:
    server = start_sshd("MaxSessions 0")
    with connect(target_for(server)) as session, pytest.raises(RunFailed, match="sshd opens no session"):
        session.run(b"echo\n", timeout=TIMEOUT)


def test_an_interpreter_ends_at_once_although_nobody_closed(
    shared_sshd: Sshd, target_for: TargetFor, keys: Path
) -> None:
    target = target_for(shared_sshd)
    program = f"""\
from pathlib import Path, PosixPath
from bsdcarp.ssh import SshTarget, connect
session = connect({target!r})
print(session.run(b"echo here", timeout=20).stdout)
"""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert (done.stdout, done.stderr) == (b"b'here\\n'\n", b"")
    assert time.monotonic() - began < 10


def test_a_refused_host_key_does_not_delay_the_interpreters_end(shared_sshd: Sshd, target_for: TargetFor) -> None:
    target = target_for(shared_sshd, known=False)
    program = f"""\
from pathlib import Path, PosixPath
from bsdcarp.errors import SshError
from bsdcarp.ssh import SshTarget, connect
try:
    connect({target!r})
except SshError as error:
    print(error)
"""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert b"is not known" in done.stdout
    assert done.stderr == b""
    assert time.monotonic() - began < 10


def test_importing_and_resolving_leave_paramiko_alone() -> None:
    program = """\
import sys
from bsdcarp.ssh import Become, connect, resolve
resolve("server1", "192.0.2.1")
print([name for name in sys.modules if name.split(".")[0] in {"paramiko", "cryptography", "nacl"}])
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"[]\n"
