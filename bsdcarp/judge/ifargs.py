"""What one ifconfig(8) call of rc(8) asks for: the words of an alias component, as data.

rc joins the values of ``ifconfig_IF_aliases`` and ``ifconfig_IF_aliasN``, cuts them at the words inet, inet6, link and
ether, and runs ifconfig once for each piece (ifalias_af_common() in network.subr of 9.3, 10.4 and 12.1).  A piece with
a hyphen may first be taken for an address range; ``expand`` answers what becomes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import field
from ipaddress import IPv4Address, ip_address, ip_interface
from typing import Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.model import IfAddress, Secret

__all__ = ["Component", "Entry", "Expansion", "cut", "expand", "read_entry"]

_FAMILIES = frozenset({"inet", "inet6", "link", "ether", "ipx"})
_HEX_HYPHEN = re.compile(r"[0-9a-fA-F]-")
_RANGE = re.compile(
    r"(?P<head>(?:[0-9]+\.){0,3})(?P<low>[0-9]+)-(?P<high>[0-9]+)(?P<tail>(?:\.[0-9]+){0,3})(?:/(?P<len>[0-9]+))?"
)
_RANGE6 = re.compile(r"(?P<head>[0-9a-fA-F:]*:)(?P<low>[0-9a-fA-F]+)-(?P<high>[0-9a-fA-F]+)(?:/(?P<len>[0-9]+))?")
_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_MOST = 31
"""rc expands at most that many addresses of a range ($netif_ipexpand_max in defaults/rc.conf)."""
_PASSWORD_LENGTH = 19

Component = tuple[str, ...]
"""The words of one ifconfig call, the family word first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One ifconfig call: the address it adds, the vhid it names and what it says about that vhid."""

    family: str = "inet"
    address: IfAddress | None = None
    vhid: int | None = None
    advbase: int | None = None
    advskew: int | None = None
    password: Secret | None = None
    peer: str = ""
    peer6: str = ""
    wrong: str = ""
    """Why ifconfig refuses the call, in words that name no password; empty when it does not."""
    words: frozenset[str] = field(default_factory=frozenset, repr=False)


@dataclass(frozen=True, slots=True)
class Expansion:
    """What rc makes of one component: the calls it runs, or that it drops the component.

    ``hangs``: the function calls itself for ever, or dies of an arithmetic error, before the network is up.
    """

    outcome: Literal["plain", "range", "dropped", "hangs"]
    calls: tuple[Component, ...] = ()


def cut(text: str, default: str = "inet") -> list[Component]:
    """Cut a value at its family words; words before the first one belong to ``default``."""
    found: list[list[str]] = []
    for word in text.split():
        if word in _FAMILIES:
            found.append([word])
        elif found:
            found[-1].append(word)
        else:
            found.append([default, word])
    return [tuple(words) for words in found]


def expand(component: Component, trap: Literal["any", "hex"] | None) -> Expansion:
    """Follow ifalias_af_common_handler() and ifalias_expand_addr_inet(); ``trap`` is the release's capability."""
    family, rest = component[0], component[1:]
    if family not in ("inet", "inet6") or not rest or not _looks_like_range(rest, trap):
        return Expansion("plain", (component,))
    if _invalid(family, rest):
        return Expansion("dropped")
    addresses = _range(rest[0], family)
    if not addresses or _looks_like_range(rest[1:], trap):
        return Expansion("hangs")
    return Expansion("range", tuple((family, address, *rest[1:]) for address in addresses))


def _invalid(family: str, words: Sequence[str]) -> bool:
    """Two hyphens make rc drop the component; for inet6 only if a colon comes behind them."""
    _, hyphens, behind = f"{words[0]}:{' '.join(words[1:])}".partition("--")
    return bool(hyphens) and (family == "inet" or ":" in behind)


def _looks_like_range(words: Sequence[str], trap: Literal["any", "hex"] | None) -> bool:
    if trap is None:
        return False
    text = " ".join(words)
    return "-" in text if trap == "any" else bool(_HEX_HYPHEN.search(text))


def _range(word: str, family: str) -> list[str]:
    found = (_RANGE if family == "inet" else _RANGE6).fullmatch(word)
    if not found:
        return []
    base, full = (10, 32) if family == "inet" else (16, 64)
    low, high = int(found["low"], base), int(found["high"], base)
    tail = found["tail"] if family == "inet" else ""
    numbers = range(low, min(high, low + _MOST) + 1)
    first = found["len"] or full
    # Only the first address of an IPv4 range keeps the prefix length; the others become /32.
    lengths = [first if n == low or family == "inet6" else "32" for n in numbers]
    digits = [f"{n:d}" if family == "inet" else f"{n:x}" for n in numbers]
    return [f"{found['head']}{digit}{tail}/{length}" for digit, length in zip(digits, lengths, strict=True)]


