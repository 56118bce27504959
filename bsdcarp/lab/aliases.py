"""The alias part of rc's network.subr: which ifconfig calls the alias variables of an interface turn into.

Recorded on FreeBSD 9.3, 10.4 and 12.1: gaps in aliasN do not matter, ``_aliases`` comes before ``_aliasN``, a value
without its family keyword is taken for inet with a warning, a bad entry does not stop the others.  An alias with a
hyphen in the wrong place makes the scripts call themselves for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bsdcarp.lab.releases import RcShape

__all__ = ["AliasPlan", "EndlessRecursion", "plan_aliases", "variable_part"]

_FAMILIES = ("inet", "inet6", "link", "ether")
_RANGE = re.compile(r"(?P<head>(?:\d+\.){3})(?P<low>\d+)-(?P<high>\d+)(?:/(?P<length>\d+))?\Z")
_MAX_RANGE = 31


class EndlessRecursion(Exception):
    """ifalias_af_common_handler calls itself without end: the boot hangs in rc.d/netif.

    ``warnings`` is what the script had printed until then.
    """

    def __init__(self, warnings: Sequence[str]) -> None:
        super().__init__("endless recursion in network.subr")
        self.warnings = tuple(warnings)


@dataclass(slots=True)
class AliasPlan:
    """``calls`` are the words after ``ifconfig IF``, ``warnings`` what rc prints meanwhile."""

    calls: list[list[str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def variable_part(interface: str) -> str:
    """Return the interface's name as it appears in variable names: each of ``.-/+`` is an underscore."""
    return re.sub(r"[.\-/+]", "_", interface)


def plan_aliases(variables: Mapping[str, str], interface: str, family: str, rc: RcShape) -> AliasPlan:
    """Collect the calls for one family, in rc's order.  Raises :class:`EndlessRecursion`."""
    plan = AliasPlan()
    part = variable_part(interface)
    for component in _components(variables.get(f"ifconfig_{part}_aliases", "").split()):
        _expand(component, family, rc, plan)
    expected = 0
    for number, name in _numbered(variables, part):
        words = variables[name].split()
        if not words or (rc.gap_ends and number != expected):
            break  # an alias set to nothing ends the list
        expected = number + 1
        if words[0] not in _FAMILIES:
            if family == "inet":
                plan.warnings.append(rc.alias_warning.format(iface=part, number=number, variable=name))
            words.insert(0, "inet")
        if words[0] != family:
            continue  # a value counts for the family it begins with; others in it are lost
        for component in _components(words):
            _expand(component, family, rc, plan)
    if family == "inet":
        for word in variables.get(f"ipv4_addrs_{part}", "").split():
            _expand(["inet", word], family, rc, plan)
    return plan


def _numbered(variables: Mapping[str, str], part: str) -> list[tuple[int, str]]:
    prefix = f"ifconfig_{part}_alias"
    found = [
        (int(name.removeprefix(prefix)), name)
        for name in variables
        if name.startswith(prefix) and name.removeprefix(prefix).isdigit()
    ]
    return sorted(found)


def _components(words: list[str]) -> list[list[str]]:
    """Cut a value into pieces that each begin with a family keyword."""
    pieces: list[list[str]] = []
    for word in words:
        if word in _FAMILIES or not pieces:
            pieces.append([])
        pieces[-1].append(word)
    return pieces


def _expand(component: list[str], family: str, rc: RcShape, plan: AliasPlan) -> None:
    if component[0] != family:
        return
    rest = component[1:]
    text = " ".join(rest)
    if "--" in text:
        return  # "invalid", skipped without a word
    if rest and (found := _RANGE.match(rest[0])) and family == "inet" and "vhid" not in rest:
        low, high = int(found["low"]), int(found["high"])
        length = found["length"] or "32"
        for offset, last in enumerate(range(low, min(high, low + _MAX_RANGE) + 1)):
            mask = length if offset == 0 else "32"
            plan.calls.append([family, f"{found['head']}{last}/{mask}", *rest[1:], "alias"])
        return
    if re.search(rc.hyphen, text):
        raise EndlessRecursion(plan.warnings)
    plan.calls.append([*component, "alias"])
