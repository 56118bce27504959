"""The ifconfig calls that rc makes for the aliases of one interface, and the traps on the way.

After ifalias_af_common() in network.subr of 9.3, 10.4 and 12.1: ``ifconfig_IF_aliases`` first, then
``ifconfig_IF_aliasN`` by number, then ``ipv4_addrs_IF``; all of inet, then all of inet6.
"""

from __future__ import annotations

import re
from dataclasses import field

from bsdcarp.dataclass import dataclass
from bsdcarp.judge.ifargs import Component, cut, expand
from bsdcarp.judge.notes import Notes
from bsdcarp.judge.rcvalues import Origin, RcValues
from bsdcarp.model import Place
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.textfiles.alias import variable_name

__all__ = ["Call", "alias_calls", "numbered_variables"]

_FAMILY_WORD = re.compile(r"(inet|inet6|link|ether|ipx) ")


@dataclass(frozen=True, slots=True)
class Call:
    """One ifconfig call: its words behind the interface, and the variable that asks for it."""

    words: Component = field(repr=False)
    variable: str
    origin: Origin


def numbered_variables(rc: RcValues, interface: str) -> dict[int, str]:
    """Return the names of ``ifconfig_IF_aliasN`` by number, ascending."""
    pattern = re.compile(rf"ifconfig_{re.escape(variable_name(interface))}_alias(\d+)")
    found = {int(match[1]): name for name in rc.values if (match := pattern.fullmatch(name))}
    return dict(sorted(found.items()))


def alias_calls(interface: str, can: Capabilities, rc: RcValues, notes: Notes) -> tuple[list[Call], list[Call]]:
    """Return the inet and the inet6 calls for ``interface``, in order.

    ``inet6`` ones are returned even where rc skips them because the interface has no ``ifconfig_IF_ipv6``.
    """
    return _Aliases(interface, can, rc, notes).calls()


@dataclass(slots=True)
class _Aliases:
    interface: str
    can: Capabilities
    rc: RcValues
    notes: Notes

    def calls(self) -> tuple[list[Call], list[Call]]:
        variable = variable_name(self.interface)
        found: list[Call] = []
        for name in (f"ifconfig_{variable}_aliases",):
            found += self._cut(name, cut(self.rc.get(name) or ""))
        for name in self._visible():
            found += self._numbered(name)
        legacy = f"ipv4_addrs_{variable}"
        found += self._cut(legacy, [("inet", word) for word in self.rc.words(legacy)])
        expanded = [call for one in found for call in self._expanded(one)]
        return (
            [call for call in expanded if call.words[0] == "inet"],
            [call for call in expanded if call.words[0] == "inet6"],
        )

    def _at(self, origin: Origin) -> Place:
        return self.notes.place(origin.path, origin.line)

    def _cut(self, name: str, components: list[Component]) -> list[Call]:
        origin = self.rc.origin(name)
        return [Call(words, name, origin) for words in components]

    def _visible(self) -> list[str]:
        """Return the numbered variables that rc looks at before it stops."""
        names = numbered_variables(self.rc, self.interface)
        found: list[str] = []
        expected = 0
        for number, name in names.items():
            rest = [n for n in names.values() if n not in found]
            if self.can.gap_ends_aliases and number != expected:
                self._hidden(
                    "persist-alias-gap",
                    f"there is no alias{expected} of {self.interface}, and this release stops there: "
                    f"{', '.join(rest)} would not be configured",
                    self.rc.origin(name),
                    rest,
                )
                break
            if not (self.rc.get(name) or "").strip():
                self._hidden(
                    "persist-alias-empty",
                    f"{name} is empty, which ends the list: {', '.join(rest[1:])} would not be configured",
                    self.rc.origin(name),
                    rest[1:],
                )
                break
            found.append(name)
            expected = number + 1
        return found

    def _hidden(self, rule: str, message: str, origin: Origin, hidden: list[str]) -> None:
        if any((self.rc.get(name) or "").strip() for name in hidden):
            self.notes.error(
                rule,
                message,
                "number the aliases without a gap and delete empty ones",
                self._at(origin),
                interface=self.interface,
            )

    def _numbered(self, name: str) -> list[Call]:
        value = self.rc.values[name]
        origin = self.rc.origin(name)
        match = _FAMILY_WORD.match(value)
        if not match and not self.can.gap_ends_aliases:
            self.notes.warning(
                "persist-alias-family",
                f"{name} does not begin with inet or inet6; rc warns and takes it for inet",
                "write inet or inet6 as the first word",
                self._at(origin),
                interface=self.interface,
            )
        family = match[1] if match else "inet"
        components = cut(value if match else f"inet {value}")
        lost = [words for words in components if words[0] != family and words[0] in ("inet", "inet6")]
        if lost:
            self.notes.error(
                "persist-alias-mixed",
                f"{name} begins with {family}, so rc passes over its {lost[0][0]} part",
                "give every address family its own alias",
                self._at(origin),
                interface=self.interface,
            )
        return self._cut(name, [words for words in components if words[0] == family])

    def _expanded(self, call: Call) -> list[Call]:
        expansion = expand(call.words, self.can.hyphen_trap)
        if expansion.outcome == "hangs":
            self.notes.error(
                "persist-hyphen",
                f"the boot hangs at {call.variable}: rc takes a hyphen in it for an address range",
                "use a password of letters and digits only",
                self._at(call.origin),
                interface=self.interface,
                fatal=True,
            )
        elif expansion.outcome == "dropped":
            self.notes.error(
                "persist-hyphen-dropped",
                f"rc drops an address of {call.variable} without a word, because of the two hyphens in it",
                "use a password of letters and digits only",
                self._at(call.origin),
                interface=self.interface,
            )
        return [Call(words, call.variable, call.origin) for words in expansion.calls]
