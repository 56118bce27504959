"""What a look at a host's kernels tells, as plain data."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from bsdcarp.dataclass import dataclass

__all__ = ["Build", "BuildState", "Disk", "InstalledKernel", "KernelFacts"]

BuildState = Literal["none", "running", "done", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class InstalledKernel:
    """A directory below /boot that holds a kernel."""

    name: str
    static: bool | None
    """Whether the kernel itself has carp; None where it does not tell (no INCLUDE_CONFIG_FILE)."""
    module: str = ""
    """``carp`` or ``if_carp`` where that module lies beside it."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that a directory lies on."""

    filesystem: str = ""
    """``ufs``, ``zfs`` ..."""
    free: int = 0
    """Kilobytes."""


@dataclass(frozen=True, slots=True)
class Build:
    """The build of one configuration, running or over."""

    state: BuildState = "none"
    stamp: str = ""
    """cksum(1) of what it was made from."""
    seconds: int = 0
    """Since it began."""
    lines: int = 0
    """Of its log so far."""
    expected: int = 0
    """Lines of the log of the last build that ended well; 0 where there was none."""
    modules: int = 0
    """Modules that the log has come to."""
    all_modules: int = 0
    """Modules in the source tree."""
    stage: str = ""
    """The last ``>>>`` line of the log."""
    log: tuple[str, ...] = ()
    """Its last 20 lines, when it does not run."""


@dataclass(frozen=True, slots=True)
class KernelFacts:
    """Everything about kernels that a snapshot does not hold."""

    kernels: tuple[InstalledKernel, ...] = ()
    boot: Disk = field(default_factory=Disk)
    obj: Disk = field(default_factory=Disk)
    cpus: int = 1
    sources: str | None = None
    """The release of the source tree (``12.1``), ``unknown`` where it does not tell, None where there is none."""
    stamp: str = ""
    """What a build would be made from now; empty where the kernel configuration is not there."""
    stray: str = ""
    """A carp.ko that every kernel finds, outside the kernels' own directories."""
    build: Build = field(default_factory=Build)

    def kernel(self, name: str) -> InstalledKernel | None:
        """Return the kernel in /boot/``name``, or None."""
        return next((kernel for kernel in self.kernels if kernel.name == name), None)

    @property
    def built(self) -> bool:
        """Whether a kernel was built from what is there now."""
        return self.build.state == "done" and bool(self.stamp) and self.build.stamp == self.stamp
