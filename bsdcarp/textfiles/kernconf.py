"""Kernel configuration files (config(5)): which devices they ask for, and adding ``device carp`` and an ``ident``.

The words are those of usr.sbin/config/lang.l and config.y of FreeBSD 9.3 and 10.4: statements end at a newline or a
semicolon, # begins a comment, and a line that begins with a blank continues the one before.
"""

from __future__ import annotations

import re
from dataclasses import field

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import TextFileError
from bsdcarp.textfiles.lines import appended, line_at

__all__ = ["KernConf", "Statement"]

_TOKEN = re.compile(
    r"""(?P<skip>[ \t\f\r]+|\#[^\n]*|\n(?=[ \t]))
      | (?P<end>[\n;])
      | (?P<comma>,)
      | "(?P<quoted>[^"]+)"
      | (?P<word>[^ \t\f\r\n;,\#"]+|")""",
    re.VERBOSE,
)
_IDENT = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_DEVICE = frozenset({"device", "devices"})
_NODEVICE = frozenset({"nodevice", "nodevices"})


@dataclass(frozen=True, slots=True)
class Statement:
    """A keyword and its words without quotes; ``line`` counts from 1, ``spans`` are the offsets of the words."""

    keyword: str
    words: tuple[str, ...]
    line: int
    spans: tuple[tuple[int, int], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class KernConf:
    """One file.  Make it with ``KernConf.parse``; every edit returns another one.

    ``includes``, ``ident`` and ``devices`` are what this file itself says; included files are not looked into.
    """

    text: str = field(repr=False)
    statements: tuple[Statement, ...] = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> KernConf:
        """Read any text at all; never raises."""
        statements: list[Statement] = []
        tokens: list[re.Match[str]] = []
        for token in _TOKEN.finditer(text + "\n"):
            if token.lastgroup == "end":
                if tokens:
                    statements.append(_statement(text, tokens))
                tokens = []
            elif token.lastgroup in {"word", "quoted"}:
                tokens.append(token)
        return cls(text, tuple(statements))

    @property
    def includes(self) -> tuple[str, ...]:
        """The names behind ``include``, in order."""
        return tuple(s.words[0] for s in self.statements if s.keyword == "include" and s.words)

    @property
    def ident(self) -> str | None:
        """The last ``ident`` of this file, which becomes ``uname -i``."""
        last = self._last_ident()
        return self.statements[last].words[0] if last >= 0 else None

    @property
    def devices(self) -> frozenset[str]:
        """The devices that are left at the end; ``nodevice`` takes away what came before it."""
        devices: set[str] = set()
        for statement in self.statements:
            if statement.keyword in _DEVICE:
                devices.update(statement.words)
            elif statement.keyword in _NODEVICE:
                devices.difference_update(statement.words)
        return frozenset(devices)

    def has_device(self, name: str) -> bool:
        """Whether this file itself asks for the device."""
        return name in self.devices

    def with_device(self, name: str) -> KernConf:
        """Append ``device name`` unless it is there.  Raises TextFileError when ``name`` cannot be a device."""
        _refuse_unless_word(name)
        if self.has_device(name):
            return self
        return KernConf.parse(appended(self.text, f"device\t\t{name}"))

    def with_ident(self, name: str) -> KernConf:
        """Make ``name`` the ident: in place, or behind the last ``include``, which may bring an ident of its own."""
        _refuse_unless_word(name)
        last = self._last_ident()
        included = max((at for at, s in enumerate(self.statements) if s.keyword == "include"), default=-1)
        if last > included:
            if self.ident == name:
                return self
            start, end = self.statements[last].spans[0]
            word = f'"{name}"' if self.text[start] == '"' else name
            return KernConf.parse(self.text[:start] + word + self.text[end:])
        if included < 0:
            return KernConf.parse(appended(self.text, f"ident\t\t{name}"))
        spans = self.statements[included].spans
        where = self._line_end(spans[-1][1] if spans else len(self.text))
        return KernConf.parse(appended(self.text[:where], f"ident\t\t{name}") + self.text[where:])

    def _last_ident(self) -> int:
        idents = (at for at, s in enumerate(self.statements) if s.keyword == "ident" and s.words)
        return max(idents, default=-1)

    def _line_end(self, offset: int) -> int:
        """Return the offset behind the newline that ends the statement, past its continuation lines."""
        found = re.compile(r"\n(?![ \t])").search(self.text, offset)
        return found.end() if found else len(self.text)


def _statement(text: str, tokens: list[re.Match[str]]) -> Statement:
    words = tuple(token.group("quoted") or token.group("word") for token in tokens)
    spans = tuple(token.span() for token in tokens)
    return Statement(words[0], words[1:], line_at(text, spans[0][0]), spans[1:])


def _refuse_unless_word(name: str) -> None:
    if not _IDENT.match(name):
        raise TextFileError(f"{name!r} cannot be a name in a kernel configuration file")
