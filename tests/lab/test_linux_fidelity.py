"""The simulated Linux host prints what a real Debian 12 with the real daemon printed, line by line.

The recording was made on Debian 12 (systemd 252, iproute2 6.1.0, procps 4.0.2) in a container, in root's bash.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fidelity_report import FIGURES, Figures
from linux_machines import config, install, linux, write_config

from bsdcarp.lab.clock import ManualClock
from bsdcarp.lab.network import Network
from bsdcarp.lab.wire import CommandServer

RECORDING = Path(__file__).parent / "transcripts" / "debian-12" / "01-carpd-under-systemd.txt"
_BASH = re.compile(r"(?<![\w$./-])/(?=(?:etc|usr/local|root)/)")


@dataclass
class Step:
    """One recorded command with what it printed."""

    line: int
    command: str
    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    status: int = 0


def steps() -> Iterator[Step]:
    step = None
    for number, line in enumerate(RECORDING.read_text().splitlines(), 1):
        if line.startswith("$ "):
            step = Step(number, line[2:])
        elif step is not None and (ended := re.fullmatch(r"exit=(\d+)", line)):
            step.status = int(ended[1])
            yield step
            step = None
        elif step is not None:
            (step.stderr if line.startswith("err: ") else step.stdout).append(line.removeprefix("err: "))


def clean(line: str) -> str:
    # Kernel 6.18 of the machine that was recorded on says more about ::1 than Debian's own 6.1.
    return line.replace(" noprefixroute", "")


def test_every_recorded_command_prints_the_same(tmp_path: Path) -> None:
    network = Network(ManualClock())
    machine = linux(tmp_path, network, boot=False)
    install(machine)
    machine.tree.write("/root/good", config())
    machine.tree.path("/root/good").chmod(0o600)
    write_config(machine, "")
    machine.tree.write("/usr/lib/systemd/system/systemd-journald.service", "[Service]\nExecStart=/x\n")
    machine.boot()
    server = CommandServer([machine])
    server.start()
    found = list(steps())
    try:
        for step in found:
            # The commands name the files of the recorded host; the lab's shell sees its own machine's.
            command = _BASH.sub(lambda _: f"{machine.root}/", step.command)
            done = subprocess.run(
                ["/bin/sh", "-c", f"umask 077\n{command}"],
                env=machine.session_env(),
                cwd=machine.root,
                capture_output=True,
                timeout=30,
                check=False,
                stdin=subprocess.DEVNULL,
            )
            out, err = (
                os.fsdecode(data).replace(str(machine.root), "").splitlines() for data in (done.stdout, done.stderr)
            )
            assert (out, err, done.returncode) == ([clean(x) for x in step.stdout], step.stderr, step.status), (
                f"line {step.line}: {step.command}"
            )
            network.advance(1.0)
    finally:
        server.stop()
    assert Figures(len(found), 0) == FIGURES[f"{RECORDING.parent.name}/{RECORDING.name}"]
