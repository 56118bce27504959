"""df(1): what /boot lies on and what is left there, and the memory of a ZFS pool that survives a boot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bsdcarp.lab.reply import Call, Reply, text

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine

__all__ = ["Disk", "df"]


@dataclass(slots=True)
class Disk:
    """The one disk of a machine."""

    filesystem: Literal["ufs", "zfs"] = "ufs"
    free: int = 20_000_000
    """Kilobytes."""
    nvstore: dict[str, str] = field(default_factory=dict)
    """What zfsbootcfg(8) keeps in the label of the pool, where the loader can change it (FreeBSD 13.0 and later)."""


def df(machine: Machine, call: Call) -> Reply:
    """Answer with one line, ``-T`` with the type; FreeBSD 7 has no -T."""
    letters = {letter for word in call.args if word.startswith("-") for letter in word[1:]}
    disk = machine.disk
    if "T" in letters and machine.release.version < (8, 0):
        return text(stderr="df: illegal option -- T\n", status=64)
    device = "zroot/ROOT/default" if disk.filesystem == "zfs" else "/dev/vtbd0p2"
    title, kind = ("  Type", f"  {disk.filesystem}") if "T" in letters else ("", "")
    size = 40_000_000
    row = f"{device}{kind} {size} {size - disk.free} {disk.free} {100 - 100 * disk.free // size}% /"
    return text(f"Filesystem{title} 1024-blocks Used Avail Capacity Mounted on\n{row}\n")
