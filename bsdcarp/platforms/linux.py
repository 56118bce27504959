"""Linux: the configuration of bsdcarp's own daemon, as one JSON file."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bsdcarp.errors import PlanError
from bsdcarp.model import Host, Inventory, Secret
from bsdcarp.platforms import freebsd
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.platforms.desired import Desired, DesiredFile
from bsdcarp.platforms.paths import CARPD_CONFIG, LINUX_RECORD_PATH
from bsdcarp.platforms.record import OwnedVhid, Record, parse_record
from bsdcarp.platforms.templates import render
from bsdcarp.snapshot import Snapshot

__all__ = ["desire"]


def desire(
    inventory: Inventory,
    host: Host,
    secrets: Mapping[str, Secret],
    snapshot: Snapshot | None,
    can: Capabilities,
) -> Desired:
    """Return what a Linux host should be; see ``bsdcarp.platforms.desire``."""
    if host.backend != "carpd":
        raise PlanError(
            f"backend {host.backend} is not supported yet", place=host.name, remedy="write `backend: carpd`"
        )
    previous = parse_record(snapshot.text(LINUX_RECORD_PATH) if snapshot else "")
    vhids = freebsd.vhids_of(inventory, host, secrets)
    files: dict[str, DesiredFile] = {}
    if vhids:
        wish = host.sysctl
        groups = inventory.groups_of(host.name)
        shared = freebsd.shares_address(groups)
        settings = {
            "allow": 1 if wish.allow is None else wish.allow,
            "preempt": 0 if wish.preempt is None else wish.preempt,
            "log": 1 if wish.log is None else wish.log,
            "arpbalance": int(shared) if wish.arpbalance in (None, "auto") else wish.arpbalance,
        }
        text = render("linux/carpd.json.j2", settings=settings, vhids=vhids)
        files[CARPD_CONFIG] = DesiredFile(text, mode=0o600, secret=True)
    elif CARPD_CONFIG in previous.files:
        files[CARPD_CONFIG] = DesiredFile(None)
    record = Record(
        vhids=tuple(sorted(OwnedVhid(v.interface, v.vhid, tuple(a.address for a in v.addresses)) for v in vhids)),
        files=(CARPD_CONFIG,) if vhids else (),
    )
    if snapshot:
        files[LINUX_RECORD_PATH] = DesiredFile(record.text if record else None, mode=0o600)
    return Desired(
        host=host.name,
        capabilities=can,
        files=MappingProxyType(files),
        vhids=vhids,
        kernel="none",
        record=record,
        previous=previous,
    )
