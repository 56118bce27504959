"""FreeBSD: kernel, loader.conf, sysctl.conf and the record; rc.conf is left to the two eras' own modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bsdcarp.model import Group, Host, Inventory, Secret
from bsdcarp.platforms import freebsd_pseudo, freebsd_vhid
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.platforms.desired import Desired, DesiredFile, DesiredVhid, KernelNeed
from bsdcarp.platforms.rcfiles import RC_CONF, RcFiles, read_rc_files
from bsdcarp.platforms.record import RECORD_PATH, OwnedVhid, Record, parse_record
from bsdcarp.platforms.templates import render
from bsdcarp.snapshot import Snapshot
from bsdcarp.textfiles.kernconf import KernConf
from bsdcarp.textfiles.loaderconf import LoaderConf
from bsdcarp.textfiles.sysctlconf import SysctlConf

__all__ = ["LOADER_CONF", "SYSCTL_CONF", "desire", "kernconf_path", "shares_address", "vhids_of", "wanted_sysctls"]

SYSCTL_CONF = "/etc/sysctl.conf"
LOADER_CONF = "/boot/loader.conf"


def kernconf_path(host: Host, machine: str = "") -> str:
    """Return where the kernel configuration of ``host`` lives; ``machine`` is what uname -m said, if it was asked."""
    return f"/usr/src/sys/{machine or host.arch}/conf/{host.kernel.ident}"


def vhids_of(inventory: Inventory, host: Host, secrets: Mapping[str, Secret]) -> tuple[DesiredVhid, ...]:
    """Return the host's vhids in ascending order, units not yet assigned."""
    found = []
    for group in inventory.groups_of(host.name):
        member = group.member(host.name)
        if member:
            found.append(
                DesiredVhid(
                    group=group.name,
                    vhid=group.vhid,
                    interface=member.interface,
                    advbase=group.advbase,
                    advskew=member.advskew,
                    password=secrets[group.name],
                    addresses=group.addresses,
                    peer=member.peer,
                    peer6=member.peer6,
                )
            )
    return tuple(found)


def desire(
    inventory: Inventory,
    host: Host,
    secrets: Mapping[str, Secret],
    snapshot: Snapshot | None,
    can: Capabilities,
) -> Desired:
    """Return what a FreeBSD host should be; see ``bsdcarp.platforms.desire``."""
    files = snapshot.files if snapshot else {}
    previous = parse_record(snapshot.text(RECORD_PATH) if snapshot else "")
    vhids = vhids_of(inventory, host, secrets)
    rc = read_rc_files(files)
    if can.syntax == "pseudo":
        vhids = freebsd_pseudo.assign_units(vhids, rc, previous)
    sysctls = wanted_sysctls(host, inventory.groups_of(host.name), can) if vhids else {}
    kernel = _kernel(host, snapshot, can, wanted=bool(vhids))
    keeper = _Keeper(previous)
    merge = freebsd_pseudo.merge if can.syntax == "pseudo" else freebsd_vhid.merge
    merged, names = merge(vhids, previous, rc, snapshot)
    edited = _rc_conf(rc, merged, names, snapshot, keeper)
    edited |= _sysctl_conf(sysctls, snapshot, keeper)
    edited |= _loader_conf(kernel, can, snapshot, keeper)
    edited |= _kernconf(host, kernel, can, snapshot, keeper)
    record = Record(
        vhids=tuple(
            sorted(OwnedVhid(v.unit or v.interface, v.vhid, tuple(a.address for a in v.addresses)) for v in vhids)
        ),
        lines=tuple(sorted(keeper.lines)),
        files=tuple(sorted(keeper.files)),
    )
    if snapshot:
        edited[RECORD_PATH] = DesiredFile(record.text if record else None, mode=0o600)
    return Desired(
        host=host.name,
        capabilities=can,
        files=MappingProxyType(edited),
        sysctls=MappingProxyType(sysctls),
        vhids=vhids,
        kernel=kernel.need,
        module=kernel.module,
        record=record,
        previous=previous,
    )


class _Keeper:
    """Collects what the new record will own: what is written now, and what was owned before and is still wanted."""

    def __init__(self, previous: Record) -> None:
        self.previous = previous
        self.lines: set[tuple[str, str]] = set()
        self.files: set[str] = set()

    def keep(self, path: str, name: str, *, changed: bool) -> None:
        """An assignment that was already right and not bsdcarp's stays the operator's own."""
        if changed or name in self.previous.names(path):
            self.lines.add((path, name))


def wanted_sysctls(host: Host, groups: tuple[Group, ...], can: Capabilities) -> dict[str, int]:
    """Return the leaves of net.inet.carp that ``host`` should have, ``arpbalance: auto`` decided."""
    wish = host.sysctl
    wanted = {name: value for name in ("allow", "preempt", "log") if (value := getattr(wish, name)) is not None}
    if can.arpbalance and wish.arpbalance is not None:
        wanted["arpbalance"] = int(shares_address(groups)) if wish.arpbalance == "auto" else wish.arpbalance
    return {name: value for name, value in wanted.items() if name in can.sysctls}


