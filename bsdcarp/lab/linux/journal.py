"""The journal of a simulated Linux host: it outlives boots, as Debian's /var/log/journal does."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

__all__ = ["Entry", "Journal"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.  ``unit`` is "" for what belongs to none, the kernel's among them."""

    moment: float
    boot: int
    unit: str
    identifier: str
    pid: int
    text: str

    def line(self, host: str) -> str:
        """The line as ``journalctl`` prints it."""
        stamp = time.strftime("%b %d %H:%M:%S", time.gmtime(self.moment))
        process = f"{self.identifier}[{self.pid}]" if self.pid else self.identifier
        return f"{stamp} {host} {process}: {self.text}"


@dataclass(slots=True)
class Journal:
    """All entries of a machine, oldest first."""

    entries: list[Entry] = field(default_factory=list)

    def add(self, moment: float, boot: int, unit: str, identifier: str, pid: int, text: str) -> None:
        self.entries.append(Entry(moment, boot, unit, identifier, pid, text))

    def of(self, unit: str = "", boot: int | None = None) -> list[Entry]:
        """The entries of one unit, of one boot."""
        return [e for e in self.entries if unit in ("", e.unit) and boot in (None, e.boot)]

    def kernel(self, boot: int) -> list[str]:
        """What dmesg prints."""
        return [entry.text for entry in self.entries if entry.identifier == "kernel" and entry.boot == boot]
