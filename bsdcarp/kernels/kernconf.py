"""The kernel configuration of a host: one of bsdcarp's own, or the operator's with carp in it."""

from __future__ import annotations

from bsdcarp.errors import PlanError
from bsdcarp.model import Host
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.platforms.paths import RECORD_PATH, kernconf_path
from bsdcarp.platforms.record import parse_record
from bsdcarp.platforms.templates import render
from bsdcarp.snapshot import Snapshot
from bsdcarp.textfiles.kernconf import KernConf

__all__ = ["kernconf_text"]


def kernconf_text(host: Host, can: Capabilities, snapshot: Snapshot | None = None) -> str:
    """Return the text of the kernel configuration; a file that is there and not bsdcarp's only gets ``device carp``.

    Raises ``PlanError`` when the host is of another architecture than the inventory says.
    """
    path = kernconf_path(host)
    if snapshot and snapshot.machine not in ("", host.arch):
        raise PlanError(
            f"the inventory says arch {host.arch}, but the host is {snapshot.machine}",
            place=host.name,
            remedy=f"write `arch: {snapshot.machine}` at {host.place}",
        )
    before = snapshot.text(path) if snapshot else ""
    if snapshot and before and path not in parse_record(snapshot.text(RECORD_PATH)).files:
        return KernConf.parse(before).with_device("carp").text
    return render("freebsd/kernel.j2", ident=host.kernel.ident, include_generic=can.include_generic)
