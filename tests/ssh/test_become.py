"""Exec strings and dialogues of sudo, doas and su, without a host."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.errors import SshError
from bsdcarp.model import Secret
from bsdcarp.ssh import Become, Result, RunFailed
from bsdcarp.ssh.become import Invocation
from bsdcarp.ssh.marks import after
from bsdcarp.ssh.refusals import refusal

PASSWORD = Secret("hunter2")
ALL = [
    Become(),
    Become("sudo"),
    Become("doas"),
    Become("su"),
    Become("sudo", PASSWORD),
    Become("doas", PASSWORD),
    Become("su", PASSWORD),
]
TERMINAL = [Become("doas", PASSWORD), Become("su", PASSWORD)]


def invocation(become: Become, script: bytes = b"id\n") -> Invocation:
    return Invocation(become, script, mark="m" * 8, prompt="p" * 8)


def test_exec_strings_without_a_password_are_the_plain_ones() -> None:
    assert [invocation(become).command for become in ALL[:3]] == [
        "exec /bin/sh -s",
        "sudo -n /bin/sh -s",
        "doas -n /bin/sh -s",
    ]


@pytest.mark.parametrize("become", ALL, ids=repr)
def test_exec_strings_have_nothing_that_csh_reads_otherwise(become: Become) -> None:
    command = invocation(become).command
    assert not re.search(r"[$!`\\\n~*?\[\]{}^]", command)
    # Redirections and pipes only inside quotes, for /bin/sh to see.
    assert not re.search(r"[<>|;&]", re.sub(r"'[^']*'", "", command))
    assert "hunter2" not in command


def test_a_password_for_no_method_is_not_used() -> None:
    assert invocation(Become("none", PASSWORD)).command == "exec /bin/sh -s"
    assert not invocation(Become("none", PASSWORD)).waits


def test_markers_are_fresh_each_time() -> None:
    marks = {Become("sudo", PASSWORD).invocation(b"").mark for _ in range(10)}
    assert len(marks) == 10


@pytest.mark.parametrize("password", ["two\nlines", "nul\0", "cr\r", "eof\x04", "kill\x15", "erase\x7f"])
def test_a_password_no_prompt_could_take_is_refused(password: str) -> None:
    with pytest.raises(SshError) as caught:
        Become("sudo", Secret(password))
    assert password not in f"{caught.value}"


def test_a_password_is_not_shown() -> None:
    assert "hunter2" not in repr(Become("sudo", PASSWORD))
    assert "hunter2" not in repr(Become("sudo", PASSWORD).invocation(b""))


def test_sudo_gets_the_password_once_and_only_at_its_prompt() -> None:
    run = invocation(Become("sudo", PASSWORD))
    assert run.reply(b"", b"We trust you have received the usual lecture\n") == b""
    assert run.reply(b"", b"lecture\npppppppp") == b"hunter2\n"
    assert run.reply(b"", b"lecture\npppppppp") == b""
    assert run.reply(b"noise\nmmmmmmmm\n", b"lecture\npppppppp") is None


def test_a_message_that_quotes_the_command_is_not_the_ready_mark() -> None:
    run = invocation(Become("doas", PASSWORD))
    assert run.reply(b"doas: not allowed: /bin/sh -c echo mmmmmmmm; exec\r\n", b"") == b""


@pytest.mark.parametrize(
    ("said", "follows"),
    [
        (b"mmmmmmmm\nrest", b"rest"),
        (b"noise\nmmmmmmmm\r\nrest\nmmmmmmmm\n", b"rest\nmmmmmmmm\n"),
        (b"xmmmmmmmm\nmmmmmmmm is quoted\nmmmmmmmm\n", b""),
        (b"mmmmmmmm", None),
        (b"xmmmmmmmm\n", None),
        (b"", None),
    ],
)
def test_a_mark_is_a_whole_line(said: bytes, follows: bytes | None) -> None:
    assert after("m" * 8, said) == follows


def test_sudo_asking_again_is_a_refusal() -> None:
    run = invocation(Become("sudo", PASSWORD))
    run.reply(b"", b"pppppppp")
    with pytest.raises(SshError, match="the become password was refused by sudo: Sorry, try again"):
        run.reply(b"", b"pppppppp\nSorry, try again.\npppppppp")


@pytest.mark.parametrize("prompt", ["Password:", "Password for root: ", "\rdoas (op@host) password: ", "密码："])  # noqa: RUF001  # as su prints it
def test_a_terminal_prompt_is_answered_once(prompt: str) -> None:
    run = invocation(Become("su", PASSWORD))
    assert run.reply(b"welcome\r\n", b"") == b""
    assert run.reply(b"welcome\r\n" + prompt.encode(), b"") == b"hunter2\n"
    assert run.reply(b"welcome\r\n" + prompt.encode(), b"") == b""
    assert run.reply(b"welcome\r\n" + prompt.encode() + b"\r\n", b"") == b""
    assert run.reply(b"welcome\r\n" + prompt.encode() + b"\r\n\nmmmmmmmm\n", b"") is None
    with pytest.raises(SshError, match="refused by su"):
        run.reply(b"welcome\r\n" + prompt.encode() + b"\r\nSorry\r\n" + prompt.encode(), b"")


def test_su_without_a_password_says_so() -> None:
    with pytest.raises(SshError, match="su asks for a password and none was given"):
        invocation(Become("su")).reply(b"Password:", b"")


def test_the_password_is_taken_out_of_what_is_quoted() -> None:
    run = invocation(Become("su", PASSWORD))
    run.reply(b"Password:", b"")
    with pytest.raises(SshError) as caught:
        run.result(b"Password:hunter2\r\nsu: hunter2 is not it\r\n", b"", 1)
    assert "su: ******** is not it" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("become", [Become("su", PASSWORD), Become("sudo", PASSWORD)], ids=repr)
def test_a_shell_that_was_there_and_is_gone_may_have_acted(become: Become) -> None:
    with pytest.raises(RunFailed, match="root's shell ended before the script did") as caught:
        invocation(become).result(b"\nmmmmmmmm\nsome output", b"", 137)
    assert caught.value.sent


def test_a_refusal_with_nothing_said() -> None:
    assert "nothing was said" in str(refusal("sudo", "", asked=False))
    assert "did not start root's shell: odd" in str(refusal("doas", "odd\n", asked=False))


SHELLS = ["/bin/sh", *filter(None, [shutil.which("tcsh"), shutil.which("bash"), shutil.which("zsh")])]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("become", [Become(), Become("sudo"), Become("doas"), Become("sudo", PASSWORD)], ids=repr)
def test_a_script_gets_through_any_login_shell(tmp_path: Path, shell: str, become: Become) -> None:
    """With stand-ins that ask nothing: what is tested is the exec string and the markers."""
    for name in ("sudo", "doas"):
        stand_in = tmp_path / name
        stand_in.write_text(
            '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do [ "$1" = -p ] && shift; shift; done\nexec "$@"\n'
        )
        stand_in.chmod(0o755)
    run = invocation(become, b"echo out; echo err >&2; exit 7")
    done = subprocess.run(
        [shell, "-c", run.command],
        input=run.payload,
        capture_output=True,
        check=False,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert run.result(b"noise" + done.stdout, b"noise" + done.stderr, done.returncode) == Result(7, b"out\n", b"err\n")


def through_a_terminal(shell: str, directory: Path, script: bytes) -> tuple[Invocation, bytes]:
    """Run ``script`` by ``su`` on a pseudo-terminal as the exchange would, with a stand-in for su that asks nothing."""
    stand_in = directory / "su"
    stand_in.write_text(f'#!/bin/sh\nexec {shell} -c "$3"\n')
    stand_in.chmod(0o755)
    run = invocation(Become("su"), script)
    near, far = pty.openpty()
    said = bytearray()
    environ = {"PATH": f"{directory}:/usr/bin:/bin", "HOME": str(directory)}
    with subprocess.Popen(
        [shell, "-c", run.command], stdin=far, stdout=far, stderr=far, env=environ, start_new_session=True
    ) as process:
        os.close(far)
        try:
            while run.reply(bytes(said), b"") is not None:
                said += os.read(near, 65536)
            writer = threading.Thread(target=_write_all, args=(near, run.payload))
            writer.start()
            try:
                while data := os.read(near, 65536):
                    said += data
            except OSError:
                pass  # Linux: the other side is closed
            writer.join()
        finally:
            process.kill()
            os.close(near)
    return run, bytes(said)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view[:1024]) :]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_terminal_keeps_every_byte_and_both_outputs_apart(tmp_path: Path, shell: str) -> None:
    octal = b"".join(b"\\%03o" % byte for byte in range(256))
    every = bytes(range(1, 256)).replace(b"\n", b"")
    script = b"cat <<'END'\n" + every + b"\nEND\nprintf '" + octal + b"'; printf '" + octal[4:] + b"' >&2; exit 9"
    run, said = through_a_terminal(shell, tmp_path, script)
    assert run.result(said, b"", 0) == Result(9, every + b"\n" + bytes(range(256)), bytes(range(1, 256)))


def test_a_large_script_through_a_terminal(tmp_path: Path) -> None:
    run, said = through_a_terminal("/bin/sh", tmp_path, b"# " + b"x" * 100_000 + b"\necho end\n")
    assert run.result(said, b"", 0) == Result(0, b"end\n", b"")


@given(st.binary(), st.binary(), st.integers(0, 255))
def test_what_comes_through_a_terminal_is_taken_apart_exactly(out: bytes, err: bytes, status: int) -> None:
    run = invocation(Become("su"))
    said = b"noise\r\n\nmmmmmmmm\n" + out + b"mmmmmmmme\n" + err + b".%d" % status + b"\nmmmmmmmms\n"
    assert run.result(said, b"", 0) == Result(status, out, err)


@given(st.binary(), st.binary())
def test_nothing_a_host_says_breaks_the_dialogue(out: bytes, err: bytes) -> None:
    for become in ALL:
        run = invocation(become)
        for step in (out[: len(out) // 2], out):
            try:
                assert run.reply(step, err) in {None, b"", b"hunter2\n"}
            except SshError:
                break
        else:
            with pytest.raises(SshError):
                run.result(out, err, 1)
