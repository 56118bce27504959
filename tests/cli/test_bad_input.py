"""Bad input gets one clear line with the place and the remedy, the right exit status, and never a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOOD = """\
version: 1
sysctl: {preempt: 1}
hosts:
  a: {address: 127.0.0.1, interface: em0, os: freebsd-14.2}
  b: {address: 127.0.0.2, interface: em0, os: freebsd-14.2}
groups:
  g:
    vhid: 1
    password: {env: TEST_PASSWORD}
    addresses: [192.0.2.1/24]
    members: [a, b]
"""


def run(*arguments: str, password: str | None = "Secret1", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "TEST_PASSWORD"}
    if password is not None:
        environment["TEST_PASSWORD"] = password
    done = subprocess.run(
        [sys.executable, "-m", "bsdcarp", *arguments],
        env=environment, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    if password:
        assert password not in done.stdout + done.stderr
    return done


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "inventory.yml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return str(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("  a:", "\ta:"), ("inventory.yml:4", "tab")),
        (GOOD.replace("vhid: 1", "vhid: one"), ("inventory.yml:8:11", "vhid")),
        (GOOD.replace("vhid: 1", "vhid: 300"), ("inventory.yml:8:11", "255")),
        (GOOD.replace("[a, b]", "[a, c]"), ("inventory.yml:11", "c")),
        (GOOD.replace("members", "memebrs"), ("inventory.yml:11:5", "did you mean")),
        (GOOD.replace("/24", ""), ("inventory.yml:10", "prefix")),
        (GOOD.replace("version: 1", "version: 2"), ("inventory.yml:1", "version")),
        (GOOD.replace("interface: em0", "interface: 'em0; reboot'"), ("inventory.yml:4", "interface")),
        ("- just\n- a list\n", ("inventory.yml:1",)),
        ("\udcff\udcfe", ("inventory.yml", "UTF-8")),
        ("", ("inventory.yml", "empty")),
    ],
)
def test_a_faulty_inventory_is_told_with_its_place(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    done = run("validate", write(tmp_path, text))
    assert done.returncode == 1
    for word in words:
        assert word in done.stdout + done.stderr


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    done = run("validate", write(tmp_path, GOOD.replace("vhid: 1", "vhid: 0").replace("[a, b]", "[a, a, zz]")))
    assert done.returncode == 1
    assert "vhid" in done.stdout
    assert "zz" in done.stdout


@pytest.mark.parametrize("verb", ["validate", "diff", "apply", "verify", "persist", "status"])
def test_a_missing_inventory_is_one_line(tmp_path: Path, verb: str) -> None:
    done = run(verb, str(tmp_path / "absent.yml"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "absent.yml" in done.stderr


def test_a_directory_is_no_inventory(tmp_path: Path) -> None:
    done = run("diff", str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_an_unreadable_inventory_is_one_line(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(GOOD)
    bad.write_text(GOOD)
    bad.chmod(0)
    # Root reads everything, so this becomes somebody who does not, once all that it needs has been imported.
    code = (
        "import os, sys\n"
        "from bsdcarp.errors import InventoryError\n"
        "from bsdcarp.inventory import load\n"
        "load(sys.argv[1])\n"
        "if os.geteuid() == 0:\n    os.seteuid(65534)\n"
        "try:\n    load(sys.argv[2])\n"
        "except InventoryError as error:\n    print(error)\n"
    )
    for directory in (tmp_path, *tmp_path.parents):
        if str(directory).startswith(tempfile.gettempdir() + "/"):
            directory.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", code, str(good), str(bad)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "ermission denied" in done.stdout, done
    assert done.stdout.count("\n") == 1


def test_unknown_hosts_and_groups_are_usage_errors(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("  a:", "  server1:").replace("[a, b]", "[server1, b]"))
    done = run("diff", path, "--host", "server2")
    assert done.returncode == 2
    assert "did you mean server1?" in done.stderr
    assert run("diff", path, "--group", "zz").returncode == 2
    assert run("diff", path, "--no-such-option").returncode == 2
    assert run("reboot", path, "--host", "server2").returncode == 2


def test_a_missing_password_names_the_variable_and_nothing_happens(tmp_path: Path) -> None:
    done = run("apply", write(tmp_path, GOOD), password=None)
    assert done.returncode == 1
    assert "TEST_PASSWORD" in done.stderr
    assert run("validate", write(tmp_path, GOOD), password=None).returncode == 0


@pytest.mark.parametrize("password", ["abc-def", "Password-0-0-0", "a b", "x" * 20, "pa$$word", "inet6", 'quo"te'])
def test_a_password_that_would_hurt_is_refused_everywhere(tmp_path: Path, password: str) -> None:
    for verb in ("validate", "render"):
        more = ["--out", str(tmp_path / "out")] if verb == "render" else []
        done = run(verb, write(tmp_path, GOOD), *more, password=password)
        assert done.returncode == 1, done
        assert password not in done.stdout + done.stderr
    assert not (tmp_path / "out").exists()


def test_a_closed_port_is_unreachable(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    text = GOOD.replace("os: freebsd-14.2", f"os: freebsd-14.2, port: {port}")
    done = run("diff", write(tmp_path, text), "--ssh-config", "/dev/null")
    assert done.returncode == 5
    assert "refused" in done.stdout
    assert f"{port}" in done.stdout


def test_a_name_that_does_not_resolve_is_unreachable(tmp_path: Path) -> None:
    text = GOOD.replace("address: 127.0.0.1", "address: no-such-host.invalid")
    done = run("status", write(tmp_path, text), "--ssh-config", "/dev/null")
    assert done.returncode == 5
    assert "no-such-host.invalid" in done.stdout + done.stderr


def test_a_faulty_ssh_config_is_told_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "ssh_config"
    config.write_text("Host a\n  Port not-a-number\n")
    done = run("diff", write(tmp_path, GOOD), "--ssh-config", str(config))
    assert done.returncode in (1, 5)
    assert f"{config}:2" in done.stdout + done.stderr


def test_render_into_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    done = run("render", write(tmp_path, GOOD), "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", [("reboot",), ("kernel", "install")])
def test_a_deadline_that_nothing_can_meet_is_a_usage_error(tmp_path: Path, verb: tuple[str, ...]) -> None:
    for seconds in ("0", "-5"):
        done = run(*verb, write(tmp_path, GOOD), "--deadline", seconds)
        assert done.returncode == 2
        assert "--deadline" in done.stderr
