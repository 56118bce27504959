"""Live commands for FreeBSD up to 9.x: carpN interfaces, created in ascending vhid order.

The kernel never tells a key, so the password in rc.conf, which carpN came up with, stands for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bsdcarp.model import Secret
from bsdcarp.plan.change import LiveChange
from bsdcarp.plan.command import Command, command
from bsdcarp.platforms.desired import Desired, DesiredVhid
from bsdcarp.snapshot import NetworkInterface, Snapshot
from bsdcarp.textfiles.alias import parse_alias

__all__ = ["changes"]

_UNIT = re.compile(r"carp\d{1,5}")


def changes(desired: Desired, snapshot: Snapshot) -> list[LiveChange]:
    """Return the commands: what goes away first, then what is there in part, then what is new, ascending."""
    found: list[LiveChange] = []
    units = {v.unit for v in desired.vhids}
    for owned in desired.previous.vhids:
        stale = snapshot.interfaces.get(owned.interface)
        if stale and _UNIT.fullmatch(owned.interface) and owned.interface not in units:
            found.append(_destroy(stale, snapshot))
    rebuild = _to_rebuild(desired, snapshot)
    for v in reversed(desired.vhids):
        interface = snapshot.interfaces.get(v.unit)
        if interface and v.unit in rebuild:
            found.append(_destroy(interface, snapshot))
    for v in desired.vhids:
        interface = snapshot.interfaces.get(v.unit)
        if interface is None or v.unit in rebuild:
            found += _create(v)
        else:
            found += _adjust(v, interface, snapshot)
    return found


def _to_rebuild(desired: Desired, snapshot: Snapshot) -> set[str]:
    """Units that cannot be changed in place.

    A carpN with another vhid or without one of its addresses; and, when ARP is balanced, every unit whose vhid is
    higher than one that has to be created: the kernel would append the new one behind them, and this host would map
    clients differently from its peers (ip_carp.c, carp_iamatch; recorded on FreeBSD 9.3).
    """
    rebuild: set[str] = set()
    for v in desired.vhids:
        interface = snapshot.interfaces.get(v.unit)
        state = interface.vhids[0] if interface and interface.vhids else None
        if interface and (state is None or state.vhid != v.vhid or not _kept(v, interface)):
            rebuild.add(v.unit)
    if desired.sysctls.get("arpbalance"):
        new = [v.vhid for v in desired.vhids if v.unit in rebuild or v.unit not in snapshot.interfaces]
        lowest = min(new, default=256)
        rebuild |= {v.unit for v in desired.vhids if v.vhid > lowest and v.unit in snapshot.interfaces}
    return rebuild


def _kept(v: DesiredVhid, interface: NetworkInterface) -> bool:
    """Removing its last address would reset the vhid, so at least one has to stay."""
    there = {(a.text, a.interface.network.prefixlen) for a in interface.addresses}
    return any((a.address, a.prefixlen) in there for a in v.addresses)


def _create(v: DesiredVhid) -> Iterator[LiveChange]:
    yield LiveChange(
        f"{v.unit} for vhid {v.vhid}", command(f"ifconfig {v.unit} create"), (command(f"ifconfig {v.unit} destroy"),)
    )
    inet = [a for a in v.addresses if a.family == "inet"]
    first = str(inet[0]) if inet else "up"
    yield LiveChange(
        f"{v.unit}: vhid {v.vhid}" + (f", {first}" if inet else ""),
        command(f"ifconfig {v.unit}", *_parameters(v), first),
        restarts=v.vhid,
    )
    for address in v.addresses:
        if not inet or address is not inet[0]:
            yield LiveChange(f"{address} on {v.unit}", _add(v.unit, address.family, address.address, address.prefixlen))


def _parameters(v: DesiredVhid) -> tuple[str | Secret, ...]:
    return ("vhid", str(v.vhid), "advbase", str(v.advbase), "advskew", str(v.advskew), "pass", v.password)


def _add(unit: str, family: str, address: str, prefixlen: int) -> Command:
    if family == "inet":
        return command(f"ifconfig {unit} inet {address}/{prefixlen} alias")
    return command(f"ifconfig {unit} inet6 {address} prefixlen {prefixlen} alias")


def _adjust(v: DesiredVhid, interface: NetworkInterface, snapshot: Snapshot) -> Iterator[LiveChange]:
    state = interface.vhids[0]
    filed = parse_alias(snapshot.rc.get(f"ifconfig_{v.unit}", "")).password
    if (state.advbase, state.advskew, filed) != (v.advbase, v.advskew, v.password.reveal()):
        old: list[str | Secret] = ["advbase", str(state.advbase), "advskew", str(state.advskew)]
        old += ["pass", Secret(filed)] if filed else []
        yield LiveChange(
            f"parameters of {v.unit}",
            command(f"ifconfig {v.unit}", *_parameters(v)[2:]),
            (command(f"ifconfig {v.unit}", *old),),
        )
    wanted = {(a.address, a.prefixlen): a.family for a in v.addresses}
    there = {(a.text, a.interface.network.prefixlen): a for a in interface.addresses}
    for (address, prefixlen), family in wanted.items():
        if (address, prefixlen) not in there:
            yield LiveChange(
                f"{address}/{prefixlen} on {v.unit}",
                _add(v.unit, family, address, prefixlen),
                (command(f"ifconfig {v.unit} {family} {address} -alias"),),
            )
    for (address, prefixlen), present in there.items():
        family = "inet" if present.interface.version == 4 else "inet6"
        if (address, prefixlen) not in wanted and not present.interface.ip.is_link_local:
            yield LiveChange(
                f"{address} leaves {v.unit}",
                command(f"ifconfig {v.unit} {family} {address} -alias"),
                (_add(v.unit, family, address, prefixlen),),
            )
    if "UP" not in interface.flags:
        yield LiveChange(f"{v.unit} up", command(f"ifconfig {v.unit} up"), (command(f"ifconfig {v.unit} down"),))


def _destroy(interface: NetworkInterface, snapshot: Snapshot) -> LiveChange:
    filed = parse_alias(snapshot.rc.get(f"ifconfig_{interface.name}", "")).password
    undo: list[Command] = [command(f"ifconfig {interface.name} create")]
    for state in interface.vhids:
        words: list[str | Secret] = [
            *("vhid", str(state.vhid), "advbase", str(state.advbase), "advskew", str(state.advskew))
        ]
        words += ["pass", Secret(filed)] if filed else []
        undo.append(command(f"ifconfig {interface.name}", *words))
    undo += [
        _add(interface.name, "inet" if a.interface.version == 4 else "inet6", a.text, a.interface.network.prefixlen)
        for a in interface.addresses
    ]
    return LiveChange(f"{interface.name} goes away", command(f"ifconfig {interface.name} destroy"), tuple(undo))
