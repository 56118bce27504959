"""An inventory of the hosts of ``systemd_cluster``, and the command line run on it as an operator would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from systemd_cluster import Cluster

__all__ = ["Answer", "Site", "group_text", "site_of"]

_PASSWORD = "Geheim4711"


@dataclass(frozen=True)
class Answer:
    """One run of the command line."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.out)
        return loaded

    @property
    def results(self) -> dict[str, str]:
        """Host to result, of ``apply --json``."""
        return {name: row["result"] for name, row in self.document["results"].items()}

    @property
    def changes(self) -> list[str]:
        """The hosts that something was or would be changed on, of ``apply --json`` and ``diff --json``."""
        return [name for name, entry in self.document["hosts"].items() if entry["changes"]]

    def __str__(self) -> str:
        tail = [*self.out.splitlines()[-25:], *self.err.splitlines()[-25:]]
        return "\n".join([f"exit status {self.status}", *tail])


@dataclass
class Site:
    """Hosts, and the inventory in force for them."""

    cluster: Cluster
    path: Path
    hosts: Mapping[str, str] = field(default_factory=dict)
    """More lines for a host, as YAML of one line: ``backend: ucarp``."""

    def write(self, *groups: str, preempt: int = 1) -> None:
        """Write the inventory; ``groups`` as ``group_text`` makes them."""
        lines = ["version: 1", f"sysctl: {{preempt: {preempt}}}", "hosts:"]
        for name, host in self.cluster.items():
            more = f", {self.hosts[name]}" if name in self.hosts else ""
            lines.append(f"  {name}: {{address: {host.address}, interface: eth0, os: debian-12{more}}}")
        lines += ["groups:", *groups] if groups else ["groups: {}"]
        self.path.write_text("\n".join(lines) + "\n")

    def bsdcarp(self, verb: str, *arguments: str, seconds: float = 200.0) -> Answer:
        """Run the command line; it never shows a traceback nor the password."""
        words = [sys.executable, "-m", "bsdcarp", verb, str(self.path), *arguments]
        words += ["--ssh-config", str(self.cluster.ssh_config)]
        done = subprocess.run(
            words,
            env={
                **os.environ,
                "HOME": str(self.path.parent),
                "SITE_PASSWORD": _PASSWORD,
                "NO_COLOR": "1",
                "COLUMNS": "200",
            },
            cwd=self.path.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        assert "Traceback" not in done.stderr, done.stderr[-3000:]
        assert _PASSWORD not in done.stdout + done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    def good(self, verb: str, *arguments: str) -> Answer:
        """Run the command line, which has to end with 0."""
        answer = self.bsdcarp(verb, *arguments)
        assert answer.status == 0, answer
        return answer


def group_text(name: str, vhid: int, *addresses: str, members: str = "web1, web2") -> str:
    """A group of the inventory, as a line of YAML."""
    listed = ", ".join(f'"{address}"' for address in addresses)
    return f"  {name}: {{vhid: {vhid}, password: {{env: SITE_PASSWORD}}, addresses: [{listed}], members: [{members}]}}"


@contextmanager
def site_of(directory: Path, hosts: Mapping[str, str] | None = None) -> Iterator[Site]:
    """Boot web1 and web2 and give them an inventory without groups; ``hosts`` as in ``Site``."""
    with Cluster.start(["web1", "web2"], directory / "hosts") as cluster:
        site = Site(cluster, directory / "inventory.yml", hosts or {})
        site.write()
        yield site
