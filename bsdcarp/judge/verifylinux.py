"""The services of a Linux host and carpd's own account of itself, against what is wanted.

What a vhid is, its parameters, addresses and state, is judged where FreeBSD's are (``verifyvhids``).
"""

from __future__ import annotations

from bsdcarp.judge.notes import Notes
from bsdcarp.platforms.desired import Desired, DesiredService
from bsdcarp.platforms.linux_carpd import CARPD
from bsdcarp.platforms.linux_services import INITS
from bsdcarp.snapshot import CarpdStatus, CarpdVhid, LinuxFacts, Snapshot

__all__ = ["verify_linux"]


def verify_linux(desired: Desired, snapshot: Snapshot, notes: Notes) -> None:
    """Note what differs about services, the daemon, and the real interfaces' sysctls."""
    facts = snapshot.linux or LinuxFacts(init=desired.init)
    for service in desired.services:
        _service(service, desired, facts, notes)
    if any(service.name == CARPD for service in desired.services) and facts.service(CARPD).active == "active":
        if facts.carpd is None:
            notes.error(
                "verify-daemon-silent",
                "carpd runs, but does not answer on /run/bsdcarp/carpd.sock",
                f"look at {_logs(CARPD, desired)}, then restart it",
            )
        else:
            _daemon(facts.carpd, desired, facts, notes)
    for path, wanted in desired.parents.items():
        _parent(path, wanted, facts, notes)


def _logs(name: str, desired: Desired) -> str:
    return INITS[desired.init].logs.format(name=name)


def _service(service: DesiredService, desired: Desired, facts: LinuxFacts, notes: Notes) -> None:
    state, table = facts.service(service.name), INITS[desired.init]
    group = next((v.group for v in desired.vhids if service.vhids == (v.vhid,)), "")
    if state.active != "active":
        what = "does not exist" if state.active == "absent" else f"is {state.active}"
        remedy = f"run apply, then look at {_logs(service.name, desired)}"
        notes.error("verify-service", f"the service {service.name} {what}", remedy, group=group)
    if table.enable and not state.enabled and state.active != "absent":
        notes.error(
            "verify-service-disabled",
            f"the service {service.name} would not start at boot",
            f"run apply, or {table.enable.format(name=service.name)}",
            group=group,
        )
    if state.stale:
        notes.warning(
            "verify-unit-stale",
            f"the unit of {service.name} changed after systemd read it",
            "systemctl daemon-reload, then restart it; apply does both",
            group=group,
        )


def _daemon(status: CarpdStatus, desired: Desired, facts: LinuxFacts, notes: Notes) -> None:
    for name, wanted in desired.sysctls.items():
        found = status.settings.get(name)
        if found != wanted:
            notes.error("verify-setting", f"carpd runs with {name} {found}, not {wanted}", "run apply")
    groups = {(v.interface, v.vhid): v.group for v in desired.vhids}
    real = {(v.interface, v.vhid): v.virtual_mac for v in desired.vhids}
    for vhid in status.vhids:
        key = (vhid.interface, vhid.vhid)
        group = groups.get(key, "")
        where = f"vhid {vhid.vhid} on {vhid.interface}"
        if real.get(key, vhid.virtual_mac) != vhid.virtual_mac:
            kind = "the virtual MAC" if vhid.virtual_mac else "the interface's own MAC"
            notes.error("verify-virtual-mac", f"{where} answers with {kind}", "run apply", group=group)
        if vhid.failover:
            notes.warning(
                "verify-failover",
                f"{where} was sent away by hand and stays so",
                f"carpd ctl failover {vhid.vhid} --undo",
                group=group,
            )
        _presence(vhid, where, facts, notes, group, status)
    for finding in status.findings:
        group = groups.get((finding.interface, finding.vhid), "")
        notes.error("verify-daemon", f"carpd says: {finding.text}", finding.remedy, group=group)


def _presence(vhid: CarpdVhid, where: str, facts: LinuxFacts, notes: Notes, group: str, status: CarpdStatus) -> None:
    """A daemon may believe what it likes: the kernel has the addresses or has not."""
    texts = [address.partition("/")[0] for address in vhid.addresses]
    if vhid.state == "MASTER":
        missing = [text for text in texts if text not in facts.held]
        if missing:
            notes.error(
                "verify-address-absent",
                f"{where} is MASTER, but no interface has {', '.join(missing)}",
                "somebody took it away: look at the log, then restart carpd",
                group=group,
            )
        return
    # With arpbalance another vhid of this host may hold the same address.
    elsewhere = {a.partition("/")[0] for v in status.vhids if v.state == "MASTER" for a in v.addresses}
    stale = [text for text in texts if text in facts.held and text not in elsewhere]
    if stale:
        notes.error(
            "verify-address-stale",
            f"{where} is {vhid.state}, but an interface still has {', '.join(stale)}, so two hosts may answer for it",
            "ip addr del, or restart carpd",
            group=group,
        )


def _parent(path: str, wanted: int, facts: LinuxFacts, notes: Notes) -> None:
    name, leaf = path.rpartition("/")[0], path.rpartition("/")[2]
    values = [facts.sysctls.get(path), facts.sysctls.get(f"{name.rpartition('/')[0]}/all/{leaf}")]
    known = [value for value in values if value is not None]
    # The kernel takes the higher of the two (ip-sysctl.rst).
    if known and max(known) < wanted:
        notes.error(
            "verify-parent-sysctl",
            f"{path} is {max(known)}, so the interface may answer for a shared address with its own MAC",
            f"run apply, or sysctl -w {path}={wanted}",
        )
