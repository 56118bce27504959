"""FreeBSD up to 9.x: one carpN pseudo-interface per vhid, created from cloned_interfaces.

The kernel itself picks the real interface, by the subnet of the first address, so rc.conf never names it.  carpN
are created in ascending vhid order everywhere: with arpbalance, hosts whose lists differ in order answer the same
client twice or not at all (recorded on FreeBSD 9.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from bsdcarp.platforms.desired import DesiredVhid
from bsdcarp.platforms.rcfiles import RcFiles
from bsdcarp.platforms.record import Record
from bsdcarp.platforms.templates import render
from bsdcarp.snapshot import Snapshot
from bsdcarp.textfiles.alias import parse_alias
from bsdcarp.textfiles.rcconf import RcConf

__all__ = ["assign_units", "merge", "unit_variables"]

_UNIT = re.compile(r"carp\d{1,5}")


def assign_units(vhids: tuple[DesiredVhid, ...], rc: RcFiles, previous: Record) -> tuple[DesiredVhid, ...]:
    """Give every vhid its carpN.

    In this order: the unit whose ifconfig_carpN already says this vhid with one of its addresses; the group's own
    name where that is a carpN; ``carp`` and the vhid; the lowest number that nothing on the host uses.
    """
    present = _present_units(rc)
    # A carpN that somebody else configured is not ours to take, whatever the group is called.
    foreign = {
        unit: vhid
        for unit, (vhid, addresses) in present.items()
        if not any(vhid == v.vhid and addresses & {a.address for a in v.addresses} for v in vhids)
        and not any(owned.interface == unit for owned in previous.vhids)
    }
    named = {v.group for v in vhids if _UNIT.fullmatch(v.group)}
    taken: set[str] = set(foreign)
    chosen: list[DesiredVhid] = []
    for v in vhids:
        mine = {a.address for a in v.addresses}
        candidates = [unit for unit, (vhid, addresses) in present.items() if vhid == v.vhid and addresses & mine]
        candidates += [v.group] if v.group in named else []
        candidates += [f"carp{v.vhid}"] if f"carp{v.vhid}" not in named else []
        candidates += [f"carp{n}" for n in range(512) if f"carp{n}" not in named]
        unit = next(unit for unit in candidates if unit not in taken)
        taken.add(unit)
        chosen.append(replace(v, unit=unit))
    return tuple(chosen)


def _present_units(rc: RcFiles) -> dict[str, tuple[int, set[str]]]:
    found: dict[str, tuple[int, set[str]]] = {}
    for conf in rc.files.values():
        for assignment in conf.assignments:
            unit = assignment.name.removeprefix("ifconfig_")
            if assignment.value and _UNIT.fullmatch(unit):
                words = parse_alias(assignment.value)
                if words.vhid:
                    found[unit] = (words.vhid, {words.address.partition("/")[0]} if words.address else set())
    return found


def unit_variables(rc: RcFiles, unit: str) -> frozenset[str]:
    """Return the variables that configure ``unit``: ifconfig_carpN, its _ipv6 and its aliases."""
    pattern = re.compile(rf"ifconfig_{unit}(_ipv6|_alias\d+|_aliases)?|ipv6_ifconfig_{unit}(_alias\d+)?")
    return frozenset(a.name for conf in rc.files.values() for a in conf.assignments if pattern.fullmatch(a.name))


def merge(
    vhids: tuple[DesiredVhid, ...], previous: Record, rc: RcFiles, snapshot: Snapshot | None
) -> tuple[RcFiles, tuple[str, ...]]:
    """Return the rc.conf family with these vhids and without bsdcarp's old ones; no single line is recorded.

    The record knows the units themselves, so the second part is empty.
    """
    del snapshot
    fragment = RcConf.parse(render("freebsd/rc.conf.pseudo.j2", vhids=vhids))
    wanted = {a.name: a.value or "" for a in fragment.assignments}
    units = [v.unit for v in vhids]
    old = [owned.interface for owned in previous.vhids if _UNIT.fullmatch(owned.interface)]
    for unit in {*old, *units}:
        for name in sorted(unit_variables(rc, unit) - set(wanted)):
            rc = rc.unset(name)
    cloned = _cloned(rc.get("cloned_interfaces"), units, old)
    if cloned:
        wanted["cloned_interfaces"] = cloned
    elif rc.get("cloned_interfaces") is not None and (old or units):
        wanted.pop("cloned_interfaces", None)
        rc = rc.unset("cloned_interfaces") if set((rc.get("cloned_interfaces") or "").split()) <= {*old} else rc
    for name, value in wanted.items():
        if rc.get(name) != value:
            rc = rc.set(name, value)
    return rc, ()


def _cloned(before: str | None, units: Iterable[str], old: Iterable[str]) -> str:
    """Foreign clones stay first and in order; ours follow, ascending by vhid.  Untouched if it is right already."""
    ours = list(units)
    words = (before or "").split()
    if [w for w in words if w in ours] == ours and not set(words) & (set(old) - set(ours)):
        return " ".join(words) if ours else ""
    return " ".join([w for w in words if w not in ours and w not in set(old)] + ours)
