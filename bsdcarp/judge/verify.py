"""Is a host what the inventory wants, now?  Kernel, interfaces, sysctls, vhids and files, live.

Every finding says in the field's terms what was found, what is wanted and what to do.  Whether a group as a whole
works is ``verify_group``'s question, whether it survives a reboot ``persist``'s.
"""

from __future__ import annotations

from bsdcarp.judge.bootorder import boot
from bsdcarp.judge.files import compare_files
from bsdcarp.judge.notes import Notes
from bsdcarp.judge.passwords import same_password
from bsdcarp.judge.sysctllines import PREFIX
from bsdcarp.judge.verifydemotion import note_demotion
from bsdcarp.judge.verifylinux import verify_linux
from bsdcarp.judge.verifyvhids import note_vhids
from bsdcarp.model import Finding, Severity
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import Snapshot

__all__ = ["verify_host"]


def verify_host(desired: Desired, snapshot: Snapshot) -> list[Finding]:
    """Return what on the host differs from ``desired``; an empty list means that nothing does."""
    notes = Notes(desired.host)
    if desired.capabilities.syntax == "linux":
        verify_linux(desired, snapshot, notes)
    else:
        _kernel(desired, snapshot, notes)
        _sysctls(desired, snapshot, notes)
    _interfaces(desired, snapshot, notes)
    note_vhids(desired, snapshot, notes)
    note_demotion(desired, snapshot, notes)
    compare_files(desired, snapshot, notes, prefix="verify")
    if desired.capabilities.syntax != "linux" and not any(f.severity is Severity.ERROR for f in notes.findings):
        _agreement(desired, snapshot, notes)
    return notes.findings


def _kernel(desired: Desired, snapshot: Snapshot, notes: Notes) -> None:
    if not desired.vhids:
        return
    module = desired.capabilities.module
    if snapshot.carp == "absent":
        remedy = "build a kernel with `device carp` (bsdcarp kernel)"
        if module and desired.kernel != "static":
            remedy = f"kldload {module}"
            if snapshot.securelevel >= 1:
                remedy = f"reboot: kern.securelevel {snapshot.securelevel} forbids to load {module}.ko now"
        notes.error("verify-kernel", "the running kernel has no carp", remedy)
    elif desired.kernel == "static" and snapshot.carp != "static":
        notes.error(
            "verify-kernel",
            f"carp is there as a module; a kernel with `device carp` is wanted, this one is {snapshot.ident}",
            "build and boot the kernel (bsdcarp kernel)",
        )


def _sysctls(desired: Desired, snapshot: Snapshot, notes: Notes) -> None:
    if snapshot.carp == "absent":
        return
    for leaf, wanted in desired.sysctls.items():
        found = snapshot.sysctls.get(leaf)
        if found is None:
            notes.error("verify-sysctl", f"{PREFIX}{leaf} does not exist, {wanted} is wanted", "check the release")
        elif found != wanted:
            notes.error(
                "verify-sysctl", f"{PREFIX}{leaf} is {found}, not {wanted}", f"sysctl {PREFIX}{leaf}={wanted}, or apply"
            )


def _interfaces(desired: Desired, snapshot: Snapshot, notes: Notes) -> None:
    for name in dict.fromkeys(v.interface for v in desired.vhids):
        found = snapshot.interfaces.get(name)
        if found is None:
            known = ", ".join(n for n in snapshot.interfaces if not n.startswith(("lo", "carp")))
            notes.error("verify-interface-missing", f"there is no interface {name}", f"choose one of {known or 'none'}")
            continue
        if "UP" not in found.flags:
            linux = desired.capabilities.syntax == "linux"
            remedy = f"ip link set {name} up" if linux else f"ifconfig {name} up"
            notes.error("verify-interface-down", f"{name} is not UP", remedy)
        if found.status == "no carrier":
            notes.error("verify-interface-link", f"{name} has no link (no carrier)", "check cable and switch port")
        wants_ipv6 = any(a.family == "inet6" for v in desired.on(name) for a in v.addresses)
        if wants_ipv6 and found.inet6_disabled:
            notes.error(
                "verify-ipv6-disabled",
                f"{name} has IFDISABLED set, so its IPv6 addresses do not work",
                f"ifconfig {name} inet6 -ifdisabled; ifconfig_{name}_ipv6 in rc.conf keeps it so",
            )


def _agreement(desired: Desired, snapshot: Snapshot, notes: Notes) -> None:
    """The live state is right; say so when the files would not bring it back."""
    state = boot(snapshot, desired.capabilities, desired.host)
    for vhid in desired.vhids:
        after = state.vhid(vhid.unit or vhid.interface, vhid.vhid)
        same = after and (after.advbase, after.advskew, {str(a) for a in after.addresses}) == (
            vhid.advbase,
            vhid.advskew,
            {str(a) for a in vhid.addresses},
        )
        if not same or not after or not same_password(after.password, vhid.password, desired.capabilities):
            notes.warning(
                "verify-agreement",
                f"vhid {vhid.vhid} is right now, but the files would bring up something else",
                "bsdcarp persist names the line",
                after.place if after else notes.place("/etc/rc.conf"),
                group=vhid.group,
            )
