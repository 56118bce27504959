"""sysctl.conf as each era of rc.d/sysctl reads it, net.inet.carp only.

Up to FreeBSD 9 a shell loop takes the first word of every line (etc/rc.d/sysctl of 9.3): blanks around ``=`` make a
line do nothing, and a last line without a newline is never seen.  From 10 on ``sysctl -f`` reads the file itself
(parsefile() and parse() in sbin/sysctl/sysctl.c of 10.4 and 12.1): blanks, quotes, ``:`` and trailing comments work.
"""

from __future__ import annotations

import re
from typing import Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.textfiles.sysctlconf import SysctlConf

__all__ = ["PREFIX", "SysctlLine", "read_sysctl_lines"]

PREFIX = "net.inet.carp."
_MENTIONED = re.compile(r"^\s*[\"']?net\.inet\.carp\.")
_NUMBER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class SysctlLine:
    """One line that concerns CARP: the leaf and the number it sets, or why it sets nothing."""

    line: int
    leaf: str
    value: int | None
    wrong: str = ""


def read_sysctl_lines(text: str, syntax: Literal["pseudo", "vhid", "linux"]) -> list[SysctlLine]:
    """Return what each line about net.inet.carp does on a release of that era."""
    return _by_shell(text) if syntax == "pseudo" else _by_sysctl(text)


def _by_shell(text: str) -> list[SysctlLine]:
    lines = text.split("\n")
    unended = lines.pop()
    found = [_loop(number, line) for number, line in enumerate(lines, 1) if _MENTIONED.match(line)]
    if _MENTIONED.match(unended):
        why = "the last line has no newline, so sh's read gives up before it"
        found.append(SysctlLine(len(lines) + 1, _leaf(unended), None, why))
    return found


def _by_sysctl(text: str) -> list[SysctlLine]:
    conf = SysctlConf.parse(text)
    lines = text.split("\n")
    found = [_numeric(e.line, e.oid.removeprefix(PREFIX), e.value) for e in conf.entries if e.oid.startswith(PREFIX)]
    seen = {entry.line for entry in conf.entries}
    found += [
        SysctlLine(number, _leaf(lines[number - 1]), None, why)
        for number, why in conf.odd
        if number not in seen and _MENTIONED.match(lines[number - 1])
    ]
    return sorted(found, key=lambda line: line.line)


def _leaf(text: str) -> str:
    return re.split(r"[=:#\s]", text.strip().strip("\"'"), maxsplit=1)[0].removeprefix(PREFIX)


def _loop(number: int, line: str) -> SysctlLine:
    word = line.split(maxsplit=1)[0].replace("\\", "")
    name, equals, value = word.partition("=")
    leaf = name.removeprefix(PREFIX)
    if not equals:
        return SysctlLine(number, _leaf(name), None, "only the first word of a line counts, and this one has no =")
    return _numeric(number, leaf, value)


def _numeric(number: int, leaf: str, value: str) -> SysctlLine:
    if not _NUMBER.fullmatch(value):
        return SysctlLine(number, leaf, None, "its value is not one number")
    digits = value.lstrip("+-")
    base = 16 if digits[:2].lower() == "0x" else 8 if digits.startswith("0") and len(digits) > 1 else 10
    return SysctlLine(number, leaf, int(value, base))
