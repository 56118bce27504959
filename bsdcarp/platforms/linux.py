"""Linux: what one of the two backends needs, and what bsdcarp put there before and is no longer wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from bsdcarp.model import Host, Inventory, Secret
from bsdcarp.platforms import freebsd
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.platforms.desired import Desired, DesiredFile, DesiredProgram
from bsdcarp.platforms.linux_carpd import Part, carpd_part, carpd_settings
from bsdcarp.platforms.linux_rclocal import hook_path, with_hook, without_hook
from bsdcarp.platforms.linux_services import default_init
from bsdcarp.platforms.linux_ucarp import holds_password, ucarp_part
from bsdcarp.platforms.paths import CARPD_PROGRAM, LINUX_RECORD_PATH
from bsdcarp.platforms.record import OwnedVhid, Record, parse_record
from bsdcarp.snapshot import InitSystem, Snapshot

__all__ = ["desire"]

_HOOK_NAME = "bsdcarp-carpd"


def desire(
    inventory: Inventory,
    host: Host,
    secrets: Mapping[str, Secret],
    snapshot: Snapshot | None,
    can: Capabilities,
) -> Desired:
    """Return what a Linux host should be; see ``bsdcarp.platforms.desire``."""
    previous = parse_record(snapshot.text(LINUX_RECORD_PATH) if snapshot else "")
    vhids = freebsd.vhids_of(inventory, host, secrets)
    init: InitSystem = snapshot.linux.init if snapshot and snapshot.linux else default_init(host.os)
    if host.backend == "ucarp":
        vhids = tuple(replace(v, virtual_mac=False) for v in vhids)
        part = ucarp_part(host, vhids, snapshot)
    else:
        vhids = tuple(replace(v, virtual_mac=host.virtual_mac) for v in vhids)
        settings = carpd_settings(host, shared=freebsd.shares_address(inventory.groups_of(host.name)))
        part = carpd_part(host, vhids, settings, init)
    hook = _hook(part, init, snapshot, previous)
    record = Record(
        vhids=tuple(sorted(OwnedVhid(v.interface, v.vhid, tuple(a.address for a in v.addresses)) for v in vhids)),
        lines=tuple(sorted((path, _HOOK_NAME) for path, file in hook.items() if file.text and part.services)),
        files=tuple(sorted([*part.files, *part.programs])),
    )
    files = {**part.files, **hook}
    for path in previous.files:
        if path not in record.files and path != CARPD_PROGRAM:
            files[path] = DesiredFile(None, hidden=holds_password(path))
    programs = dict(part.programs)
    if CARPD_PROGRAM in previous.files and CARPD_PROGRAM not in programs:
        programs[CARPD_PROGRAM] = DesiredProgram(None)
    if snapshot:
        files[LINUX_RECORD_PATH] = DesiredFile(record.text if record else None, mode=0o600)
    return Desired(
        host=host.name,
        capabilities=can,
        files=MappingProxyType(files),
        programs=MappingProxyType(programs),
        services=part.services,
        sysctls=part.settings,
        parents=part.parents,
        init=init,
        vhids=vhids,
        kernel="none",
        record=record,
        previous=previous,
    )


def _hook(part: Part, init: InitSystem, snapshot: Snapshot | None, previous: Record) -> dict[str, DesiredFile]:
    """Return rc.local with its line where that starts the daemon, without it where it once did."""
    there = snapshot.files if snapshot else {}
    path = hook_path(frozenset(there))
    before = snapshot.text(path) if snapshot else ""
    if init == "sh" and part.services:
        return {path: DesiredFile(with_hook(before), mode=0o755)}
    return {
        old: DesiredFile(without_hook(snapshot.text(old)) or None)
        for old, name in previous.lines
        if snapshot and name == _HOOK_NAME and old in there
    }
