r"""sysctl.conf, edited line by line.

Two readers have to be pleased.  Up to FreeBSD 9 rc.d/sysctl does ``while read var comments`` and hands the first word
of a line to sysctl(8): no blanks around ``=``, no quotes, no ``:``, backslashes vanish, and a last line without a
newline is lost (etc/rc.d/sysctl of 9.3; recorded on FreeBSD 9.3: ``0# text`` is refused, ``allow = 1`` is not
understood).  From 10 on it is ``sysctl -f``, which takes all of these (sbin/sysctl/sysctl.c of 10.4, parsefile and
parse).  This editor reads what the newer one reads, points out where the older one would not, and writes only
``oid=value``.
"""

from __future__ import annotations

import re
from dataclasses import field
from functools import lru_cache

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import TextFileError
from bsdcarp.textfiles.lines import REMEMBERED, appended, numbered_lines

__all__ = ["Setting", "SysctlConf"]

# isspace(3) in the C locale.
_SPACE = " \t\n\v\f\r"
_OID = re.compile(r"[A-Za-z0-9_%][A-Za-z0-9_%.-]*\Z")
# Anything else would be a comment, a quote or a second word to one reader or the other.
_VALUE = re.compile(r"[!$-&(-\[\]-~]+\Z")


@dataclass(frozen=True, slots=True)
class Setting:
    """One ``oid=value`` line as sysctl(8) of FreeBSD 10 and later reads it; ``line`` counts from 1.

    ``span`` are the offsets from the oid to the end of the value; ``odd`` says why other releases may read the line
    differently, "" when they do not.
    """

    oid: str
    value: str
    line: int
    span: tuple[int, int]
    odd: str


@dataclass(frozen=True, slots=True)
class SysctlConf:
    """One file.  Make it with ``SysctlConf.parse``; every edit returns another one.

    ``odd`` are (line, reason) of every line that not all releases read in the same way, or that sets nothing.
    """

    text: str = field(repr=False)
    entries: tuple[Setting, ...] = field(compare=False)
    odd: tuple[tuple[int, str], ...] = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> SysctlConf:
        """Read any text at all; never raises."""
        return _parsed(text)

    def get(self, oid: str) -> str | None:
        """Return the value of the last line for ``oid``."""
        last = self._last(oid)
        return last.value if last else None

    def line_of(self, oid: str) -> int | None:
        """Return the line of the last setting of ``oid``."""
        last = self._last(oid)
        return last.line if last else None

    def set(self, oid: str, value: str, *, strict: bool = False) -> SysctlConf:
        """Give the last line of ``oid`` this value, keeping a comment behind it, or append ``oid=value``.

        A line that has the value already stays as it is; with ``strict`` only if every release reads it like that.
        Raises TextFileError for an oid or value that is not one printable word.
        """
        if not _OID.match(oid):
            raise TextFileError(f"{oid!r} is not the name of a sysctl")
        if not _VALUE.match(value):
            raise TextFileError(f"the value for {oid} is not one printable word without quotes, # and backslash")
        last = self._last(oid)
        if last is None:
            # FreeBSD 9 joins a line that ends in a backslash with the next one, even a comment.
            joined = self.text.endswith(("\\", "\\\n"))
            return SysctlConf.parse(appended(appended(self.text, "") if joined else self.text, f"{oid}={value}"))
        if last.value == value and not (strict and last.odd):
            return self
        start, end = last.span
        line_end = self.text.find("\n", end)
        line_end = len(self.text) if line_end < 0 else line_end
        comment = self.text[end:line_end].removeprefix("\r")
        if comment.startswith("#"):
            comment = f" {comment}"
        elif comment.strip(_SPACE) and not comment.lstrip(_SPACE).startswith("#"):
            comment = ""
        # A last line without a newline is lost on FreeBSD 9.
        rest = self.text[line_end:] or "\n"
        return SysctlConf.parse(f"{self.text[:start]}{oid}={value}{comment}{rest}")

    def unset(self, oid: str) -> SysctlConf:
        """Remove every line of ``oid``."""
        gone = {entry.line for entry in self.entries if entry.oid == oid}
        lines = self.text.split("\n")
        kept = [line for number, line in enumerate(lines, 1) if number not in gone]
        if len(lines) in gone and kept:
            # The last line had no newline; the one that is last now keeps its own.
            kept.append("")
        return SysctlConf.parse("\n".join(kept))

    def _last(self, oid: str) -> Setting | None:
        return next((entry for entry in reversed(self.entries) if entry.oid == oid), None)


@lru_cache(maxsize=REMEMBERED)
def _parsed(text: str) -> SysctlConf:
    entries: list[Setting] = []
    odd: list[tuple[int, str]] = []
    for number, start, line in numbered_lines(text):
        statement = _without_comment(line)
        if not statement.strip(_SPACE):
            if line.endswith("\\"):
                odd.append((number, "a backslash at the end of the line"))
            continue
        entry = _setting(line, statement, number, start, ended=start + len(line) < len(text))
        if isinstance(entry, Setting):
            entries.append(entry)
            if entry.odd:
                odd.append((number, entry.odd))
        else:
            odd.append((number, entry))
    return SysctlConf(text, tuple(entries), tuple(odd))


def _without_comment(line: str) -> str:
    r"""Cut the comment as parsefile of FreeBSD 10 and later does: a quote before the # protects it, so does ``\``."""
    single, double = line.find("'"), line.find('"')
    at = line.find("#")
    while at >= 0:
        quote = single if 0 <= single < at else double if 0 <= double < at else -1
        if quote >= 0:
            closing = line.find(line[quote], quote + 1)
            return line[: closing + 1] if closing >= 0 else line
        if at == 0 or line[at - 1] != "\\":
            return line[:at]
        at = line.find("#", at + 1)
    return line


def _setting(line: str, statement: str, number: int, start: int, *, ended: bool) -> Setting | str:
    lead = len(statement) - len(statement.lstrip(_SPACE))
    core = statement.strip(_SPACE)
    found = re.search("[=:]", core)
    if not found:
        return "no = in it"
    oid = core[: found.start()].rstrip(_SPACE)
    if not oid:
        return "no name before the ="
    value = core[found.end() :].lstrip(_SPACE)
    quotes = value[:1] in {"'", '"'}
    if quotes:
        value = value[1:-1] if len(value) > 1 and value[-1] == value[0] else value[1:]
    behind = line[lead + len(core) :]
    reasons = {
        "a : instead of =": found.group() == ":",
        "blanks around the =": any(ch in _SPACE for ch in core[len(oid) : found.start() + 2]),
        "quotes": quotes,
        "more than one word": any(ch in _SPACE for ch in value),
        "a backslash": "\\" in core or line.endswith("\\"),
        "a comment glued to the value": behind.startswith("#"),
        "other text behind the value": behind.strip(_SPACE)[:1] not in {"", "#"},
        "a carriage return or another blank than space and tab": any(
            ch in "\r\v\f" for ch in line[: lead + len(core) + 1]
        ),
        "a last line without a newline": not ended,
    }
    odd = next((reason for reason, holds in reasons.items() if holds), "")
    return Setting(oid, value, number, (start + lead, start + lead + len(core)), odd)
