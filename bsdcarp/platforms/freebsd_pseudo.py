"""FreeBSD up to 9.x: one carpN pseudo-interface per vhid, created from cloned_interfaces.

The kernel itself picks the real interface, by the subnet of the first address, so rc.conf never names it.  carpN
are created in ascending vhid order everywhere: with arpbalance, hosts whose lists differ in order answer the same
client twice or not at all (recorded on FreeBSD 9.3).
"""

from __future__ import annotations

from collections.abc import Iterable

from bsdcarp.errors import TextFileError
from bsdcarp.platforms.carpunits import is_unit, unit_variables
from bsdcarp.platforms.desired import DesiredVhid
from bsdcarp.platforms.rcfiles import RcFiles
from bsdcarp.platforms.record import Record
from bsdcarp.platforms.samewords import same_words
from bsdcarp.platforms.templates import render
from bsdcarp.snapshot import Snapshot
from bsdcarp.textfiles.rcconf import RcConf

__all__ = ["merge"]

_CLONED = "cloned_interfaces"


def merge(
    vhids: tuple[DesiredVhid, ...], previous: Record, rc: RcFiles, snapshot: Snapshot | None
) -> tuple[RcFiles, tuple[str, ...]]:
    """Return the rc.conf family with these vhids and without bsdcarp's old ones, and the plain names it set.

    The record knows the units themselves, so what configures them is not among the names.
    """
    del snapshot
    fragment = RcConf.parse(render("freebsd/rc.conf.pseudo.j2", vhids=vhids))
    wanted = {a.name: a.value or "" for a in fragment.assignments if a.name != _CLONED}
    units = [v.unit for v in vhids]
    old = [owned.interface for owned in previous.vhids if is_unit(owned.interface)]
    before = rc
    for unit in dict.fromkeys((*old, *units)):
        for name in sorted(unit_variables(rc, unit) - set(wanted)):
            rc = rc.unset(name)
    rc, names = _clones(rc, units, old, previous)
    after = _CLONED
    for name, value in wanted.items():
        if not same_words(before.value(name), value, vhid_first=False):
            rc = rc.set(name, value, after)
        after = name
    return rc, names


def _clones(rc: RcFiles, units: list[str], old: list[str], previous: Record) -> tuple[RcFiles, tuple[str, ...]]:
    now = rc.value(_CLONED)
    if now is None and rc.known(_CLONED):
        raise TextFileError(
            f"the value of {_CLONED} is not known here, so nothing can be added to it",
            place=rc.home(_CLONED),
            remedy="write it as one plain assignment",
        )
    words = (now or "").split()
    wanted = _cloned(words, units, old)
    # A line that names nothing but our units, or that was not there, goes with the last of them.
    ours = _CLONED in previous.names(rc.home(_CLONED)) or not rc.known(_CLONED) or (words and set(words) <= set(units))
    names = (_CLONED,) if wanted and ours else ()
    if wanted == words:
        return rc, names
    if not wanted and ours:
        return rc.unset(_CLONED), ()
    if rc.get(_CLONED) is None and rc.known(_CLONED):
        raise TextFileError(
            f"{_CLONED} is put together by sh, so it cannot be edited safely",
            place=f"{rc.home(_CLONED)}, line {rc.files[rc.home(_CLONED)].line_of(_CLONED)}",
            remedy=f'write it as one plain assignment: {_CLONED}="{" ".join(wanted)}"',
        )
    return rc.set(_CLONED, " ".join(wanted)), names


def _cloned(words: list[str], units: Iterable[str], old: Iterable[str]) -> list[str]:
    """Foreign clones stay first and in order; ours follow, ascending by vhid.  Untouched if it is right already."""
    ours = list(units)
    gone = set(old) - set(ours)
    if [w for w in words if w in ours] == ours and not set(words) & gone:
        return words
    return [w for w in words if w not in ours and w not in gone] + ours