def shares_address(groups: tuple[Group, ...]) -> bool:
    """Return whether two groups share an address (the set-up that arpbalance is for)."""
    addresses = [address.address for group in groups for address in group.addresses]
    return len(addresses) != len(set(addresses))


@dataclass(frozen=True, slots=True)
class _Kernel:
    """What is needed in the running kernel, and what the boot configuration should say."""

    need: KernelNeed
    module: str = ""
    """The module loader.conf should load, or ""."""
    drop: bool = False
    """Whether a ``carp_load`` line is dangerous here and must go."""
    kernconf: bool = False


def _kernel(host: Host, snapshot: Snapshot | None, can: Capabilities, *, wanted: bool) -> _Kernel:
    running = snapshot.carp if snapshot else "absent"
    # A static carp with carp.ko beside it and carp_load in loader.conf panics at boot (recorded on FreeBSD 12.1).
    drop = running == "static" and can.syntax == "vhid"
    if not wanted:
        return _Kernel("none", drop=drop)
    static = host.kernel.method == "static" or not can.module
    if running == "static":
        return _Kernel("present", drop=drop, kernconf=static)
    if static:
        return _Kernel("static", kernconf=True)
    module = can.module or ""
    return _Kernel("present" if running == "module" else "module", module=module)


def _rc_conf(
    rc: RcFiles, merged: RcFiles, names: tuple[str, ...], snapshot: Snapshot | None, keeper: _Keeper
) -> dict[str, DesiredFile]:
    for name in names:
        path = merged.home(name)
        keeper.keep(path, name, changed=rc.get(name) != merged.get(name))
    return {
        path: DesiredFile(conf.text, secret=True)
        for path, conf in merged.files.items()
        if conf.text or path != RC_CONF or (snapshot and RC_CONF in snapshot.files)
    }


def _sysctl_conf(wanted: Mapping[str, int], snapshot: Snapshot | None, keeper: _Keeper) -> dict[str, DesiredFile]:
    before = snapshot.text(SYSCTL_CONF) if snapshot else ""
    conf = SysctlConf.parse(before)
    fragment = SysctlConf.parse(render("freebsd/sysctl.conf.j2", sysctls=wanted))
    names = {entry.oid: entry.value for entry in fragment.entries}
    for oid in keeper.previous.names(SYSCTL_CONF) - set(names):
        conf = conf.unset(oid)
    for oid, value in names.items():
        changed = conf.get(oid) != value
        if changed:
            conf = conf.set(oid, value)
        keeper.keep(SYSCTL_CONF, oid, changed=changed)
    return _only_if_there(SYSCTL_CONF, conf.text, snapshot)


def _loader_conf(
    kernel: _Kernel, can: Capabilities, snapshot: Snapshot | None, keeper: _Keeper
) -> dict[str, DesiredFile]:
    conf = LoaderConf.parse(snapshot.text(LOADER_CONF) if snapshot else "")
    fragment = LoaderConf.parse(render("freebsd/loader.conf.j2", module=kernel.module))
    names = {entry.name: entry.value for entry in fragment.entries}
    for name in keeper.previous.names(LOADER_CONF) - set(names):
        conf = conf.unset(name)
    if kernel.drop and can.module:
        conf = conf.unset(f"{can.module}_load")
    for name, value in names.items():
        # loader(8) takes YES in any case; an operator's own spelling is left alone.
        changed = (conf.get(name) or "").upper() != value
        if changed:
            conf = conf.set(name, value)
        keeper.keep(LOADER_CONF, name, changed=changed)
    return _only_if_there(LOADER_CONF, conf.text, snapshot)


def _kernconf(
    host: Host, kernel: _Kernel, can: Capabilities, snapshot: Snapshot | None, keeper: _Keeper
) -> dict[str, DesiredFile]:
    path = kernconf_path(host, snapshot.machine if snapshot else "")
    before = snapshot.text(path) if snapshot else ""
    owned = path in keeper.previous.files
    if not kernel.kernconf or (snapshot and not snapshot.sources and not before):
        return {path: DesiredFile(None)} if owned and before else {}
    if before and not owned:
        return {path: DesiredFile(KernConf.parse(before).with_device("carp").text)}
    keeper.files.add(path)
    text = render("freebsd/kernel.j2", ident=host.kernel.ident, include_generic=can.include_generic)
    return {path: DesiredFile(text)}


def _only_if_there(path: str, text: str, snapshot: Snapshot | None) -> dict[str, DesiredFile]:
    """An empty file that does not exist needs no creating."""
    if text or (snapshot and path in snapshot.files):
        return {path: DesiredFile(text)}
    return {}
