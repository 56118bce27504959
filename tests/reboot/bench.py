"""Pairs of simulated hosts that share two groups, and a rolling reboot of them in this process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bsdcarp.fleet.application import apply_plans
from bsdcarp.fleet.course import plan_hosts
from bsdcarp.fleet.hosts import Fleet, Options
from bsdcarp.fleet.progress import Event
from bsdcarp.fleet.rolling import HostReboot, Rolled, Rolling, roll, survey
from bsdcarp.inventory import load_text, require
from bsdcarp.lab.up import Lab
from bsdcarp.model import Inventory, Secret

__all__ = ["Bench", "Cluster", "bench_of", "inventory_text", "result"]

PASSWORD = "RollingPw1"


class Cluster(Protocol):
    """A lab, or hosts with a real sshd."""

    @property
    def ssh_config(self) -> Path: ...


def inventory_text(pairs: Sequence[tuple[str, str]], *, preempt: int = 1) -> str:
    """Hosts h0a and h0b, h1a and h1b ...; group oneN is a's, twoN is b's."""
    lines = ["version: 1", f"sysctl: {{allow: 1, preempt: {preempt}, log: 1, arpbalance: auto}}", "hosts:"]
    groups = ["groups:"]
    for number, pair in enumerate(pairs):
        for side, system in zip("ab", pair, strict=True):
            interface = "eth0" if system.startswith("debian") else "em0"
            own = f"10.8.{number}.{2 if side == 'a' else 3}"
            legacy = ", ssh: legacy" if system == "freebsd-7.2" else ""
            lines.append(
                f"  h{number}{side}: {{address: {own}, interface: {interface}, os: {system}{legacy},"
                f" interfaces: {{{interface}: [{own}/24]}}}}"
            )
        a, b = f"h{number}a", f"h{number}b"
        rest = "password: {env: ROLLING_PASSWORD}, addresses: [10.8"
        groups.append(f"  one{number}: {{vhid: {2 * number + 1}, {rest}.{number}.1/24], members: [{a}, {b}]}}")
        groups.append(f"  two{number}: {{vhid: {2 * number + 2}, {rest}.{number}.100/24], members: [{b}, {a}]}}")
    return "\n".join([*lines, *groups, ""])


@dataclass
class Bench:
    """Hosts on which everything is applied."""

    cluster: Cluster
    path: Path
    inventory: Inventory
    events: list[Event] = field(default_factory=list)

    @property
    def secrets(self) -> Mapping[str, Secret]:
        return {name: Secret(PASSWORD) for name in self.inventory.groups}

    @property
    def lab(self) -> Lab:
        assert isinstance(self.cluster, Lab)
        return self.cluster

    @contextmanager
    def fleet(self) -> Iterator[Fleet]:
        with Fleet(self.inventory, Options(ssh_config=self.cluster.ssh_config), self.events.append) as fleet:
            yield fleet

    def apply(self) -> None:
        """Bring every host there."""
        with self.fleet() as fleet:
            plans = plan_hosts(self.inventory, fleet.look(self.inventory.hosts), self.secrets)
            applied = apply_plans(fleet, plans, self.secrets)
        assert {row.result for row in applied.rows} <= {"changed", "unchanged"}, applied

    def roll(self, *hosts: str, **choices: float) -> Rolled:
        """Reboot these hosts (all of them when none is named), after a survey that must not object."""
        rolling = Rolling(**{"deadline": 60.0, **choices})  # type: ignore[arg-type]  # the names are Rolling's own
        with self.fleet() as fleet:
            order, against = survey(fleet, self.secrets, hosts or self.inventory.hosts, rolling)
            if against:
                return Rolled(tuple(against.values()))
            return roll(fleet, self.secrets, order, rolling)

    def shell(self, host: str, script: str) -> str:
        """Run a script on one host by hand."""
        head = "R=${BSDCARP_ROOT-}\nPATH=${BSDCARP_PATH:+$BSDCARP_PATH:}/sbin:/bin:/usr/sbin:/usr/bin\nexport PATH\n"
        with self.fleet() as fleet:
            return fleet.run(host, f"{head}hand() {{\n{script}\n}}\nhand </dev/null 2>&1\n".encode()).decode()

    def demotion(self, host: str) -> int:
        with self.fleet() as fleet:
            return fleet.read(host).sysctls.get("demotion", 0)

    def command(self, *arguments: str, seconds: float = 150.0) -> subprocess.CompletedProcess[str]:
        """Run ``bsdcarp reboot`` as an operator would."""
        words = [sys.executable, "-m", "bsdcarp", "reboot", str(self.path)]
        words += ["--ssh-config", str(self.cluster.ssh_config), *arguments]
        done = subprocess.run(
            words,
            env={**os.environ, "ROLLING_PASSWORD": PASSWORD},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return done

    def settled(self) -> None:
        """Wait until every group has its preferred master."""
        end = time.monotonic() + 30
        while not all(self._role(g.members[0].host, g.vhid) == "MASTER" for g in self.inventory.groups.values()):
            assert time.monotonic() < end, {name: m.carp_states() for name, m in self.lab.machines.items()}
            time.sleep(0.05)

    def _role(self, host: str, vhid: int) -> str:
        states = self.lab.machine(host).carp_states()
        return next((state for name, state in states.items() if name.startswith(f"{vhid}@")), "")


@contextmanager
def bench_of(text: str, directory: Path) -> Iterator[Bench]:
    """Start a lab for an inventory and apply it."""
    os.environ.setdefault("ROLLING_PASSWORD", PASSWORD)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "inventory.yml"
    path.write_text(text, encoding="utf-8")
    inventory = require(load_text(text, str(path)))
    with Lab.start(inventory, directory / "lab") as lab:
        bench = Bench(lab, path, inventory)
        bench.apply()
        yield bench


def result(rolled: Rolled, host: str) -> HostReboot:
    return next(entry for entry in rolled.hosts if entry.host == host)
