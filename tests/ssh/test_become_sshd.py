"""Becoming root on a real sshd with the real sudo, doas and su, login shells included."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import private_etc
import pytest
from private_etc import PASSWORD, ROOT_PASSWORD, PrivateEtc
from sshd_peer import TIMEOUT, Sshd, TargetFor, needs_sshd

from bsdcarp.errors import SshError
from bsdcarp.model import Secret
from bsdcarp.ssh import Become, Result, RunFailed, connect

pytestmark = [
    needs_sshd,
    pytest.mark.skipif(bool(private_etc.unavailable()), reason=private_etc.unavailable() or "available"),
]

TCSH = shutil.which("tcsh") or ""
SHELLS = [
    "/bin/sh",
    pytest.param(TCSH, marks=pytest.mark.skipif(not TCSH, reason="tcsh is not installed")),
]
ASKS = PrivateEtc(sudoers="op ALL=(ALL) ALL", doas="permit op")
FREE = PrivateEtc(sudoers="op ALL=(ALL) NOPASSWD: ALL", doas="permit nopass op")
NOTHING = PrivateEtc()
WITH_PASSWORD = [
    Become("sudo", Secret(PASSWORD)),
    Become("doas", Secret(PASSWORD)),
    Become("su", Secret(ROOT_PASSWORD)),
]

Run = Callable[..., Result]


def installed(become: Become) -> None:
    if become.method != "none" and shutil.which(become.method) is None:
        pytest.skip(f"{become.method} is not installed")


@pytest.fixture
def run(tmp_path: Path, keys: Path, target_for: TargetFor) -> Iterator[Run]:
    """``run(etc, become, script, user="op")`` on a server of its own."""
    servers: list[Sshd] = []

    def run(etc: PrivateEtc, become: Become, script: bytes = b"id -u\n", user: str = "op") -> Result:
        installed(become)
        server = etc.start(tmp_path / f"etc{len(servers)}", keys)
        servers.append(server)
        with connect(target_for(server, user=user)) as session:
            return session.run(script, timeout=TIMEOUT, become=become)

    yield run
    for server in servers:
        server.stop()


EVERY_BYTE = bytes(range(1, 256))
# Octal escapes in the script; the bytes themselves in what comes back.
ECHO_BYTES = b"printf '" + b"".join(b"\\%03o" % byte for byte in range(256)) + b"'\n"
WHO = b"id -u; echo err >&2; exit 7\n"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("become", [Become(), Become("sudo"), Become("doas"), *WITH_PASSWORD], ids=repr)
def test_the_script_runs_as_it_should_under_either_shell(run: Run, shell: str, become: Become) -> None:
    etc = ASKS if become.password else FREE
    result = run(PrivateEtc(login_shell=shell, root_shell=shell, sudoers=etc.sudoers, doas=etc.doas), become, WHO)
    assert result == Result(7, b"40001\n" if become.method == "none" else b"0\n", b"err\n")


@pytest.mark.parametrize("become", [Become("sudo"), *WITH_PASSWORD], ids=repr)
def test_bytes_come_and_go_unchanged(run: Run, become: Become) -> None:
    script = b"cat <<'END'\n" + EVERY_BYTE.replace(b"\n", b"") + b"\nEND\n" + ECHO_BYTES + b"printf 'no end of line'"
    result = run(ASKS if become.password else FREE, become, script)
    assert result.stdout == EVERY_BYTE.replace(b"\n", b"") + b"\n" + bytes(range(256)) + b"no end of line"
    assert result.stderr == b""


@pytest.mark.parametrize("become", WITH_PASSWORD, ids=repr)
def test_large_scripts_and_outputs_do_not_block(run: Run, become: Become) -> None:
    comment = b"# " + b"x" * 998 + b"\n"
    script = comment * 100 + b"head -c 2000000 /dev/zero | tr '\\0' o; head -c 1000000 /dev/zero | tr '\\0' e >&2\n"
    result = run(ASKS, become, script + comment * 50 + b"exit 3\n")
    assert (result.status, len(result.stdout), len(result.stderr)) == (3, 2000000, 1000000)
    assert set(result.stdout) == {ord("o")}
    assert set(result.stderr) == {ord("e")}


@pytest.mark.parametrize("become", [Become("sudo"), *WITH_PASSWORD], ids=repr)
@pytest.mark.parametrize("script", [b"", b"cat", b"read line; echo unreached"], ids=repr)
def test_the_scripts_input_ends_with_the_script(run: Run, become: Become, script: bytes) -> None:
    result = run(ASKS if become.password else FREE, become, script)
    assert (result.stdout.strip(b"\n"), result.stderr) == (b"unreached" if b"read" in script else b"", b"")


@pytest.mark.parametrize("become", [Become("sudo", Secret(PASSWORD)), Become("doas", Secret(PASSWORD))], ids=repr)
def test_a_password_that_nobody_asks_for_goes_nowhere(run: Run, become: Become) -> None:
    # Were it sent all the same, the shell would run it.
    become = Become(become.method, Secret("echo stolen"))
    assert run(FREE, become, b"cat; echo done\n") == Result(0, b"done\n", b"")


def test_su_for_root_needs_no_password(run: Run) -> None:
    assert run(NOTHING, Become("su"), WHO, user="root") == Result(7, b"0\n", b"err\n")


@pytest.mark.parametrize("become", WITH_PASSWORD, ids=repr)
def test_a_wrong_password_is_one_clear_error(run: Run, become: Become, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    with pytest.raises(RunFailed, match=f"the become password was refused by {become.method}") as caught:
        run(ASKS, Become(become.method, Secret("not this one")))
    assert isinstance(caught.value, SshError)
    assert caught.value.sent is False
    assert caught.value.remedy
    seen = f"{caught.value}{caught.value!r}{caught.value.__cause__}{caplog.text}"
    assert "not this one" not in seen


@pytest.mark.parametrize(
    ("etc", "become", "cause"),
    [
        (ASKS, Become("sudo"), "sudo asks for a password"),
        (ASKS, Become("doas"), "doas asks for a password"),
        (ASKS, Become("su"), "su asks for a password and none was given"),
        (NOTHING, Become("sudo", Secret(PASSWORD)), "sudo does not let this user become root"),
        (NOTHING, Become("doas"), "doas does not let this user become root"),
        (
            PrivateEtc(sudoers="Defaults requiretty\nop ALL=(ALL) NOPASSWD: ALL"),
            Become("sudo"),
            "insists on a terminal",
        ),
        (PrivateEtc(login_shell="/usr/sbin/nologin"), Become(), "did not start /bin/sh: This account is"),
        (PrivateEtc(sshd=("PermitTTY no",)), Become("su", Secret(PASSWORD)), "refuses to run a terminal"),
    ],
    ids=repr,
)
def test_what_stands_in_the_way_is_named(run: Run, etc: PrivateEtc, become: Become, cause: str) -> None:
    with pytest.raises(RunFailed, match=cause) as caught:
        run(etc, become)
    assert caught.value.sent is False or not become.password
    assert caught.value.place == "server1"
    assert caught.value.remedy


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("become", [Become("sudo"), Become("sudo", Secret(PASSWORD)), Become("doas")], ids=repr)
def test_a_missing_command_is_named(run: Run, shell: str, become: Become) -> None:
    with pytest.raises(RunFailed, match=f"{become.method} is not installed on this host"):
        run(PrivateEtc(login_shell=shell, path="/etc/empty"), become)


def test_the_password_is_in_no_command_line(run: Run) -> None:
    script = b"cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c correct[[:space:]]horse\n"
    assert run(ASKS, Become("sudo", Secret(PASSWORD)), script).stdout == b"0\n"
