"""The numbered aliases of one interface in one rc.conf: which there are, and putting bsdcarp's own among them.

rc finds ``ifconfig_IF_aliasN`` by name and sorts by number (network.subr of FreeBSD 9.3 and later; gaps seen to be
harmless on 10.4 and 12.1), but rc.conf(5) still asks for consecutive numbers, as the list once ended at a gap.  An
alias with an empty value does end it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence

from bsdcarp.errors import TextFileError
from bsdcarp.textfiles.alias import variable_name
from bsdcarp.textfiles.rcconf import RcConf

__all__ = ["empty_aliases", "numbered", "place", "used_numbers"]


def numbered(conf: RcConf, interface: str) -> dict[int, str]:
    """Return the values of the interface's aliases by number, ascending; only those whose value is known."""
    values = ((number, conf.get(_name(interface, number))) for number in sorted(used_numbers(conf, interface)))
    return {number: value for number, value in values if value is not None}


def used_numbers(conf: RcConf, interface: str) -> frozenset[int]:
    """Return every number that the file assigns, or may assign, whatever the value."""
    names = [assignment.name for assignment in conf.assignments] + [name for name, _ in conf.conditional_names]
    pattern = re.compile(rf"ifconfig_{re.escape(variable_name(interface))}_alias(0|[1-9][0-9]*)\Z")
    return frozenset(int(found.group(1)) for name in names if (found := pattern.match(name)))


def empty_aliases(conf: RcConf, interface: str) -> list[tuple[str, int]]:
    """Return (name, line) of each alias with an empty value: rc ignores all that come after the first of them."""
    pattern = re.compile(rf"ifconfig_{re.escape(variable_name(interface))}_alias[0-9]")
    names = dict.fromkeys(assignment.name for assignment in conf.assignments)
    return [(name, conf.line_of(name) or 0) for name in names if pattern.match(name) and conf.get(name) == ""]


def place(
    conf: RcConf,
    interface: str,
    wanted: Sequence[str],
    ours: Callable[[str], bool],
    key: Callable[[str], Hashable],
    taken: Collection[int] = (),
) -> RcConf:
    """Make the interface's aliases be the ``wanted`` values plus whatever is not ``ours``.

    An entry of ours with the key of a wanted value gets that value and keeps its number; the others of ours go.  New
    values take the lowest numbers that neither this file nor another one (``taken``) has.  Where a number is left
    over, the entries above it are renamed downwards, in order, until no gap of our making remains; entries that are
    not ours keep their values byte for byte.  An entry that other lines use or may change is not renamed, but passed
    over.  Raises TextFileError when two wanted values have the same key, or when an edit would not be safe.
    """
    pending = {key(value): value for value in wanted}
    if len(pending) != len(wanted):
        raise TextFileError(f"two addresses that are wanted on {interface} are the same")
    gone: set[int] = set()
    for number, value in numbered(conf, interface).items():
        if not ours(value):
            continue
        replacement = pending.pop(key(value), None)
        if replacement is None:
            gone.add(number)
        else:
            conf = conf.set(_name(interface, number), replacement)
    for value in pending.values():
        occupied = (used_numbers(conf, interface) - gone) | set(taken)
        number = _lowest_free(occupied)
        if number in gone:
            gone.remove(number)
            conf = conf.set(_name(interface, number), value)
        else:
            conf = conf.add(_name(interface, number), value, after=_anchor(conf, interface, number))
    for number in sorted(gone):
        conf = conf.unset(_name(interface, number))
    return _close(conf, interface, gone - set(taken), set(taken))


def _close(conf: RcConf, interface: str, gaps: set[int], taken: set[int]) -> RcConf:
    """Move the next entry above into each of ``gaps``, and so on upwards; gaps that were there before stay open."""
    fixed = taken | {
        number
        for number in used_numbers(conf, interface)
        for name, _ in conf.references + conf.conditional_names
        if name == _name(interface, number)
    }
    open_numbers: set[int] = set()
    for number in sorted(used_numbers(conf, interface) | taken | set(gaps)):
        if number in gaps:
            open_numbers.add(number)
        elif open_numbers and number not in fixed:
            lowest = min(open_numbers)
            conf = conf.rename(_name(interface, number), _name(interface, lowest), every=True)
            open_numbers.remove(lowest)
            open_numbers.add(number)
    return conf


def _anchor(conf: RcConf, interface: str, number: int) -> str:
    """Return the variable whose line the new alias should follow."""
    assigned = {assignment.name for assignment in conf.assignments}
    below = [n for n in used_numbers(conf, interface) if n < number and _name(interface, n) in assigned]
    return _name(interface, max(below)) if below else f"ifconfig_{variable_name(interface)}"


def _name(interface: str, number: int) -> str:
    return f"ifconfig_{variable_name(interface)}_alias{number}"


def _lowest_free(occupied: Iterable[int]) -> int:
    numbers = set(occupied)
    return next(number for number in range(len(numbers) + 1) if number not in numbers)
