"""What runs now and stands in no file, so that the next boot would take it away, and the other way round."""

from __future__ import annotations

from bsdcarp.judge.bootnet import own_addresses
from bsdcarp.judge.bootstate import BootState
from bsdcarp.judge.bootsysctl import DEFAULTS
from bsdcarp.judge.notes import Notes
from bsdcarp.judge.sysctllines import PREFIX
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import Snapshot
from bsdcarp.textfiles.alias import variable_name

__all__ = ["note_vanishing"]

_COUNTERS = frozenset({"demotion", "suppress_preempt", "stats"})


def note_vanishing(desired: Desired, snapshot: Snapshot, state: BootState, notes: Notes) -> None:
    """Note vhids, sysctls and own addresses that differ between now and after the next boot."""
    _vhids(desired, snapshot, state, notes)
    for leaf, value in snapshot.sysctls.items():
        after = state.sysctls.get(leaf)
        if leaf in DEFAULTS and leaf not in {*_COUNTERS, *desired.sysctls} and after is not None and after != value:
            notes.warning(
                "persist-live-sysctl",
                f"{PREFIX}{leaf} is {value} now and would be {after} after a boot",
                f"write {PREFIX}{leaf}={value} into /etc/sysctl.conf, or set it back",
                state.sysctl_places.get(leaf, notes.place("/etc/sysctl.conf")),
            )
    if demotion := snapshot.sysctls.get("demotion", 0) if state.sysctls.get("demotion") == 0 else 0:
        notes.info(
            "persist-demotion-lost",
            f"{PREFIX}demotion is {demotion} now and would be 0 after a boot: what is out of service now would be back",
            f"add {demotion} to {PREFIX}demotion again after the boot",
            notes.place("/etc/sysctl.conf"),
        )
    for name in dict.fromkeys(v.interface for v in desired.vhids):
        _own(name, snapshot, state, notes)


def _vhids(desired: Desired, snapshot: Snapshot, state: BootState, notes: Notes) -> None:
    managed = {(v.unit or v.interface, v.vhid) for v in desired.vhids}
    managed |= {(owned.interface, owned.vhid) for owned in desired.previous.vhids}
    live = {(i.name, v.vhid) for i in snapshot.interfaces.values() for v in i.vhids}
    for name, number in sorted(live - managed):
        if state.vhid(name, number) is None:
            notes.warning(
                "persist-live-only",
                f"vhid {number} on {name} runs now, but no file brings it back after a boot",
                "write it into the inventory, or into /etc/rc.conf by hand",
                notes.place("/etc/rc.conf"),
                interface=name,
            )
    for vhid in state.vhids:
        key = (vhid.interface, vhid.vhid)
        if key not in managed and key not in live:
            notes.warning(
                "persist-file-only",
                f"vhid {vhid.vhid} on {vhid.interface} does not run now, but would after a boot",
                "remove the line, or write the group into the inventory",
                vhid.place,
                interface=vhid.interface,
            )


def _own(name: str, snapshot: Snapshot, state: BootState, notes: Notes) -> None:
    if name in state.dynamic or name not in state.interfaces:
        return
    # IPv6 addresses may come from router advertisements, so only IPv4 ones must be in a file.
    live = {a.ip: a for a in own_addresses(snapshot, name) if a.version == 4}
    after = {a.ip for a in state.own.get(name, ())}
    shared = {a.ip for v in state.vhids for a in v.addresses}
    gone = [str(address) for ip, address in live.items() if ip not in after | shared]
    variable = f"ifconfig_{variable_name(name)}"
    if gone and state.rc:
        origin = state.rc.origin(variable)
        notes.error(
            "persist-own-address",
            f"{name}'s own address {', '.join(gone)} is in no file and would be gone after a boot",
            f"write it into {variable} in /etc/rc.conf",
            notes.place(origin.path, origin.line),
            interface=name,
        )
