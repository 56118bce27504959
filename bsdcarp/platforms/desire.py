"""Inventory and, if there is one, snapshot of a host -> what that host should be.  Pure."""

from __future__ import annotations

from collections.abc import Mapping

from bsdcarp.errors import PlanError
from bsdcarp.model import Host, Inventory, Release, Secret
from bsdcarp.platforms import freebsd, linux
from bsdcarp.platforms.capabilities import capabilities
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import Snapshot

__all__ = ["desire"]


def desire(inventory: Inventory, host: Host, secrets: Mapping[str, Secret], snapshot: Snapshot | None) -> Desired:
    """Return what ``host`` should be.

    ``secrets`` holds a password per group name.  Without a snapshot every file is taken to be empty and the release
    comes from the inventory.  Raises ``PlanError`` when the two cannot be brought together, ``TextFileError`` when a
    file on the host cannot be edited losslessly.
    """
    release = snapshot.release if snapshot else host.os
    if release is None:
        raise PlanError(
            "the release is unknown", place=f"{host.place}" or host.name, remedy=f"write `os:` for host {host.name}"
        )
    if snapshot and host.os:
        _same_system(host, host.os, snapshot.release)
    build = linux.desire if release.family == "linux" else freebsd.desire
    return build(inventory, host, secrets, snapshot, capabilities(release))


def _same_system(host: Host, said: Release, found: Release) -> None:
    """An inventory that is wrong about the era of a host would have been judged by the wrong rules."""
    said_can, found_can = capabilities(said), capabilities(found)
    if said_can.syntax != found_can.syntax or said_can.arpbalance != found_can.arpbalance:
        raise PlanError(
            f"the inventory says {said}, but the host runs {found}, which configures CARP differently",
            place=host.name,
            remedy=f"write `os: {found}` at {host.place}",
        )