def read_entry(words: Iterable[str], *, unicast: bool = False, ordered: bool = True) -> Entry:
    """Read the words of one ifconfig call (without the interface), the way ifconfig(8) does.

    ``unicast`` says whether the release knows peer and peer6, ``ordered`` whether vhid has to stand before what
    belongs to it (10.0 and later).  What ifconfig would refuse is told in ``wrong``; words without a bearing on
    addresses or vhids are skipped.
    """
    return _Reader(list(words), unicast=unicast, ordered=ordered).read()


class _Reader:
    """A cursor over the words."""

    def __init__(self, words: list[str], *, unicast: bool, ordered: bool) -> None:
        self.words = words
        self.unicast = unicast
        self.ordered = ordered
        self.values: dict[str, str] = {}
        self.address = ""
        self.family = ""
        self.wrong = ""

    def read(self) -> Entry:
        queue = list(self.words)
        while queue:
            word = queue.pop(0)
            if word in _FAMILIES:
                self.family = word
            elif word in _TAKES_VALUE or (word in ("peer", "peer6") and self.unicast):
                if not queue:
                    self._refuse(f"{word} needs a value")
                    break
                self._take(word, queue.pop(0))
            elif word in _UNICAST and not self.unicast:
                # ifconfig(8) takes a word it does not know for an address.
                self._refuse(f"this release does not know {word}")
            elif not self.address and _is_address(word):
                self.address = word
        family = self.family or ("inet6" if ":" in self.address else "inet")
        address = self._read_address(family)
        vhid = self._number("vhid", 1, 255)
        password = self.values.get("pass")
        return Entry(
            family=family,
            address=address,
            vhid=vhid,
            advbase=self._number("advbase", 0, 255),
            advskew=self._number("advskew", 0, 254),
            # ifconfig(8) copies into 20 bytes with strlcpy, in every release
            password=Secret(password[:_PASSWORD_LENGTH]) if password else None,
            peer=self.values.get("peer", ""),
            peer6=self.values.get("peer6", ""),
            wrong=self.wrong,
            words=frozenset(self.words) - {password or ""},
        )

    def _take(self, word: str, value: str) -> None:
        if self.ordered and word in _OF_VHID and "vhid" not in self.values:
            self._refuse(f"{word} stands before vhid")
        self.values[word] = value

    def _refuse(self, why: str) -> None:
        self.wrong = self.wrong or why

    def _number(self, word: str, low: int, high: int) -> int | None:
        text = self.values.get(word)
        if text is None:
            return None
        value = _atoi(text)
        if word == "advskew" and value < 0:
            return None  # what ifconfig(8) itself sends for "not said" (recorded on FreeBSD 12.1)
        if not low <= value <= high:
            self._refuse(f"{word} is not a number from {low} to {high}")
            return None
        return None if word == "advbase" and value == 0 and self.ordered else value

    def _read_address(self, family: str) -> IfAddress | None:
        if not self.address:
            return None
        text = self.address.partition("%")[0] if "/" not in self.address else self.address
        length = self.values.get("prefixlen") or _mask_length(self.values.get("netmask", ""))
        try:
            found = ip_interface(text if "/" in text else f"{text}/{length or _default_length(text)}")
        except ValueError:
            self._refuse(f"{self.address} is not an address")
            return None
        if (found.version == 4) != (family == "inet"):
            self._refuse(f"{self.address} stands behind the word {family}")
            return None
        return found


_OF_VHID = frozenset({"advbase", "advskew", "pass", "state", "peer", "peer6"})
_UNICAST = frozenset({"peer", "peer6", "mcast", "mcast6"})
_TAKES_VALUE = frozenset(
    {
        "vhid",
        "advbase",
        "advskew",
        "pass",
        "state",
        "netmask",
        "prefixlen",
        "broadcast",
        "mtu",
        "metric",
        "fib",
        "media",
    }
    | {
        "mediaopt",
        "mode",
        "name",
        "group",
        "-group",
        "description",
        "descr",
        "ether",
        "lladdr",
        "vlan",
        "vlandev",
        "laggport",
    }
    | {"laggproto", "laggtype", "addm", "pltime", "vltime", "tunnelfib", "vlanpcp"}
)


def _atoi(text: str) -> int:
    """Read a number as atoi(3), which ifconfig(8) uses: leading digits count, without any it is 0."""
    found = _NUMBER.match(text)
    return int(found[0]) if found else 0


def _is_address(word: str) -> bool:
    bare = word.partition("/")[0].partition("%")[0]
    try:
        ip_address(bare)
    except ValueError:
        return False
    return True


def _mask_length(text: str) -> str:
    """Return the prefix length of ``255.255.255.0`` or ``0xffffff00``, empty for anything else."""
    try:
        bits = int(text, 16) if text.lower().startswith("0x") else int(IPv4Address(text))
    except ValueError:
        return ""
    return str(bits.bit_count())


def _default_length(text: str) -> int:
    """Without a mask IPv4 gets that of its historical class, IPv6 64."""
    address = ip_address(text)
    if not isinstance(address, IPv4Address):
        return 64
    first = int(address) >> 24
    return 8 if first < 128 else 16 if first < 192 else 24
