"""Machines for the tests of the lab: a manual clock, two cards each, commands as one string."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bsdcarp.lab.clock import ManualClock
from bsdcarp.lab.machine import Machine
from bsdcarp.lab.network import Network
from bsdcarp.lab.nic import Nic

VHID_RELEASES = ("10.4", "12.1", "14.2", "15.0")
PSEUDO_RELEASES = ("7.2", "9.3")
EVERY_RELEASE = PSEUDO_RELEASES + VHID_RELEASES


@dataclass
class Bench:
    """A network and what was put on it."""

    root: Path
    network: Network = field(default_factory=lambda: Network(ManualClock()))

    def machine(
        self,
        name: str = "alpha",
        release: str = "12.1",
        *,
        rc: str = "",
        sysctl: str = "",
        loader: str = "",
        kernel: str | None = None,
        files: dict[str, str] | None = None,
        address: str = "192.0.2.2",
        boot: bool = True,
        vlan: int | None = None,
    ) -> Machine:
        number = len(list(self.root.iterdir())) + 1 if self.root.exists() else 1
        nics = [
            Nic("em0", f"52:54:00:00:00:{number:02x}", "lan", vlan),
            Nic("em1", f"52:54:00:00:01:{number:02x}", "dmz"),
        ]
        made = Machine(name, release, self.root / name, nics, network=self.network, kernel=kernel)
        head = f'hostname="{name}"\nsshd_enable="YES"\nifconfig_em0="inet {address}/24"\n'
        made.create(head + rc, sysctl_conf=sysctl, loader_conf=loader, files=files)
        if boot:
            made.boot()
        return made


def run(machine: Machine, command: str, user: str = "root") -> str:
    """Run a command that must succeed, and return what it printed."""
    reply = machine.command(command.split(), user=user)
    assert reply.status == 0, reply
    return reply.stdout.decode()


def refused(machine: Machine, command: str, user: str = "root") -> str:
    """Run a command that must fail, and return its complaint."""
    reply = machine.command(command.split(), user=user)
    assert reply.status != 0, reply
    return reply.stderr.decode().rstrip("\n")
