"""Reading a host: one POSIX sh script, one round trip, and pure parsers of what it prints."""

from __future__ import annotations

from bsdcarp.snapshot.facts import (
    CarpSource,
    FileState,
    InterfaceAddress,
    KernelDirectory,
    NetworkInterface,
    Snapshot,
    VhidState,
)
from bsdcarp.snapshot.linuxfacts import (
    CarpdFinding,
    CarpdStatus,
    CarpdVhid,
    Foreign,
    InitSystem,
    LinuxFacts,
    ServiceState,
)
from bsdcarp.snapshot.parse import parse
from bsdcarp.snapshot.script import read_script

__all__ = [
    "CarpSource",
    "CarpdFinding",
    "CarpdStatus",
    "CarpdVhid",
    "FileState",
    "Foreign",
    "InitSystem",
    "InterfaceAddress",
    "KernelDirectory",
    "LinuxFacts",
    "NetworkInterface",
    "ServiceState",
    "Snapshot",
    "VhidState",
    "parse",
    "read_script",
]
