"""The next boot of a FreeBSD host, from its files alone: loader, first sysctl pass, kld, netif, last sysctl pass.

Nothing here knows what is wanted; ``boot`` says what would happen, ``persist`` compares.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from bsdcarp.judge.bootifs import UNIT, boot_interfaces
from bsdcarp.judge.bootkernel import boot_carp, read_loader
from bsdcarp.judge.bootnet import Network, boot_network
from bsdcarp.judge.bootstate import BootCarp, BootState
from bsdcarp.judge.bootsysctl import boot_sysctls
from bsdcarp.judge.notes import Notes
from bsdcarp.judge.rcvalues import RC_CONF, RcValues, read_rc_values
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.snapshot import Snapshot
from bsdcarp.textfiles.rcconf import RcConf

__all__ = ["boot"]

_SYNTAX_ERROR = re.compile(r"[Ss]yntax error(: [A-Z][a-z]+( [a-z]+)*)?")
_UNIT_VARIABLE = re.compile(r"ifconfig_(?P<unit>carp\d{1,5})(_alias\d+|_aliases|_ipv6)?")


def boot(snapshot: Snapshot, can: Capabilities, host: str, *, built_in: bool = False) -> BootState:
    """Follow the boot of ``snapshot``'s host through its files.

    ``host`` only names the places; ``built_in`` says that carp shall be in the kernel itself, which decides what is
    advised.
    """
    notes = Notes(host)
    if snapshot.rc_error:
        _unreadable(snapshot, notes)
        return BootState(BootCarp("absent"), troubles=tuple(notes.troubles))
    rc = read_rc_values(snapshot, can)
    loader = read_loader(snapshot, can)
    carp = boot_carp(snapshot, can, rc, loader, notes, built_in=built_in)
    passes = boot_sysctls(snapshot, can, carp, loader, notes)
    interfaces = boot_interfaces(snapshot, can, rc, notes)
    units = _units(can, rc, notes)
    real = tuple(name for name in interfaces if name not in units and not UNIT.fullmatch(name))
    network = boot_network(snapshot, can, rc, (*real, *units), notes, carp=carp.source != "absent")
    if can.ascending_vhids:
        _order(network, passes.final, notes)
    _unread(rc, notes)
    return BootState(
        carp=carp,
        sysctls_at_netif=MappingProxyType(dict(passes.at_netif)),
        sysctls=MappingProxyType(dict(passes.final)),
        sysctl_places=MappingProxyType(dict(passes.places)),
        sysctl_overridden=MappingProxyType(dict(passes.overridden)),
        vhids=tuple(network.vhids.values()),
        interfaces=(*real, *units),
        own=MappingProxyType(dict(network.own)),
        dynamic=frozenset(network.dynamic),
        rc=rc,
        troubles=tuple(notes.troubles),
    )


def _unreadable(snapshot: Snapshot, notes: Notes) -> None:
    """A shell stops at a syntax error, and with it every script of rc.d."""
    path, line = RC_CONF, 0
    # Some shells quote the offending text, which may be a password: only the kind of error is repeated.
    said = _SYNTAX_ERROR.search(snapshot.rc_error)
    why = said[0] if said else "it ends early"
    for candidate in sorted(snapshot.files, key=lambda p: (not p.startswith("/etc/rc.conf"), p)):
        if "/rc.conf" in candidate:
            problems = RcConf.parse(snapshot.files[candidate].text).problems
            if problems:
                path, (line, why) = candidate, problems[0]
                break
    notes.error(
        "persist-rc-unreadable",
        f"sh cannot read the rc.conf files, so the boot stops before the network: {why}",
        "correct the file; `sh -n` must accept it",
        notes.place(path, line),
        fatal=True,
    )


def _units(can: Capabilities, rc: RcValues, notes: Notes) -> tuple[str, ...]:
    """Return the carpN that netif creates, in order, and note those that are configured and never created."""
    words = rc.words("cloned_interfaces")
    cloned = tuple(dict.fromkeys(word for word in words if UNIT.fullmatch(word)))
    origin = rc.origin("cloned_interfaces")
    if can.syntax == "vhid":
        if cloned:
            notes.warning(
                "persist-legacy-carp",
                f"cloned_interfaces names {', '.join(cloned)}: there are no carp interfaces since FreeBSD 10, rc fails "
                "to create them at every boot",
                "remove them; a vhid belongs to addresses of the real interface now",
                notes.place(origin.path, origin.line),
            )
        return ()
    configured = {m["unit"]: name for name in rc.names("ifconfig_carp") if (m := _UNIT_VARIABLE.fullmatch(name))}
    for unit, name in sorted(configured.items()):
        if unit not in cloned:
            place = rc.origin(name)
            notes.error(
                "persist-not-cloned",
                f"{unit} is configured, but cloned_interfaces does not name it, so it is never created",
                f"add {unit} to cloned_interfaces",
                notes.place(origin.path, origin.line) if words else notes.place(place.path, place.line),
                interface=unit,
            )
    return cloned


def _order(network: Network, sysctls: Mapping[str, int], notes: Notes) -> None:
    """With arpbalance, members that create vhids in different order give one client two answers, or none."""
    created = [v for v in network.vhids.values() if v.addresses]
    for before, after in pairwise(created):
        if sysctls.get("arpbalance") and before.vhid > after.vhid:
            notes.error(
                "persist-carp-order",
                f"{before.interface} (vhid {before.vhid}) comes up before {after.interface} (vhid {after.vhid}); with "
                "arpbalance every member must create its vhids in ascending order (recorded on FreeBSD 9.3)",
                "name the carpN in cloned_interfaces in ascending order of their vhids",
                after.place,
                interface=after.interface,
            )


def _unread(rc: RcValues, notes: Notes) -> None:
    for name, origins in rc.unread.items():
        if name != "kld_list" and name.startswith(("ifconfig_", "cloned_interfaces", "vlans_", "ipv")):
            origin = origins[-1]
            notes.warning(
                "persist-rc-unread",
                f"{name} in {origin.path} has no effect: rc.d/netif of this release does not read that file",
                "move it to /etc/rc.conf",
                notes.place(origin.path, origin.line),
            )
