"""The login shell of a simulated host: csh's refusals, with a real csh and with the imitation."""

from __future__ import annotations

import shutil
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.lab.shell import find_csh, login, startup_noise, translate

TCSH = shutil.which("tcsh")
needs_tcsh = pytest.mark.skipif(TCSH is None, reason="tcsh is not installed")
both = pytest.mark.parametrize(
    "csh", [pytest.param(TCSH, marks=needs_tcsh, id="tcsh"), pytest.param(None, id="imitation")]
)


def run(command: str, csh: str | None, where: Path, shell: str = "csh") -> tuple[int, str, str]:
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(where), "USER": "root"}
    start = login("sh" if shell == "sh" else "csh", command, environ, csh)
    done = subprocess.run(
        start.argv,
        executable=start.executable,
        env=environ,
        cwd=where,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout, done.stderr


REFUSED = [
    ("ls >/dev/null 2>&1", "Ambiguous output redirect.\n"),
    ("cat </dev/null </dev/null", "Ambiguous input redirect.\n"),
    ("echo a > /dev/null | cat", "Ambiguous output redirect.\n"),
    ("cat | cat </dev/null", "Ambiguous input redirect.\n"),
    ("echo $(id)", "Illegal variable name.\n"),
    ('echo ok; echo "$(id)"', "Illegal variable name.\n"),
    ("echo $((1+1))", "Illegal variable name.\n"),
    ("echo $@", "Illegal variable name.\n"),
    ("echo ${HOME:-a}", "Bad : modifier in $ '-'.\n"),
    ("echo ${HOME-a}", "Missing '}'.\n"),
    ("echo $NOWHERE", "NOWHERE: Undefined variable.\n"),
    ("echo ${NOWHERE}", "NOWHERE: Undefined variable.\n"),
    ("LC_ALL=C true", "LC_ALL=C: Command not found.\n"),
    ("X=`id -u`", None),
    ("export X=1", "export: Command not found.\n"),
    ("no-such-command", "no-such-command: Command not found.\n"),
    ("f() { true; }", "Badly placed ()'s.\n"),
    ("echo a (b)", "Badly placed ()'s.\n"),
    ("(echo a) b", "Badly placed ()'s.\n"),
    ("( echo a", "Too many ('s.\n"),
    ("echo a )", "Too many )'s.\n"),
    ("()", "Invalid null command.\n"),
    ("| cat", "Invalid null command.\n"),
    ("echo a |", "Invalid null command.\n"),
    ("echo a &&", "Invalid null command.\n"),
    (">/dev/null", "Invalid null command.\n"),
    ("echo >", "Missing name for redirect.\n"),
    ("echo 'a", "Unmatched '''.\n"),
    ('echo "a', "Unmatched '\"'.\n"),
    ("echo `a", "Unmatched '`'.\n"),
    ("echo 'what!now'", "now: Event not found.\n"),
]


@both
@pytest.mark.parametrize(("command", "complaint"), REFUSED)
def test_csh_refuses_what_only_sh_understands(
    command: str, complaint: str | None, csh: str | None, tmp_path: Path
) -> None:
    status, _, stderr = run(command, csh, tmp_path)
    assert status == 1
    if complaint is not None:
        assert stderr == complaint


ACCEPTED = [
    ("/bin/sh -s -- a", 0, ""),
    ("echo `echo a` $HOME/x $user", 0, "a {home}/x root\n"),
    ("echo \"${HOME}\" '$HOME' \\$HOME $", 0, "{home} $HOME $HOME $\n"),
    ("test -f /nowhere && echo yes || echo no", 0, "no\n"),
    ("no-such-command || echo other; exit 3", 3, "other\n"),
    ("(echo a; echo b) > out; cat out", 0, "a\nb\n"),
    ("echo a >>& out; echo b >> out; cat < out", 0, "a\nb\n"),
    ("sh -c 'echo err >&2' |& cat", 0, "err\n"),
    ("sh -c 'exit 7'; echo $status $?HOME $?NOWHERE ${?NOWHERE}", 0, "7 1 0 0\n"),
    ("echo a # not this", 0, "a\n"),
    ("echo yes! a\\!b", 0, "yes! a!b\n"),
    (";; echo a ;", 0, "a\n"),
    ("", 0, ""),
    ("sh -c 'echo $0 $#' x y", 0, "x 1\n"),
    ("echo a\necho b", 0, "a\nb\n"),
    ("echo before; echo $NOWHERE; echo after", 1, "before\n"),
]


@both
@pytest.mark.parametrize(("command", "status", "output"), ACCEPTED)
def test_csh_runs_what_it_understands(command: str, status: int, output: str, csh: str | None, tmp_path: Path) -> None:
    assert run(command, csh, tmp_path)[:2] == (status, output.format(home=tmp_path))


@both
def test_two_and_one_is_a_file_called_1_to_csh(csh: str | None, tmp_path: Path) -> None:
    assert run("echo a 2>&1", csh, tmp_path) == (0, "", "")
    assert (tmp_path / "1").read_text() == "a 2\n"


def test_sh_gets_the_command_as_it_is(tmp_path: Path) -> None:
    assert run("X=1 sh -c 'echo $X' 2>&1; echo $(echo b)", None, tmp_path, shell="sh") == (0, "1\nb\n", "")


@needs_tcsh
def test_a_real_csh_is_preferred() -> None:
    assert find_csh() == TCSH
    assert login("csh", "true", {}, TCSH).argv == ("csh", "-c", "true")


def test_noise_is_what_plain_echo_lines_print() -> None:
    assert (
        startup_noise("# hello\nset path = (/bin)\necho 'Welcome  here'\n echo \"a\"\necho b c\n")
        == "Welcome  here\na\nb c\n"
    )


@given(st.text(alphabet=string.printable, max_size=40))
def test_any_command_becomes_a_text_that_sh_can_be_given(command: str) -> None:
    assert isinstance(translate(command, {"HOME": "/root"}, lambda name: name == "echo"), str)
