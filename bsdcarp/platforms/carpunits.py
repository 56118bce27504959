"""Which carpN carries which vhid, up to FreeBSD 9: stable over applies, and never one that somebody else configured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from bsdcarp.dataclass import dataclass
from bsdcarp.platforms.desired import DesiredVhid
from bsdcarp.platforms.rcfiles import RcFiles
from bsdcarp.platforms.record import Record
from bsdcarp.snapshot import NetworkInterface, Snapshot
from bsdcarp.textfiles.alias import parse_alias

__all__ = ["assign_units", "is_unit", "unit_variables"]

_UNIT = re.compile(r"carp(?:0|[1-9][0-9]{0,3})")
_MAIN = re.compile(r"(?:ifconfig|ipv6_ifconfig)_(carp(?:0|[1-9][0-9]{0,3}))(?:_.*)?")
_ADDRESSED = r"(?:ifconfig_{0}(?:_ipv6|_alias[0-9]+|_aliases)?|ipv6_ifconfig_{0}(?:_alias[0-9]+)?|ipv4_addrs_{0})"


@dataclass(frozen=True, slots=True)
class _Present:
    """What a carpN is now, from the files and from the running system; vhid 0 where neither tells."""

    vhid: int
    addresses: frozenset[str]

    def carries(self, v: DesiredVhid) -> bool:
        return self.vhid == v.vhid and any(address.address in self.addresses for address in v.addresses)


def is_unit(name: str) -> bool:
    """Return whether ``name`` is that of a carpN interface."""
    return bool(_UNIT.fullmatch(name))


def unit_variables(rc: RcFiles, unit: str) -> frozenset[str]:
    """Return the variables that configure ``unit`` and are assigned: ifconfig_carpN, its _ipv6 and its aliases."""
    return rc.names(_ADDRESSED.format(unit))


def assign_units(
    vhids: tuple[DesiredVhid, ...], rc: RcFiles, previous: Record, snapshot: Snapshot | None
) -> tuple[DesiredVhid, ...]:
    """Give every vhid its carpN.

    In this order: the unit that already has this vhid with one of its addresses; the one that bsdcarp gave to this
    vhid before; the group's own name where that is a carpN; ``carp`` and the vhid; the lowest number that nothing on
    the host uses.
    """
    present = _present(rc, snapshot.interfaces if snapshot else {})
    owned = {o.interface: o.vhid for o in previous.vhids if is_unit(o.interface)}
    # A carpN that somebody else configured is not ours to take, whatever the group is called.
    foreign = {unit for unit, now in present.items() if unit not in owned and not any(map(now.carries, vhids))}
    named = {v.group for v in vhids if is_unit(v.group)}
    chosen: dict[str, str] = {}
    # All that have a unit keep it, before a new group may take one.
    for rank in (_carrying, _given, _named, _numbered):
        for v in vhids:
            if v.group not in chosen:
                taken = foreign | set(chosen.values())
                unit = next((u for u in rank(v, present, owned, named) if u not in taken), None)
                if unit:
                    chosen[v.group] = unit
    return tuple(replace(v, unit=chosen[v.group]) for v in vhids)


def _carrying(
    v: DesiredVhid, present: Mapping[str, _Present], owned: Mapping[str, int], named: set[str]
) -> Iterator[str]:
    del named
    found = [unit for unit, now in present.items() if now.carries(v)]
    yield from sorted(found, key=lambda unit: owned.get(unit) != v.vhid)


def _given(v: DesiredVhid, present: Mapping[str, _Present], owned: Mapping[str, int], named: set[str]) -> Iterator[str]:
    del present, named
    yield from (unit for unit, vhid in owned.items() if vhid == v.vhid)


def _named(v: DesiredVhid, present: Mapping[str, _Present], owned: Mapping[str, int], named: set[str]) -> Iterator[str]:
    del present, owned
    if v.group in named:
        yield v.group


def _numbered(
    v: DesiredVhid, present: Mapping[str, _Present], owned: Mapping[str, int], named: set[str]
) -> Iterator[str]:
    del present, owned
    yield from (f"carp{n}" for n in (v.vhid, *range(1000)) if f"carp{n}" not in named)


def _present(rc: RcFiles, interfaces: Mapping[str, NetworkInterface]) -> dict[str, _Present]:
    names = [match[1] for name in sorted(rc.names(_MAIN.pattern)) if (match := _MAIN.fullmatch(name))]
    found: dict[str, _Present] = {}
    for unit in dict.fromkeys((*names, *filter(is_unit, interfaces))):
        live = interfaces.get(unit)
        vhid, addresses = _filed(rc, unit)
        if live and not vhid:
            vhid = live.vhids[0].vhid if live.vhids else 0
            addresses |= {a.text for a in live.addresses if not a.interface.is_link_local}
        # A clone without any configuration is nobody's.
        if unit in names or vhid or addresses:
            found[unit] = _Present(vhid, addresses)
    return found


def _filed(rc: RcFiles, unit: str) -> tuple[int, frozenset[str]]:
    values: Iterable[str] = filter(None, (rc.value(name) for name in sorted(unit_variables(rc, unit))))
    words = [parse_alias(value) for value in values]
    vhid = next((w.vhid for w in words if w.vhid), 0)
    return vhid, frozenset(w.address.partition("/")[0] for w in words if w.address)
