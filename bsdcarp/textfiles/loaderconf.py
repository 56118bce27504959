r"""loader.conf, edited line by line.  It looks like sh, but nothing is expanded and no quote but ``"`` is known.

Two readers again: the Forth loader (stand/forth/support.4th; the only one up to FreeBSD 11) stops at a line it does not
understand, so that whatever follows is not set; the Lua loader (stand/lua/config.lua; the default from 12.0 on) prints
``Malformed line`` and goes on.  What either of them dislikes is a problem here.
"""

from __future__ import annotations

import re
from dataclasses import field
from functools import lru_cache

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import TextFileError
from bsdcarp.textfiles.lines import REMEMBERED, appended, numbered_lines

__all__ = ["LoaderConf", "Variable"]

_NAME = r"[A-Za-z][A-Za-z0-9_.-]*"
_NAME_ONLY = re.compile(rf"{_NAME}\Z")
_LINE = re.compile(
    rf"""(?P<name>{_NAME})[ \t]*=[ \t]*
         (?P<raw>"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[A-Za-z0-9_.-]+))
         [ \t]*(?:\#.*)?\Z""",
    re.VERBOSE | re.DOTALL,
)
_PRINTABLE = re.compile(r"[\t -~]*\Z")
# In quotes; "$" because the Lua loader looks for variables in values.
_VALUE = re.compile(r"[ !#%-\[\]-~]*\Z")
_BARE_EVERYWHERE = re.compile(r"(?:[A-Za-z0-9]+|-[0-9]+)\Z")


@dataclass(frozen=True, slots=True)
class Variable:
    """One ``name="value"`` line; ``line`` counts from 1, ``span`` are the offsets of the value with its quotes."""

    name: str
    value: str
    line: int
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class LoaderConf:
    """One file.  Make it with ``LoaderConf.parse``; every edit returns another one.

    ``problems`` are (line, reason) of lines that one of the loaders refuses or reads differently.  Edits are still
    made, as every line stands for itself, but a caller should look at ``problems`` before it relies on them.
    """

    text: str = field(repr=False)
    entries: tuple[Variable, ...] = field(compare=False)
    problems: tuple[tuple[int, str], ...] = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> LoaderConf:
        """Read any text at all; never raises."""
        return _parsed(text)

    def get(self, name: str) -> str | None:
        """Return the value of the last line for ``name``."""
        last = self._last(name)
        return last.value if last else None

    def line_of(self, name: str) -> int | None:
        """Return the line of the last setting of ``name``."""
        last = self._last(name)
        return last.line if last else None

    def set(self, name: str, value: str) -> LoaderConf:
        """Give the last line of ``name`` this value in double quotes, or append ``name="value"``.

        Raises TextFileError for a name that is not one, or a value that not every loader would take literally.
        """
        if not _NAME_ONLY.match(name):
            raise TextFileError(f"{name!r} is not the name of a loader variable")
        if not _VALUE.match(value):
            raise TextFileError(
                f'the value for {name} holds a character that loader.conf cannot: ", \\, $, not printable'
            )
        last = self._last(name)
        if last is None:
            return LoaderConf.parse(appended(self.text, f'{name}="{value}"'))
        if last.value == value:
            return self
        start, end = last.span
        return LoaderConf.parse(f'{self.text[:start]}"{value}"{self.text[end:]}')

    def unset(self, name: str) -> LoaderConf:
        """Remove every line of ``name``."""
        gone = {entry.line for entry in self.entries if entry.name == name}
        lines = self.text.split("\n")
        kept = [line for number, line in enumerate(lines, 1) if number not in gone]
        if len(lines) in gone and kept:
            kept.append("")
        return LoaderConf.parse("\n".join(kept))

    def _last(self, name: str) -> Variable | None:
        return next((entry for entry in reversed(self.entries) if entry.name == name), None)


@lru_cache(maxsize=REMEMBERED)
def _parsed(text: str) -> LoaderConf:
    entries: list[Variable] = []
    problems: list[tuple[int, str]] = []
    for number, start, line in numbered_lines(text):
        lead = len(line) - len(line.lstrip(" \t"))
        if line[lead : lead + 1] in {"", "#"}:
            continue
        found = _LINE.match(line, lead)
        if found:
            raw = found.group("quoted")
            # The Forth loader drops every backslash, also one that a backslash protects.
            value = found.group("bare") if raw is None else raw.replace("\\", "")
            span = (start + found.start("raw"), start + found.end("raw"))
            entries.append(Variable(found.group("name"), value, number, span))
        if reason := _problem(line[lead:], found):
            problems.append((number, reason))
    return LoaderConf(text, tuple(entries), tuple(problems))


def _problem(line: str, found: re.Match[str] | None) -> str:
    """Return why a loader would not take the line, "" when both do."""
    if line.endswith("\r"):
        return "a carriage return at the end of the line"
    if found is None:
        if not re.match(rf"{_NAME}[ \t]*=", line):
            return "not a comment and not name=value"
        if line.count('"') % 2:
            return "a double quote without its partner"
        return "the value is not one word or one string in double quotes"
    if found.group("quoted") is None:
        bare = found.group("bare")
        return "" if _BARE_EVERYWHERE.match(bare) else "a value with . or _ or - that is not in double quotes"
    if "\\" in found.group("quoted"):
        return "a backslash, which the loaders read differently"
    if not _PRINTABLE.match(found.group("quoted")):
        return "a character in the value that is not printable ASCII"
    return ""
