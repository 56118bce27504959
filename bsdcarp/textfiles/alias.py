"""The words of one rc.conf value that is handed to ifconfig(8): ``ifconfig_IF_aliasN``, or ``ifconfig_carpN`` up to 9.

The words are those of sbin/ifconfig (carp.c, af_inet.c, af_inet6.c); how rc treats them before is etc/network.subr.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import field
from typing import Literal

from bsdcarp.dataclass import dataclass

__all__ = ["AliasWords", "hyphen_trap", "parse_alias", "variable_name"]

_FAMILIES = frozenset({"inet", "inet6", "link", "ether"})
_NUMBERS = frozenset({"vhid", "advbase", "advskew", "prefixlen"})
_STRINGS = frozenset({"pass", "peer", "peer6", "netmask"})
_PUNCTUATION = str.maketrans(".-/+", "____")
# The first word behind the family, when it is a range and nothing else is taken for one.
_INET_RANGE = re.compile(r"(?:[0-9]+\.)*([0-9]+)-([0-9]+)(?:\.[0-9]+)*(?:/[0-9]+)?\Z")
_INET6_RANGE = re.compile(r"[0-9A-Fa-f:]*:([0-9A-Fa-f]+)-([0-9A-Fa-f]+)(?:/[0-9]+)?\Z")


@dataclass(frozen=True, slots=True)
class AliasWords:
    """What a value says, word by word.

    ``address`` is ``192.0.2.1/24`` when the prefix length is known (from /len, netmask or prefixlen) and the word as
    written when not, as ifconfig's default mask differs by release; ``ip`` is the same as an object, None then.
    Numbers that ifconfig would not read as decimal stay in ``rest``, with every word that is not known here.
    No repr shows ``password``, nor ``rest``, where parts of a password with a blank in it would end up.
    """

    family: Literal["inet", "inet6"] | None = None
    address: str | None = None
    ip: ipaddress.IPv4Interface | ipaddress.IPv6Interface | None = None
    vhid: int | None = None
    advbase: int | None = None
    advskew: int | None = None
    password: str | None = field(default=None, repr=False)
    peer: str | None = None
    peer6: str | None = None
    keyword_alias: bool = False
    rest: tuple[str, ...] = field(default=(), repr=False)


def parse_alias(value: str) -> AliasWords:
    """Split ``value`` as sh does (at blanks, quotes being ordinary) and sort its words.  Never raises.

    The last of repeated words counts, and the first word that is an IPv4 or IPv6 address, or a range of them.
    """
    words = value.split()
    family: Literal["inet", "inet6"] | None = None
    if words and words[0] in {"inet", "inet6"}:
        family = "inet6" if words.pop(0) == "inet6" else "inet"
    numbers: dict[str, int] = {}
    strings: dict[str, str] = {}
    address: str | None = None
    keyword_alias = False
    rest: list[str] = []
    following = iter(words)
    for word in following:
        if word in _NUMBERS | _STRINGS:
            argument = next(following, None)
            if argument is None:
                rest.append(word)
            elif word in _STRINGS:
                strings[word] = argument
            elif argument.isascii() and argument.isdigit():
                numbers[word] = int(argument)
            else:
                rest += [word, argument]
        elif word == "alias":
            keyword_alias = True
        elif address is None and _is_address(word):
            address = word
        else:
            rest.append(word)
    ip = _interface(address, strings.get("netmask"), numbers.get("prefixlen"))
    return AliasWords(
        family=family,
        address=str(ip) if ip else address,
        ip=ip,
        vhid=numbers.get("vhid"),
        advbase=numbers.get("advbase"),
        advskew=numbers.get("advskew"),
        password=strings.get("pass"),
        peer=strings.get("peer"),
        peer6=strings.get("peer6"),
        keyword_alias=keyword_alias,
        rest=tuple(rest),
    )


def hyphen_trap(value: str, *, any_hyphen: bool = False) -> bool:
    """Whether rc would stumble over a hyphen in this ``ifconfig_IF_aliasN`` value, at best losing the address.

    ``ifalias_af_common_handler`` of network.subr takes a component (the words from one ``inet`` to the next) with
    a hexadecimal digit before a hyphen for a range of addresses such as 192.0.2.10-12, expands it, and calls itself
    with the result.  When the hyphen was in a password, the expansion changes nothing, and so it calls itself with
    the same words for ever: the machine hangs at boot before the network is up (network.subr of FreeBSD 10.4 and of
    main; recorded on FreeBSD 9.3, where only ^C on the console helped).  Some forms, such as two hyphens in a row, are
    dropped silently instead.  On 9.x any hyphen will do: pass ``any_hyphen=True``.

    A plain ascending range as the first word behind the family, with no other such hyphen, works and is no trap.  The
    value of ``ifconfig_carpN`` itself, without ``_aliasN``, never goes through this code.
    """
    trigger = re.compile("-" if any_hyphen else "[0-9A-Fa-f]-")
    for family, words in _components(value.split()):
        if not trigger.search(" ".join(words)):
            continue
        behind = " ".join(words[1:])
        # With a range in front, "--" anywhere in the component makes rc drop all of it.
        if not _is_plain_range(family, words[0]) or trigger.search(behind) or "--" in behind:
            return True
    return False


def variable_name(interface: str) -> str:
    """Return the interface's name as it appears inside a variable: each of ``. - / +`` becomes ``_``.

    From get_if_var in network.subr: the variable for em0.5 is ``ifconfig_em0_5``.
    """
    return interface.translate(_PUNCTUATION)


def _components(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield (family, words behind it); rc takes words without a family for ``inet``."""
    family = "inet"
    current: list[str] = []
    for word in words:
        if word in _FAMILIES:
            yield family, current
            family, current = word, []
        else:
            current.append(word)
    yield family, current


def _is_plain_range(family: str, word: str) -> bool:
    """Whether rc expands the word to at least one address; a descending range comes to nothing."""
    pattern, base = (_INET6_RANGE, 16) if family == "inet6" else (_INET_RANGE, 10)
    found = pattern.match(word)
    return found is not None and int(found.group(1), base) <= int(found.group(2), base)


def _is_address(word: str) -> bool:
    if _INET_RANGE.match(word) or _INET6_RANGE.match(word):
        return True
    try:
        ipaddress.ip_address(word.partition("/")[0])
    except ValueError:
        return False
    return True


def _interface(
    address: str | None, netmask: str | None, prefixlen: int | None
) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
    if address is None:
        return None
    host, slash, length = address.partition("/")
    mask = length if slash else netmask if ":" not in host else prefixlen
    if mask is None:
        return None
    if isinstance(mask, str) and re.fullmatch(r"0x[0-9A-Fa-f]{1,8}", mask):
        mask = str(ipaddress.IPv4Address(int(mask, 16)))
    try:
        found = ipaddress.ip_interface(f"{host}/{mask}")
    except ValueError:
        return None
    # ipaddress also takes host masks (0.0.0.255), which ifconfig would apply as they are.
    if isinstance(mask, str) and "." in mask and str(found.netmask) != mask:
        return None
    return found
