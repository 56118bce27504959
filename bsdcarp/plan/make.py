"""The one function that compares, and the order in which its changes have to run."""

from __future__ import annotations

from collections.abc import Iterator

from bsdcarp.model import Finding, Severity
from bsdcarp.plan import live_pseudo, live_vhid
from bsdcarp.plan.change import FileChange, LiveChange, Plan
from bsdcarp.plan.command import command
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import Snapshot

__all__ = ["plan"]


def plan(desired: Desired, snapshot: Snapshot) -> Plan:
    """Return what turns ``snapshot`` into ``desired``; empty when nothing has to change."""
    live: list[LiveChange] = []
    notes: list[Finding] = []
    reachable = desired.kernel != "static" or snapshot.carp != "absent"
    if not reachable:
        notes.append(_no_kernel(desired))
    if desired.kernel == "module":
        live.append(
            LiveChange(
                "carp into the kernel",
                command("kldload", desired.module),
                () if desired.capabilities.syntax == "pseudo" else (command("kldunload", desired.module),),
            )
        )
    if reachable:
        live += _sysctls(desired, snapshot)
        era = live_pseudo if desired.capabilities.syntax == "pseudo" else live_vhid
        if desired.capabilities.syntax != "linux":
            live += era.changes(desired, snapshot)
    return Plan(desired.host, tuple(_files(desired, snapshot)), tuple(live), tuple(notes))


def _files(desired: Desired, snapshot: Snapshot) -> Iterator[FileChange]:
    for path, wanted in desired.files.items():
        state = snapshot.files.get(path)
        before = state.text if state else None
        if before != wanted.text:
            yield FileChange(path, before, wanted.text, wanted.mode)


def _sysctls(desired: Desired, snapshot: Snapshot) -> Iterator[LiveChange]:
    for name, value in desired.sysctls.items():
        before = snapshot.sysctls.get(name)
        if before != value:
            undo = () if before is None else (command(f"sysctl net.inet.carp.{name}={before}"),)
            yield LiveChange(f"net.inet.carp.{name}", command(f"sysctl net.inet.carp.{name}={value}"), undo)


def _no_kernel(desired: Desired) -> Finding:
    return Finding(
        "kernel-without-carp",
        Severity.WARNING,
        "the running kernel has no carp and this release has no module for it, so nothing can go live yet",
        "build and boot a kernel with `device carp`, then apply again",
        host=desired.host,
    )
