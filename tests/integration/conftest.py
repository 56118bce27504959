"""A lab for tests of the whole way, and the command line as operators run it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from realhosts.harness import RealCluster, why_not

from bsdcarp.cli import main
from bsdcarp.inventory import load, require
from bsdcarp.lab.segment import Segment
from bsdcarp.lab.up import Lab

PASSWORD = "IntegrationPw1"
PAIR = """\
version: 1
sysctl: {allow: 1, preempt: 1, log: 1}
hosts:
  a: {address: 10.1.0.2, interface: em0, os: freebsd-14.2}
  b: {address: 10.1.0.3, interface: em0, os: freebsd-12.1}
groups:
  one: {vhid: 1, password: {env: LAB_PASSWORD}, addresses: [10.1.0.1/24], members: [a, b]}
"""
_ROLE = re.compile(r"(carp: )(MASTER|BACKUP|INIT)")

# A clock that the test can hurry: while the host has a file /hurry, nobody sleeps.
_SLEEP = """\
#!/bin/sh
# A loop of short sleeps, each looking for the file.
n=$(($1 * 20))
while [ "$n" -gt 0 ] && [ ! -e "${BSDCARP_ROOT-}/hurry" ]; do REAL 0.05; n=$((n - 1)); done
"""


@dataclass
class Result:
    """One run of the command line."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def rules(self) -> set[str]:
        return {finding["rule"] for finding in self.document["findings"]}

    @property
    def results(self) -> dict[str, str]:
        return {host: row["result"] for host, row in self.document["results"].items()}

    def detail(self, host: str) -> str:
        return str(self.document["results"][host]["detail"])

    def __str__(self) -> str:
        return f"exit status {self.status}\n{self.out}\n{self.err}"


@dataclass
class Bench:
    """A running lab, or real hosts, with the inventory file."""

    lab: Lab | RealCluster
    path: Path
    environment: dict[str, str] = field(default_factory=dict)
    ssh_config: Path | None = None

    def words(self, verb: str, *arguments: str) -> list[str]:
        reach = ["--ssh-config", str(self.ssh_config or self.lab.ssh_config)]
        return [sys.executable, "-m", "bsdcarp", verb, str(self.path), *reach, *arguments]

    @property
    def process_environment(self) -> dict[str, str]:
        state = str(self.path.parent / "operator")
        return {**os.environ, "LAB_PASSWORD": PASSWORD, "XDG_STATE_HOME": state, **self.environment}

    def start(self, verb: str, *arguments: str) -> subprocess.Popen[str]:
        """Begin a run; the caller reads standard error and waits."""
        return subprocess.Popen(
            self.words(verb, *arguments),
            env=self.process_environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, verb: str, *arguments: str, status: int | None = None) -> Result:
        """Run to the end, in this process: what is measured is not how long Python takes to start."""
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.process_environment),
            mock.patch.object(sys, "argv", ["bsdcarp", *self.words(verb, *arguments)[3:]]),
            mock.patch.object(sys, "stdin", io.StringIO()),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        result = Result(int(ended.value.code or 0), out.getvalue(), err.getvalue())
        assert PASSWORD not in result.out + result.err
        assert status is None or result.status == status, str(result)
        return result

    def file(self, host: str, path: str) -> Path:
        return Path(self.lab.root(host)) / path.lstrip("/")

    def rewrite(self, old: str, new: str) -> None:
        text = self.path.read_text(encoding="utf-8")
        assert old in text
        self.path.write_text(text.replace(old, new), encoding="utf-8")

    # What a host is like.

    def live(self, host: str, *argv: str) -> str:
        return self.lab.machine(host).command(list(argv), "/", {}).stdout.decode()

    def state(self, host: str) -> dict[str, bytes | str]:
        """Every byte that a transaction may have changed, and the running system; roles come and go by themselves."""
        return {
            **self.files(host),
            "ifconfig": _ROLE.sub(r"\1-", self.live(host, "ifconfig", "-a")),
            "sysctl": self.live(host, "sysctl", "net.inet.carp"),
        }

    def files(self, host: str) -> dict[str, bytes | str]:
        root = Path(self.lab.root(host))
        there = [
            p
            for d in ("etc", "boot")
            for p in sorted((root / d).rglob("*"))
            if p.is_file() and ".bsdcarp-" not in str(p)
        ]
        there += [p for p in [root / "var/db/bsdcarp/record"] if p.exists()]
        return {str(p.relative_to(root)): p.read_bytes() for p in there}

    def settled(self, host: str) -> bool:
        """Whether no transaction is under way or waits, and none has left anything behind."""
        root = Path(self.lab.root(host))
        left = [root / "var/run/bsdcarp.lock", root / "var/db/bsdcarp/pending", *(root / "etc").glob(".bsdcarp-*")]
        return not any(path.exists() for path in left)

    def pending(self, host: str) -> bool:
        return self.file(host, "/var/db/bsdcarp/pending").exists()

    def transactions(self, host: str) -> list[str]:
        return sorted(path.name for path in self.file(host, "/var/db/bsdcarp").glob("tx-*"))

    @property
    def segments(self) -> list[Segment]:
        """The broadcast domains of all hosts."""
        cards = [nic for machine in self.lab.machines.values() for nic in machine.nics]
        return [self.lab.network.segment(name) for name in {nic.segment for nic in cards}]

    # What can be done to it.

    def tool(self, host: str, name: str, text: str) -> None:
        """Put a program before all others of a host."""
        path = self.file(host, f".lab/bin/{name}")
        if path.is_symlink() or path.exists():
            path.rename(path.with_name(f"{name}.real"))
        path.write_text(text)
        path.chmod(0o755)

    def hasten(self, host: str) -> None:
        """From now on nobody on this host sleeps: windows run out at once."""
        self.file(host, "/hurry").touch()

    def calm(self, host: str) -> None:
        self.file(host, "/hurry").unlink(missing_ok=True)


def soon(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while not (done := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return done


def hasty_clocks(place: Lab | RealCluster) -> None:
    """Give every host the sleep(1) that can be hurried."""
    for name in place.machines:
        root = Path(place.root(name))
        if isinstance(place, RealCluster):
            path, real = root / "bin/sleep", "/.host/usr/bin/sleep"
            path.unlink()
        else:
            path, real = root / ".lab/bin/sleep", "/bin/sleep"
        path.write_text(_SLEEP.replace("REAL", real))
        path.chmod(0o755)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[[str], Bench]]:
    """Start a lab for an inventory text; it ends with the test."""
    with ExitStack() as stack:

        def start(text: str) -> Bench:
            path = tmp_path / "inventory.yml"
            path.write_text(text, encoding="utf-8")
            lab = stack.enter_context(Lab.start(require(load(path)), tmp_path / "lab"))
            hasty_clocks(lab)
            return Bench(lab, path)

        yield start


@pytest.fixture
def real_bench(tmp_path: Path) -> Iterator[Callable[[str], Bench]]:
    """The same with hosts that have OpenSSH's sshd, a root and processes of their own."""
    if (reason := why_not()) is not None:
        pytest.skip(f"no real sshd hosts: {reason}")
    with ExitStack() as stack:

        def start(text: str) -> Bench:
            path = tmp_path / "inventory.yml"
            path.write_text(text, encoding="utf-8")
            cluster = stack.enter_context(RealCluster.start(require(load(path)), tmp_path / "hosts"))
            hasty_clocks(cluster)
            return Bench(cluster, path)

        yield start
