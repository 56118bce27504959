"""A typed view of the YAML tree: ask for a text, a number, a mapping with known keys; what is wrong becomes a finding.

Nothing here raises and nothing stops at the first error: a question that cannot be answered returns None, after a
finding was noted at the place of the key or the value, and the caller goes on with the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping as ReadMapping
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface

from bsdcarp.inventory.nodes import Mapping, Node, Scalar, Sequence, describe
from bsdcarp.inventory.rules.registry import finding
from bsdcarp.model import Finding, IfAddress, Place
from bsdcarp.plaintext import printable

__all__ = ["Path", "Reader", "did_you_mean", "in_words"]

Path = tuple[str, ...]
"""Keys from the top of the file to a value, for instance ``("groups", "carp1", "vhid")``."""

_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``did you mean X?`` for the nearest of ``known``, or nothing."""
    names = {name.lower(): name for name in known}
    near = get_close_matches(word.lower()[:64], names, n=1, cutoff=0.6)
    return f"did you mean {names[near[0]]}?" if near else ""


_HOW = {
    "a mapping": "write key: value, one to a line and indented, or {key: value}",
    "a whole number": "write decimal digits without quotes",
}


class Reader:
    """Collects findings and places while the tree is read."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.places: dict[Path, Place] = {}
        self.complete = True
        """False once something could not be read, so that rules about absence must keep quiet."""

    def report(self, rule: str, place: Place, message: str, remedy: str = "", *, path: Path = ()) -> None:
        """Note a finding; ``path`` says which host or group it belongs to."""
        self.complete = False
        name = path[1] if len(path) > 1 else ""
        host, group = (name if path[:1] == (section,) else "" for section in ("hosts", "groups"))
        self.findings.append(finding(rule, place, message, remedy, host=host, group=group))

    def wrong(self, node: Node, path: Path, expected: str, remedy: str = "") -> None:
        """Note that ``node`` is not what was expected."""
        message = f"{in_words(path)} must be {expected}, but is {describe(node)}"
        self.report("wrong-type", node.place, message, remedy or _HOW.get(expected, f"write {expected}"), path=path)

    def entries(self, node: Node, path: Path) -> list[tuple[Scalar, Node]]:
        """Return the entries of a mapping with free keys (names of hosts, groups, interfaces)."""
        if not isinstance(node, Mapping):
            self.wrong(node, path, "a mapping")
            return []
        for key, value in node.entries:
            self.places[(*path, key.text)] = value.place
        return list(node.entries)

    def fields(
        self,
        node: Node,
        path: Path,
        known: Iterable[str],
        *,
        required: Iterable[str] = (),
        elsewhere: ReadMapping[str, str] | None = None,
        secret: bool = False,
    ) -> dict[str, Node] | None:
        """Return the values of a mapping by key; None when it is no mapping.

        ``elsewhere`` explains keys that people put here although they belong somewhere else; with ``secret`` an unknown
        key is not repeated, because it may be a password that was put in braces.
        """
        if not isinstance(node, Mapping):
            self.wrong(node, path, "a mapping")
            return None
        known = list(known)
        found: dict[str, Node] = {}
        for key, value in node.entries:
            if key.text in known:
                found[key.text] = value
                self.places[(*path, key.text)] = value.place
                continue
            remedy = (elsewhere or {}).get(key.text) or did_you_mean(key.text, known) or f"known are {', '.join(known)}"
            shown = "unknown key" if secret else f"unknown key {printable(key.text)}"
            self.report("unknown-key", key.place, f"{shown} in {in_words(path)}", remedy, path=path)
        for key_name in required:
            if key_name not in found:
                place = node.entries[0][0].place if node.entries else node.place
                self.report("missing-key", place, f"{in_words(path)} needs {key_name}", f"add {key_name}:", path=path)
        return found

    def items(self, node: Node, path: Path, expected: str) -> tuple[Node, ...] | None:
        """Return the items of a list."""
        if isinstance(node, Sequence):
            return node.items
        self.wrong(node, path, f"a list of {expected}", "write it in brackets: [one, two]")
        return None

    def text(self, node: Node, path: Path, expected: str = "a text") -> str | None:
        """Return a text that is not empty; a plain number or truth value is refused, quotes make it a text."""
        if not isinstance(node, Scalar):
            self.wrong(node, path, expected)
        elif node.kind == "null":
            self.report(
                "wrong-type", node.place, f"{in_words(path)} is empty", "give a value or drop the key", path=path
            )
        elif node.kind != "text":
            self.wrong(node, path, expected, "put it in quotes if it is meant as a text")
        elif not node.text:
            self.report(
                "wrong-value", node.place, f"{in_words(path)} is empty", "give a value or drop the key", path=path
            )
        else:
            return node.text
        return None

    def integer(self, node: Node, path: Path) -> int | None:
        """Return a whole number, written in decimal digits without leading zeros."""
        if not isinstance(node, Scalar) or node.kind != "int":
            quoted = isinstance(node, Scalar) and not node.plain and _DECIMAL.fullmatch(node.text)
            self.wrong(node, path, "a whole number", "remove the quotes" if quoted else "")
        elif not _DECIMAL.fullmatch(node.text):
            remedy = "write decimal digits without leading zeros"
            self.report("wrong-type", node.place, f"{in_words(path)} must be a whole number", remedy, path=path)
        else:
            return int(node.text)
        return None

    def choice(self, node: Node, path: Path, options: Iterable[str]) -> str | None:
        """Return one of ``options``."""
        options = list(options)
        found = self.text(node, path, f"one of {', '.join(options)}")
        if found is None or found in options:
            return found
        remedy = did_you_mean(found, options) or f"one of {', '.join(options)}"
        self.report("wrong-value", node.place, f"{in_words(path)} cannot be {printable(found)}", remedy, path=path)
        return None

    def interface_address(self, node: Node, path: Path) -> IfAddress | None:
        """Return an address with its prefix length, ``192.0.2.1/24``."""
        written = self.text(node, path, "an address with its prefix length")
        if written is None:
            return None
        bare, slash, length = written.partition("/")
        address = self._address(bare, node.place, path)
        if address is None:
            return None
        widest = address.max_prefixlen
        if not slash:
            remedy = f"write {address}/{24 if widest == 32 else 64}, with the length of the network, or /{widest}"
            message = f"{printable(written)} has no prefix length"
            self.report("prefix-missing", node.place, message, remedy, path=path)
        elif not _DECIMAL.fullmatch(length) or not 0 <= int(length) <= widest:
            message = f"{printable(written)} has no valid prefix length"
            self.report("address-syntax", node.place, message, f"write a number from 0 to {widest} after /", path=path)
        else:
            return ip_interface(f"{address}/{int(length)}")
        return None

    def bare_address(self, node: Node, path: Path) -> IPv4Address | IPv6Address | None:
        """Return an address without a prefix length."""
        written = self.text(node, path, "an address")
        if written is None:
            return None
        if "/" in written:
            message = f"{in_words(path)} is an address without a prefix length"
            self.report("address-syntax", node.place, message, "drop what begins with /", path=path)
            return None
        return self._address(written, node.place, path)

    def _address(self, text: str, place: Place, path: Path) -> IPv4Address | IPv6Address | None:
        try:
            address = ip_address(text)
        except ValueError:
            message = f"{printable(text)} is not an IPv4 or IPv6 address"
            self.report("address-syntax", place, message, "write it as 192.0.2.1/24 or 2001:db8::1/64", path=path)
            return None
        if "%" in text:
            message = f"{printable(text)} names a zone"
            self.report("address-syntax", place, message, "drop what begins with %; the interface says it", path=path)
            return None
        return address


_SECTIONS = {"hosts": "host", "groups": "group"}


def in_words(path: Path) -> str:
    """Say where a value is in words: ``vhid of group carp1``, ``defaults``, ``the inventory``."""
    if not path:
        return "the inventory"
    if len(path) > 1 and path[0] in _SECTIONS:
        owner = f"{_SECTIONS[path[0]]} {printable(path[1])}"
        return f"{' '.join(map(printable, path[2:]))} of {owner}" if len(path) > 2 else owner
    return " ".join(map(printable, path))
