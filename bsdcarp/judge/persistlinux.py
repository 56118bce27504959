"""Would a Linux host come up with its vhids?  Its units, what overrides them, sysctl.d, and the network's own files."""

from __future__ import annotations

from bsdcarp.judge.bootlinux import assignments, deciding, idle_interface
from bsdcarp.judge.files import compare_files
from bsdcarp.judge.notes import Notes
from bsdcarp.platforms.desired import Desired, DesiredService
from bsdcarp.platforms.linux_carpd import CARPD
from bsdcarp.platforms.linux_rclocal import hook_path
from bsdcarp.platforms.linux_services import INITS, unit_name
from bsdcarp.platforms.paths import LINUX_SYSCTL_PATH
from bsdcarp.snapshot import LinuxFacts, Snapshot

__all__ = ["persist_linux"]


def persist_linux(desired: Desired, snapshot: Snapshot, notes: Notes) -> None:
    """Note what the next boot would get wrong."""
    facts = snapshot.linux or LinuxFacts(init=desired.init)
    compare_files(desired, snapshot, notes, prefix="persist")
    for service in desired.services:
        _service(service, desired, facts, notes)
    wanted = {service.name for service in desired.services}
    for name in dict.fromkeys(map(unit_name, desired.previous.files)):
        if name and name not in wanted and facts.service(name).enabled:
            remedy = "run apply, which removes what bsdcarp once put there"
            notes.error("persist-stale", f"{name} is no longer wanted, but would start at boot", remedy)
    if CARPD in wanted and not facts.python:
        notes.error("persist-python", "there is no /usr/bin/python3, so carpd would not start", "install Python 3")
    if desired.init == "sh" and CARPD in wanted:
        _hook(snapshot, facts, notes)
    files = {path: state.text for path, state in snapshot.files.items()}
    _sysctls(desired, files, notes)
    for interface in dict.fromkeys(v.interface for v in desired.vhids):
        idle = idle_interface(interface, files)
        if idle:
            notes.error(
                "persist-interface-idle",
                f"{interface} would not be brought up at boot, and with it no vhid on it: {idle.reason}",
                idle.remedy,
                notes.place(idle.path, idle.line),
                interface=interface,
            )


def _service(service: DesiredService, desired: Desired, facts: LinuxFacts, notes: Notes) -> None:
    state, table, name = facts.service(service.name), INITS[desired.init], service.name
    place = notes.place(service.described_by)
    if state.masked:
        notes.error("persist-masked", f"{name} is masked and would not start", f"systemctl unmask {name}", place)
    elif table.enable and not state.enabled:
        remedy = f"run apply, or {table.enable.format(name=name)}"
        notes.error("persist-service", f"{name} is not enabled, so it would not start at boot", remedy, place)
    if state.fragment and state.fragment != service.described_by and not state.masked:
        notes.error(
            "persist-unit-other",
            f"systemd takes {name} from this file, not from {service.described_by}",
            "remove it, then systemctl daemon-reload",
            notes.place(state.fragment),
        )
    if state.stale:
        notes.warning(
            "persist-unit-stale",
            f"the unit files of {name} are not those that systemd has read; a boot reads them",
            "systemctl daemon-reload, then ask again",
            place,
        )
    for dropin in state.dropins:
        notes.warning(
            "persist-dropin",
            f"this file changes what systemd does with {name}; what it says is not judged",
            "see with systemctl cat what comes of it",
            notes.place(dropin),
        )


def _hook(snapshot: Snapshot, facts: LinuxFacts, notes: Notes) -> None:
    path = hook_path(frozenset(snapshot.files))
    if path in snapshot.files and path not in facts.executable:
        notes.error("persist-boot-hook", "it is not executable, so no boot runs it", "chmod +x it", notes.place(path))


def _sysctls(desired: Desired, files: dict[str, str], notes: Notes) -> None:
    """Carpd sets them again when it starts, so a wrong line only counts for whoever applies the files later."""
    entries = assignments(files)
    for name, wanted in desired.parents.items():
        last = deciding(name, entries)
        if last and last.path != LINUX_SYSCTL_PATH and (not last.value.isdecimal() or int(last.value) < wanted):
            notes.warning(
                "persist-sysctl-overridden",
                f"{name} would be {last.value}: this line comes after {LINUX_SYSCTL_PATH}; carpd raises it when it "
                "starts, but sysctl --system takes it back",
                "remove it",
                notes.place(last.path, last.line),
            )
