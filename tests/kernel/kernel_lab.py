"""A lab whose kernels can be built, and the command line against it, without a process of its own for each run."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bsdcarp.cli.app import application
from bsdcarp.errors import BsdcarpError
from bsdcarp.inventory import load, require
from bsdcarp.lab.machine import Machine
from bsdcarp.lab.up import Lab

PASSWORD = "IntegrationPw1"

PAIR = """\
version: 1
sysctl: {{allow: 1, preempt: 1, log: 1}}
hosts:
  a: {{address: 10.1.0.2, interface: em0, os: freebsd-{release}{legacy}, kernel: {{method: {method}}}}}
groups:
  one: {{vhid: 1, password: {{env: LAB_PASSWORD}}, addresses: [10.1.0.1/24], members: [a]}}
"""


def pair(release: str = "12.1", method: str = "static") -> str:
    """One host, which is a cluster of its own and elects in a moment."""
    return PAIR.format(release=release, method=method, legacy=", ssh: legacy" if release in ("7.2", "9.3") else "")


@dataclass
class Result:
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def row(self) -> tuple[str, str]:
        """Result and detail of host a."""
        row = self.document["results"]["a"]
        return row["result"], row["detail"]


@dataclass
class KernelLab:
    lab: Lab
    path: Path

    @property
    def machine(self) -> Machine:
        return self.lab.freebsd("a")

    def words(self, *arguments: str) -> list[str]:
        verb, rest = ([*arguments[:2]], arguments[2:]) if arguments[0] == "kernel" else ([arguments[0]], arguments[1:])
        return [*verb, str(self.path), "--ssh-config", str(self.lab.ssh_config), *rest]

    def run(self, *arguments: str) -> Result:
        out, err = io.StringIO(), io.StringIO()
        status = 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                status = application()(self.words(*arguments), standalone_mode=False) or 0
            except BsdcarpError as error:
                status = error.exit_code
                err.write(f"bsdcarp: {error}\n")
        assert PASSWORD not in out.getvalue() + err.getvalue()
        return Result(status, out.getvalue(), err.getvalue())

    def kernel(self, verb: str, *arguments: str) -> Result:
        return self.run("kernel", verb, "--json", *arguments)

    def process(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "bsdcarp", *self.words(*arguments)],
            env={**os.environ, "LAB_PASSWORD": PASSWORD},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def without_carp(self) -> None:
        """Boot a GENERIC kernel, whatever the release starts with."""
        tree = self.machine.tree
        if tree.exists("/boot/kernel.old"):
            for name in ("/boot/kernel", "/boot/kernel.old"):
                for file in tree.path(name).iterdir():
                    file.unlink()
                tree.path(name).rmdir()
            tree.install_kernel("GENERIC")
        self.reboot()

    def reboot(self) -> None:
        self.machine.power_off()
        self.machine.boot()

    def ready(self) -> None:
        """Apply, and build: the next step is the installation."""
        self.run("apply", "--yes", "--no-wait")
        result = self.kernel("build")
        assert result.row[0] == "built", result


@contextmanager
def kernel_lab(directory: Path, text: str, keys: Path | None = None) -> Iterator[KernelLab]:
    path = directory / "inventory.yml"
    path.write_text(text, encoding="utf-8")
    os.environ["LAB_PASSWORD"] = PASSWORD
    with Lab.start(require(load(path)), directory / "lab", keys=keys) as lab:
        for machine in lab.machines.values():
            machine.reboot_delay = 0.1
        yield KernelLab(lab, path)
