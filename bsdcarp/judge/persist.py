"""Would this survive a reboot?  The next boot, worked out from the host's files alone, against what is wanted.

``boot`` follows the files in rc's order and says what goes wrong by itself; here its result is compared with the
inventory's wish, and with what runs now and is in no file.
"""

from __future__ import annotations

from bsdcarp.judge.bootorder import boot
from bsdcarp.judge.bootstate import BootState
from bsdcarp.judge.notes import Notes
from bsdcarp.judge.persistlinux import persist_linux
from bsdcarp.judge.persistlive import note_vanishing
from bsdcarp.judge.persistvhids import compare_vhids, concerned
from bsdcarp.judge.sysctllines import PREFIX
from bsdcarp.model import Finding, Severity
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import Snapshot

__all__ = ["persist"]

_ABOUT_CARP = frozenset(
    {
        "persist-carp-absent",
        "persist-kernel-other",
        "persist-kernel-replaced",
        "persist-kld-list",
        "persist-module-missing",
    }
)


def persist(desired: Desired, snapshot: Snapshot) -> list[Finding]:
    """Return what the next boot would get wrong, each finding with the file and line it comes from.

    An empty list means that the host comes up as ``desired`` says.  No live state counts as proof; it only serves to
    tell what would vanish.
    """
    if desired.capabilities.syntax == "linux":
        notes = Notes(desired.host)
        persist_linux(desired, snapshot, notes)
        return _sorted(notes)
    state = boot(snapshot, desired.capabilities, desired.host, built_in=desired.kernel == "static")
    notes = Notes(desired.host)
    names = concerned(desired)
    for trouble in state.troubles:
        needless = not desired.vhids and trouble.finding.rule in _ABOUT_CARP
        if not needless and (trouble.fatal or trouble.interface in names):
            notes.troubles.append(trouble)
    if state.fatal or (desired.vhids and state.carp.source == "absent"):
        return _sorted(notes)
    _compare_sysctls(desired, state, notes)
    compare_vhids(desired, state, notes)
    note_vanishing(desired, snapshot, state, notes)
    return _sorted(notes)


def _sorted(notes: Notes) -> list[Finding]:
    """What stops the boot first, then errors, warnings and remarks, each kind in the order of the boot."""
    order = list(Severity)
    troubles = sorted(notes.troubles, key=lambda t: (not t.fatal, order.index(t.finding.severity)))
    return [trouble.finding for trouble in troubles]


def _compare_sysctls(desired: Desired, state: BootState, notes: Notes) -> None:
    for leaf, wanted in desired.sysctls.items():
        final = state.sysctls.get(leaf, wanted)
        place = state.sysctl_places.get(leaf, notes.place("/etc/sysctl.conf"))
        name = f"{PREFIX}{leaf}"
        if final != wanted:
            if leaf == "allow" and any(f.rule == "persist-allow-tunable" for f in notes.findings):
                continue
            undone = [at for at, value in state.sysctl_overridden.get(leaf, ()) if value == wanted]
            if undone:
                notes.error(
                    "persist-sysctl-overridden",
                    f"{name} would be {final}: this line undoes {undone[-1].file.partition(':')[2]}:{undone[-1].line}",
                    f"remove it, so that {name}={wanted} counts",
                    place,
                )
            else:
                notes.error(
                    "persist-sysctl",
                    f"{name} would be {final}, not {wanted}",
                    f"write {name}={wanted} into /etc/sysctl.conf",
                    place,
                )
        elif (early := state.sysctls_at_netif.get(leaf)) != wanted:
            module = desired.capabilities.module
            cure = f'{module}_load="YES" in /boot/loader.conf instead'
            if desired.capabilities.sysctl_kld_d:
                cure = f"{name}={wanted} in /etc/sysctl.kld.d/carp.conf as well, or {cure}"
            notes.warning(
                "persist-sysctl-late",
                f"{name} is {early} while the vhids come up, and {wanted} only after the last pass over sysctl.conf: "
                "carp is loaded after the first one",
                f"use {cure}",
                state.carp.place,
            )
