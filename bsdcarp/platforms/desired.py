"""What a host should be: whole files and live state, as data.  Built by ``desire``, read by plan and judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.model import Secret, Vip
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.platforms.record import Record
from bsdcarp.snapshot import InitSystem

__all__ = ["Desired", "DesiredFile", "DesiredProgram", "DesiredService", "DesiredVhid", "KernelNeed"]

KernelNeed = Literal["none", "present", "module", "static"]
"""What is still missing for carp in the running kernel: no group wants it, it is there, a module, a new kernel."""


@dataclass(frozen=True, slots=True)
class DesiredFile:
    """A file's whole text, or None when it should not exist; ``mode`` is used only when it has to be created."""

    text: str | None = field(repr=False)
    mode: int = 0o644
    secret: bool = False
    """Whether it may hold passwords."""
    hidden: bool = False
    """Whether the whole of it is one."""


@dataclass(frozen=True, slots=True)
class DesiredProgram:
    """A file of bytes that nobody wants to see a diff of, or None when it should not exist."""

    data: bytes | None = field(repr=False)
    title: str = ""
    """What a plan calls it: name and version."""
    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class DesiredService:
    """A service of Linux that should run now and after a boot."""

    name: str
    """Without ``.service``."""
    vhids: tuple[int, ...]
    """What it speaks for."""
    described_by: str
    """The file that tells the init system about it."""
    restarted_by: tuple[str, ...] = ()
    """Paths whose change needs a restart."""
    reloaded_by: tuple[str, ...] = ()
    """Paths whose change needs no more than a reload."""


@dataclass(frozen=True, slots=True)
class DesiredVhid:
    """One group as one host carries it."""

    group: str
    vhid: int
    interface: str
    """The real interface, also where FreeBSD <= 9 picks it by subnet itself."""
    advbase: int
    advskew: int
    password: Secret
    addresses: tuple[Vip, ...]
    peer: str | None = None
    peer6: str | None = None
    unit: str = ""
    """``carpN`` on FreeBSD <= 9, empty elsewhere."""
    virtual_mac: bool = True
    """Linux: whether the addresses answer with the virtual MAC."""


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything one host should have, files and live state side by side."""

    host: str
    capabilities: Capabilities
    files: Mapping[str, DesiredFile]
    """By absolute path.  Files that bsdcarp has no opinion about are not there."""
    sysctls: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Leaves of net.inet.carp; on Linux the daemon's settings of the same names."""
    vhids: tuple[DesiredVhid, ...] = ()
    """In ascending vhid order."""
    programs: Mapping[str, DesiredProgram] = field(default_factory=lambda: MappingProxyType({}))
    """By absolute path."""
    services: tuple[DesiredService, ...] = ()
    """Linux: what has to run."""
    parents: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Linux: what the real interfaces need, by path below /proc/sys; a higher value serves as well."""
    init: InitSystem = "systemd"
    """Linux: what starts the services."""
    kernel: KernelNeed = "none"
    module: str = ""
    """``carp`` or ``if_carp`` where the kernel should have it as a module."""
    record: Record = field(default_factory=Record)
    """What bsdcarp will have put on this host."""
    previous: Record = field(default_factory=Record)
    """What it had put there before, as the host's own record says."""

    def on(self, interface: str) -> tuple[DesiredVhid, ...]:
        """Return the vhids that ``interface`` carries."""
        return tuple(vhid for vhid in self.vhids if vhid.interface == interface)
