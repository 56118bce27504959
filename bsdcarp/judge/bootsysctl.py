"""The sysctls of net.inet.carp at boot: loader tunable, first pass over sysctl.conf, sysctl.kld.d, last pass.

rc.d/sysctl runs before rc.d/kld and rc.d/netif and skips names that do not exist yet; the same files are read once
more late in the boot (rc.d/securelevel up to 13, rc.d/sysctl_lastload from 14 on).  So a carp that arrives in between
runs with the kernel's own values for a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

from bsdcarp.dataclass import dataclass
from bsdcarp.judge.bootkernel import Loader
from bsdcarp.judge.bootstate import BootCarp
from bsdcarp.judge.notes import Notes
from bsdcarp.judge.sysctllines import PREFIX, SysctlLine, read_sysctl_lines
from bsdcarp.model import Place
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.snapshot import Snapshot

__all__ = ["DEFAULTS", "SYSCTL_CONF", "SYSCTL_KLD", "SysctlPasses", "boot_sysctls"]

SYSCTL_CONF = "/etc/sysctl.conf"
SYSCTL_KLD = "/etc/sysctl.kld.d/carp.conf"
_FILES = (SYSCTL_CONF, f"{SYSCTL_CONF}.local")

DEFAULTS: Mapping[str, int] = MappingProxyType(
    {
        "allow": 1,
        "preempt": 0,
        "log": 1,
        "arpbalance": 0,
        "suppress_preempt": 0,
        "demotion": 0,
        "ifdown_demotion_factor": 240,
        "senderr_demotion_factor": 240,
        "dscp": 56,
    }
)
"""What the kernel starts with; sys/netinet/ip_carp.c of every release."""

_READ_ONLY = frozenset({"suppress_preempt", "stats"})


@dataclass(frozen=True, slots=True)
class SysctlPasses:
    """Values when rc.d/netif runs and after the last pass, and the lines that decide the latter."""

    at_netif: Mapping[str, int]
    final: Mapping[str, int]
    places: Mapping[str, Place]
    overridden: Mapping[str, tuple[tuple[Place, int], ...]] = field(default_factory=lambda: MappingProxyType({}))
    """By leaf: earlier lines with another value, which a later one undoes."""


def boot_sysctls(snapshot: Snapshot, can: Capabilities, carp: BootCarp, loader: Loader, notes: Notes) -> SysctlPasses:
    """Follow the boot through every file that sets a leaf of net.inet.carp."""
    values = {leaf: value for leaf, value in DEFAULTS.items() if leaf in can.sysctls}
    places: dict[str, Place] = {}
    silent = _tunables(snapshot, can, loader, notes, values, places)
    lines = [(path, line) for path in _FILES for line in _read(snapshot, path, can, notes)]
    overridden: dict[str, list[tuple[Place, int]]] = {}
    for path, line in lines:
        if line.leaf in values and line.value is not None:
            overridden.setdefault(line.leaf, []).append((notes.place(path, line.line), line.value))
    if carp.before_sysctl:
        _apply(values, lines)
    elif carp.source == "kld" and can.sysctl_kld_d:
        kld = _read(snapshot, SYSCTL_KLD, can, notes)
        _apply(values, [(SYSCTL_KLD, line) for line in kld])
        places.update({line.leaf: notes.place(SYSCTL_KLD, line.line) for line in kld if line.value is not None})
    at_netif = dict(values)
    _apply(values, lines)
    if silent:
        _silenced(values, silent, notes)
    for path, line in lines:
        if line.leaf in values and line.value is not None:
            places[line.leaf] = notes.place(path, line.line)
    return SysctlPasses(
        at_netif=at_netif,
        final=values,
        places=places,
        overridden={
            leaf: tuple(found) for leaf, found in overridden.items() if any(value != found[-1][1] for _, value in found)
        },
    )


def _apply(values: dict[str, int], lines: list[tuple[str, SysctlLine]]) -> None:
    for _, line in lines:
        if line.value is None or line.leaf not in values:
            continue
        if line.leaf == "demotion":
            values["demotion"] += line.value
        elif line.leaf not in _READ_ONLY:
            values[line.leaf] = line.value


def _read(snapshot: Snapshot, path: str, can: Capabilities, notes: Notes) -> list[SysctlLine]:
    if path not in snapshot.files:
        return []
    found = read_sysctl_lines(snapshot.files[path].text, can.syntax)
    for line in found:
        _judge(line, path, snapshot, can, notes)
    return found


def _judge(line: SysctlLine, path: str, snapshot: Snapshot, can: Capabilities, notes: Notes) -> None:
    place = notes.place(path, line.line)
    name = f"{PREFIX}{line.leaf}"
    if line.leaf not in can.sysctls:
        notes.warning(
            "persist-sysctl-unknown",
            f"{name} does not exist on {snapshot.release}; every boot complains about this line",
            "remove it",
            place,
        )
    elif line.leaf in _READ_ONLY:
        notes.warning("persist-sysctl-read-only", f"{name} cannot be set", "remove the line", place)
    elif line.wrong:
        notes.warning(
            "persist-sysctl-odd",
            f"{snapshot.release} ignores this line for {name}: {line.wrong}",
            f"write it as {name}=NUMBER on a line of its own",
            place,
        )
    elif line.leaf == "demotion" and line.value:
        notes.error(
            "persist-sysctl-demotion",
            f"{name} adds to the counter each time the file is read, and a boot reads it twice",
            "remove the line; a drained host does not need it after a reboot",
            place,
        )


def _tunables(
    snapshot: Snapshot,
    can: Capabilities,
    loader: Loader,
    notes: Notes,
    values: dict[str, int],
    places: dict[str, Place],
) -> Place | None:
    """Apply loader tunables; return the place of one that keeps the host silent."""
    silent = None
    for name in loader.origins:
        if not name.startswith(PREFIX):
            continue
        leaf, origin, value = name.removeprefix(PREFIX), loader.origin(name), loader.get(name)
        place = notes.place(origin.path, origin.line)
        if leaf != "allow" or not can.allow_tunable:
            notes.warning(
                "persist-loader-sysctl",
                f"{name} is no loader tunable on {snapshot.release}; this line does nothing",
                f"move it to {SYSCTL_CONF}",
                place,
            )
        elif value.isascii() and value.isdecimal():
            values[leaf] = int(value)
            places[leaf] = place
            silent = None if values[leaf] else place
    return silent


def _silenced(values: Mapping[str, int], place: Place, notes: Notes) -> None:
    """From 11 on, allow=0 holds every vhid in INIT."""
    name = f"{PREFIX}allow"
    if values["allow"]:
        notes.info("persist-allow-tunable", f"{name}=0 holds until sysctl.conf is read", "", place)
    else:
        notes.error(
            "persist-allow-tunable",
            f"{name}=0 keeps every vhid in INIT after the boot",
            f"remove the line, or write {name}=1 into {SYSCTL_CONF}",
            place,
        )
