"""A lab for tests of the whole way, and the command line as operators run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bsdcarp.inventory import load, require
from bsdcarp.lab.up import Lab

PASSWORD = "IntegrationPw1"


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

    def __str__(self) -> str:
        return f"exit status {self.status}\n{self.out}\n{self.err}"


@dataclass
class Bench:
    """A running lab with its inventory file."""

    lab: Lab
    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def words(self, verb: str, *arguments: str) -> list[str]:
        reach = ["--ssh-config", str(self.lab.ssh_config)]
        return [sys.executable, "-m", "bsdcarp", verb, str(self.path), *reach, *arguments]

    @property
    def process_environment(self) -> dict[str, str]:
        return {**os.environ, "LAB_PASSWORD": PASSWORD, **self.environment}

    def run(self, verb: str, *arguments: str) -> Result:
        done = subprocess.run(
            self.words(verb, *arguments),
            env=self.process_environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=100,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def file(self, host: str, path: str) -> Path:
        return Path(self.lab.root(host)) / path.lstrip("/")

    def rewrite(self, old: str, new: str) -> None:
        text = self.path.read_text(encoding="utf-8")
        assert old in text
        self.path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[[str], Bench]]:
    """Start a lab for an inventory text; it ends with the test."""
    with ExitStack() as stack:

        def start(text: str) -> Bench:
            path = tmp_path / "inventory.yml"
            path.write_text(text, encoding="utf-8")
            lab = stack.enter_context(Lab.start(require(load(path)), tmp_path / "lab"))
            return Bench(lab, path)

        yield start
