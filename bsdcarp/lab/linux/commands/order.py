"""One call of systemctl: what it was told, and what it has printed so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bsdcarp.lab.reply import Reply, text

if TYPE_CHECKING:
    from bsdcarp.lab.linux.machine import LinuxMachine

__all__ = ["Order", "warn_if_stale"]


@dataclass(slots=True)
class Order:
    """``names`` are the units; ``properties`` those of -p."""

    machine: LinuxMachine
    verb: str
    names: list[str]
    flags: set[str]
    properties: list[str]
    lines: int = 10
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    status: int = 0

    def reply(self) -> Reply:
        return text("".join(self.out), stderr="".join(self.err), status=self.status)

    def fail(self, line: str, status: int = 1) -> None:
        self.err.append(f"{line}\n")
        self.status = status


def warn_if_stale(order: Order, name: str) -> None:
    """Say that the file of a unit is not what was loaded."""
    if order.machine.systemd.stale(name):
        order.err.append(
            f"Warning: The unit file, source configuration file or drop-ins of {name} changed on disk. "
            "Run 'systemctl daemon-reload' to reload units.\n"
        )
