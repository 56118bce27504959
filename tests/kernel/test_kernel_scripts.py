"""The kernel programs with a real sh, on a host that is a directory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bsdcarp.kernels import Place, build_script, install_script, look_script, parse_facts, read_report

PLACE = Place("CARP", "amd64")
TOKEN = "0123456789abcdef"


class Host:
    """Sources, and programs that do next to nothing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.job = root / "var/db/bsdcarp/kernel/CARP"
        for directory in ("bin", "boot", "var/run", "usr/src/sys/amd64/conf", "usr/obj"):
            (root / directory).mkdir(parents=True)
        for name in ("GENERIC", "CARP"):
            (root / "usr/src/sys/amd64/conf" / name).write_text("device carp\n")
        self.tool("daemon", "exit 1")
        self.tool("sysctl", f'cat "{root}/boottime"')
        self.tool("make", f'read x <"{root}/go"')
        os.mkfifo(root / "go")
        self.clock("1")

    def tool(self, name: str, text: str) -> None:
        path = self.root / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def clock(self, seconds: str) -> None:
        (self.root / "boottime").write_text(f"{{ sec = {seconds}, usec = 0 }}\n")

    def run(self, script: bytes) -> bytes:
        environment = {"BSDCARP_ROOT": str(self.root), "BSDCARP_PATH": str(self.root / "bin")}
        done = subprocess.run(
            ["/bin/sh", "-s"], input=script, capture_output=True, env=environment, timeout=20, check=False
        )
        return done.stdout

    def state(self) -> str:
        return parse_facts(self.run(look_script(PLACE, token=TOKEN)), TOKEN, host="h").build.state

    def build(self) -> str:
        return read_report(self.run(build_script(PLACE, jobs=1, token=TOKEN)), TOKEN).word

    def end_build(self) -> None:
        (self.root / "go").write_text("\n")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_clock_that_is_set_does_not_end_a_build(host: Host) -> None:
    """ntpd -g moves kern.boottime with the clock."""
    assert host.build() == "started"
    try:
        assert host.state() == "running"
        host.clock("4711")
        assert host.state() == "running"
        assert host.build() == "attached"
    finally:
        host.end_build()


def test_another_process_of_the_same_number_is_no_build(host: Host) -> None:
    host.job.mkdir(parents=True)
    (host.job / "boot").write_text((host.root / "boottime").read_text())
    (host.job / "pid").write_text(f"{os.getpid()}\n")
    assert host.state() == "interrupted"


def test_a_lock_that_a_restart_emptied_does_not_keep_kernels_out(host: Host) -> None:
    (host.root / "var/run/bsdcarp.lock").mkdir()
    report = read_report(host.run(install_script(PLACE, "kernel.CARP", owner="me", token=TOKEN)), TOKEN)
    assert (report.word, report.detail) == ("failed", "the kernel is not built")
    assert not (host.root / "var/run/bsdcarp.lock").exists()


@pytest.mark.parametrize(("outcome", "word"), [(True, "failed"), (False, "pending")])
def test_only_a_transaction_without_an_outcome_keeps_kernels_out(host: Host, outcome: bool, word: str) -> None:
    here = host.root / "var/db/bsdcarp/tx-1"
    here.mkdir(parents=True)
    (here / "undo").write_text("")
    (here.parent / "pending").write_text("tx-1\n")
    if outcome:
        (here / "outcome").write_text("confirmed\n")
    report = read_report(host.run(install_script(PLACE, "kernel.CARP", owner="me", token=TOKEN)), TOKEN)
    assert report.word == word


@pytest.mark.parametrize("steal", [False, True])
def test_the_lock_of_a_process_that_lives_is_respected(host: Host, steal: bool) -> None:
    lock = host.root / "var/run/bsdcarp.lock"
    lock.mkdir()
    (lock / "owner").write_text("joe@desk since noon\n")
    (lock / "pid").write_text(f"{os.getpid()}\n")
    script = install_script(PLACE, "kernel.CARP", owner="me", steal=steal, token=TOKEN)
    report = read_report(host.run(script), TOKEN)
    assert report.reason == "held by joe@desk since noon, who is still at work: wait, it ends by itself"
    assert (lock / "owner").read_text() == "joe@desk since noon\n"
