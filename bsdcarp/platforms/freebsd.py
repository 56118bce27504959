"""FreeBSD: kernel, loader.conf, sysctl.conf and the record; rc.conf is left to the two eras' own modules."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import PlanError
from bsdcarp.model import Group, Host, Inventory, Secret
from bsdcarp.platforms import freebsd_pseudo, freebsd_vhid
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.platforms.carpunits import assign_units
from bsdcarp.platforms.desired import Desired, DesiredFile, DesiredVhid, KernelNeed
from bsdcarp.platforms.paths import RECORD_PATH, kernconf_path
from bsdcarp.platforms.rcfiles import RC_CONF, RcFiles, read_rc_files
from bsdcarp.platforms.record import OwnedVhid, Record, parse_record
from bsdcarp.platforms.templates import render
from bsdcarp.snapshot import Snapshot
from bsdcarp.textfiles.kernconf import KernConf
from bsdcarp.textfiles.loaderconf import LoaderConf
from bsdcarp.textfiles.sysctlconf import SysctlConf

__all__ = ["LOADER_CONF", "SYSCTL_CONF", "desire", "shares_address", "vhids_of", "wanted_sysctls"]

SYSCTL_CONF = "/etc/sysctl.conf"
SYSCTL_CONF_LOCAL = "/etc/sysctl.conf.local"
LOADER_CONF = "/boot/loader.conf"


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
    previous = parse_record(snapshot.text(RECORD_PATH) if snapshot else "")
    vhids = vhids_of(inventory, host, secrets)
    rc = read_rc_files(snapshot, netif=can.netif_reads_netif)
    if can.syntax == "pseudo":
        vhids = assign_units(vhids, rc, previous, snapshot)
    sysctls = wanted_sysctls(host, inventory.groups_of(host.name), can) if vhids else {}
    kernel = _kernel(host, snapshot, can, wanted=bool(vhids))
    keeper = _Keeper(previous)
    merge = freebsd_pseudo.merge if can.syntax == "pseudo" else freebsd_vhid.merge
    merged, names = merge(vhids, previous, rc, snapshot)
    keeper.lines |= {(merged.home(name), name) for name in names}
    edited = _rc_conf(merged, snapshot)
    edited |= _sysctl_conf(sysctls, can, snapshot, keeper)
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
    """Whether a kernel configuration is part of it."""
    keep: bool = False
    """Whether bsdcarp's own line in loader.conf stays although it will not be needed for long."""


def _kernel(host: Host, snapshot: Snapshot | None, can: Capabilities, *, wanted: bool) -> _Kernel:
    running = snapshot.carp if snapshot else "absent"
    if not wanted:
        return _Kernel("none")
    static = host.kernel.method == "static" or not can.module
    if running == "static":
        # A static carp with carp.ko beside it and carp_load in loader.conf panics at boot (recorded on FreeBSD 12.1).
        return _Kernel("present", drop=can.syntax == "vhid", kernconf=static)
    if static:
        # Until the new kernel runs, the next boot still needs the module.
        return _Kernel("static", kernconf=True, keep=running == "module")
    module = can.module or ""
    return _Kernel("present" if running == "module" else "module", module=module)


def _rc_conf(merged: RcFiles, snapshot: Snapshot | None) -> dict[str, DesiredFile]:
    return {
        path: DesiredFile(conf.text, secret=True)
        for path, conf in merged.files.items()
        if conf.text or path != RC_CONF or (snapshot and RC_CONF in snapshot.files)
    }


def _sysctl_conf(
    wanted: Mapping[str, int], can: Capabilities, snapshot: Snapshot | None, keeper: _Keeper
) -> dict[str, DesiredFile]:
    paths = (SYSCTL_CONF, SYSCTL_CONF_LOCAL)
    confs = {path: SysctlConf.parse(snapshot.text(path) if snapshot else "") for path in paths}
    fragment = SysctlConf.parse(render("freebsd/sysctl.conf.j2", sysctls=wanted))
    names = {entry.oid: entry.value for entry in fragment.entries}
    for path in paths:
        for oid in keeper.previous.names(path) - set(names):
            confs[path] = confs[path].unset(oid)
    for oid, value in names.items():
        # sysctl.conf.local is read last, so where it says something, that counts.
        path = SYSCTL_CONF if confs[SYSCTL_CONF_LOCAL].get(oid) is None else SYSCTL_CONF_LOCAL
        before = confs[path]
        # The sh loop of FreeBSD 9 and before takes less than sysctl -f does.
        confs[path] = before.set(oid, value, strict=can.syntax == "pseudo")
        keeper.keep(path, oid, changed=confs[path] != before)
    return {k: v for path in paths for k, v in _only_if_there(path, confs[path].text, snapshot).items()}


def _loader_conf(
    kernel: _Kernel, can: Capabilities, snapshot: Snapshot | None, keeper: _Keeper
) -> dict[str, DesiredFile]:
    conf = LoaderConf.parse(snapshot.text(LOADER_CONF) if snapshot else "")
    fragment = LoaderConf.parse(render("freebsd/loader.conf.j2", module=kernel.module))
    names = {entry.name: entry.value for entry in fragment.entries}
    for name in keeper.previous.names(LOADER_CONF) - set(names):
        if kernel.keep:
            keeper.keep(LOADER_CONF, name, changed=False)
        else:
            conf = conf.unset(name)
    dropped: dict[str, DesiredFile] = {}
    if kernel.drop and can.module:
        load = f"{can.module}_load"
        conf = _without_load(conf, load)
        for path in snapshot.files if snapshot else ():
            if path.startswith((f"{LOADER_CONF}.local", f"{LOADER_CONF}.d/")) and snapshot:
                before = LoaderConf.parse(snapshot.text(path))
                after = _without_load(before, load)
                dropped |= {path: DesiredFile(after.text)} if after != before else {}
    for name, value in names.items():
        # loader(8) takes YES in any case; an operator's own spelling is left alone.
        changed = (conf.get(name) or "").upper() != value
        if changed:
            conf = conf.set(name, value)
        keeper.keep(LOADER_CONF, name, changed=changed)
    return _only_if_there(LOADER_CONF, conf.text, snapshot) | dropped


def _without_load(conf: LoaderConf, name: str) -> LoaderConf:
    return conf.unset(name) if any(e.name == name and e.value.upper() == "YES" for e in conf.entries) else conf


def _kernconf(
    host: Host, kernel: _Kernel, can: Capabilities, snapshot: Snapshot | None, keeper: _Keeper
) -> dict[str, DesiredFile]:
    path = kernconf_path(host)
    before = snapshot.text(path) if snapshot else ""
    owned = path in keeper.previous.files
    if kernel.kernconf and snapshot and snapshot.machine not in ("", host.arch):
        raise PlanError(
            f"the inventory says arch {host.arch}, but the host is {snapshot.machine}",
            place=host.name,
            remedy=f"write `arch: {snapshot.machine}` at {host.place}",
        )
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
