r"""One word of sh(1) at a time: quotes, escapes, and expansions skipped without being run.

FreeBSD sources rc.conf with its Almquist shell, and so the rules are those of POSIX 2018, 2.2 to 2.6, as sh(1) of
FreeBSD 9 to 14 has them.  Where shells or releases differ in where a construct ends (a quote inside ``"${x:-...}"``,
``$'...\'...'``), the reader raises ``Unreadable`` instead of guessing: the caller then leaves the file alone.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import field
from typing import NoReturn

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import TextFileError

__all__ = ["IDENTIFIER", "Unreadable", "Word", "WordReader"]

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_ENDS_WORD = frozenset(" \t\n;&|<>()")
# Runs that mean nothing special, taken in one step for speed.
_PLAIN_RUN = re.compile(r"""[^ \t\n;&|<>()\\'"`$=~:*?[{]+""")
_GAP = re.compile(r"(?:[ \t]+|\\\n|#[^\n]*)*")
_DOUBLE_RUN = re.compile(r"""[^"\\$`]+""")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PARAMETER = r"(?:[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?$!-])"
_LENGTH = re.compile(rf"#({_PARAMETER})\}}")
_EXPANSION = re.compile(rf"({_PARAMETER})(:?[-+=?]|%%?|##?|\}})")
_ARITHMETIC_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*(?:[-+*/%&|^]|<<|>>)?=(?!=)")
# Each level costs a handful of Python frames; no rc.conf written by a person comes near this.
_DEEPEST = 40


class Unreadable(TextFileError):
    """The text cannot be followed from ``offset`` on.  Stays inside this package: it becomes a problem of the file."""

    def __init__(self, offset: int, cause: str) -> None:
        super().__init__(cause)
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Word:
    """A word at ``text[start:end]``.

    ``text`` is what quote removal leaves, None when an expansion decides.  ``bare`` means free of quotes and
    expansions, as a reserved word must be.  ``globs`` means that an unquoted ``* ? [ {`` stands in it.  For
    ``NAME=value`` there are ``name``, the offset ``value_start`` behind the ``=``, and ``value``.
    """

    start: int
    end: int
    text: str | None = field(repr=False)
    bare: bool
    globs: bool = False
    name: str = ""
    value_start: int = -1
    value: str | None = field(default=None, repr=False)


class WordReader(ABC):
    """A cursor over ``text`` that reads words; the grammar on top supplies the commands inside ``$(...)``."""

    def __init__(self, text: str, *, depth: int = 0) -> None:
        self.text = text
        self.pos = 0
        self.depth = depth
        self.subshell = 0
        self.used: list[tuple[str, int]] = []

    @abstractmethod
    def note(self, name: str, offset: int) -> None:
        """Remember that running the text may assign ``name`` at ``offset``."""

    @abstractmethod
    def read_substitution(self) -> None:
        """Read the commands from behind ``$(`` up to and including the matching ``)``."""

    @abstractmethod
    def read_all(self) -> None:
        """Read commands to the end of the text."""

    def fail(self, offset: int, cause: str) -> NoReturn:
        raise Unreadable(offset, cause)

    def deeper(self, offset: int) -> None:
        """Count one more level of nesting; the caller subtracts it from ``depth`` when it comes back."""
        self.depth += 1
        if self.depth > _DEEPEST:
            self.fail(offset, "nested too deeply")

    def peek(self) -> str:
        """Return the next character, "" at the end."""
        return self.text[self.pos : self.pos + 1]

    def at_word(self) -> bool:
        return self.pos < len(self.text) and self.text[self.pos] not in _ENDS_WORD

    def skip_blanks(self) -> None:
        """Skip blanks, joined lines and a comment; right only between two tokens, as # inside a word is data."""
        gap = _GAP.match(self.text, self.pos)
        self.pos = gap.end() if gap else self.pos

    def read_word(self) -> Word:
        """Read the word that begins here; the cursor is known to stand on one."""
        start = self.pos
        out: list[str] = []
        known = bare = naming = tilde = True
        globs = False
        name = ""
        value_start = -1
        name_pieces = 0
        while self.at_word():
            if run := _PLAIN_RUN.match(self.text, self.pos):
                out.append(run.group())
                self.pos = run.end()
                tilde = False
                continue
            ch = self.text[self.pos]
            if self.text.startswith("\\\n", self.pos):
                self.pos += 2
                continue
            if ch in "\\'\"`$":
                piece = self._read_quoted(ch)
                known = known and piece is not None
                out.append(piece or "")
                bare = naming = tilde = False
                continue
            if ch == "~" and tilde:
                known = bare = False
            globs = globs or ch in "*?[{"
            self.pos += 1
            tilde = ch == ":" and value_start >= 0
            if ch == "=" and naming and IDENTIFIER.match("".join(out)):
                name, value_start, tilde = "".join(out), self.pos, True
                name_pieces = len(out) + 1
            naming = naming and ch != "="
            out.append(ch)
        return Word(
            start=start,
            end=self.pos,
            text="".join(out) if known else None,
            bare=bare,
            globs=globs,
            name=name,
            value_start=value_start,
            value="".join(out[name_pieces:]) if known and name else None,
        )

    def _read_quoted(self, ch: str) -> str | None:
        """Read one escape, quoted part or expansion; None when its value is not in the text."""
        if ch == "\\":
            escaped = self.text[self.pos + 1 : self.pos + 2]
            if not escaped:
                self.fail(self.pos, "a backslash at the very end of the file")
            self.pos += 2
            return escaped
        if ch == "'":
            start = self.pos
            end = self.text.find("'", start + 1)
            if end < 0:
                self.fail(start, "unterminated single quote")
            self.pos = end + 1
            return self.text[start + 1 : end]
        return self._read_double() if ch == '"' else self.read_expansion(in_double=False)

    def _read_double(self) -> str | None:
        start = self.pos
        self.pos += 1
        out: list[str] = []
        known = True
        while (ch := self.peek()) != '"':
            if not ch:
                self.fail(start, "unterminated double quote")
            if ch == "\\" and (escaped := self.text[self.pos + 1 : self.pos + 2]) and escaped in '$`"\\\n':
                out.append("" if escaped == "\n" else escaped)
                self.pos += 2
            elif ch in "$`":
                piece = self.read_expansion(in_double=True)
                known = known and piece is not None
                out.append(piece or "")
            elif run := _DOUBLE_RUN.match(self.text, self.pos):
                out.append(run.group())
                self.pos = run.end()
            else:
                out.append(ch)
                self.pos += 1
        self.pos += 1
        return "".join(out) if known else None

    def read_expansion(self, *, in_double: bool) -> str | None:
        """Read what a ``$`` or a backquote begins.  Returns "$" for a dollar sign that begins nothing, else None."""
        start = self.pos
        if self.peek() == "`":
            self._read_backquoted(in_double=in_double)
            return None
        after = self.text[start + 1 : start + 2]
        if self.text.startswith("\\\n", start + 1):
            self.fail(start, "a joined line inside an expansion")
        if name := _NAME.match(self.text, start + 1):
            if self.text.startswith("\\\n", name.end()):
                self.fail(start, "a joined line inside an expansion")
            self.used.append((name.group(), start))
            self.pos = name.end()
        elif after == "(":
            self.deeper(start)
            if self.text.startswith("((", start + 1):
                self._read_arithmetic()
            else:
                self.pos += 2
                self.read_substitution()
            self.depth -= 1
        elif after == "{":
            self.deeper(start)
            self._read_braces(in_double=in_double)
            self.depth -= 1
        elif after == "'" and not in_double:
            self._read_dollar_single()
        elif after and after in "@*#?-$!0123456789":
            self.pos += 2
        else:
            self.pos += 1
            # $"..." and $[...] are known to other shells only; sh keeps the dollar sign.  Not a value to rely on.
            return None if after == "[" or (after == '"' and not in_double) else "$"
        return None

    def _read_backquoted(self, *, in_double: bool) -> None:
        start = self.pos
        self.pos += 1
        inner: list[str] = []
        while (ch := self.peek()) != "`":
            if not ch:
                self.fail(start, "unterminated backquote")
            if ch == "\\":
                escaped = self.text[self.pos + 1 : self.pos + 2]
                drops_backslash = escaped in '$`\\"' if in_double else escaped in "$`\\"
                inner.append(escaped if drops_backslash else ch + escaped)
                self.pos += 2
            else:
                inner.append(ch)
                self.pos += 1
        self.pos += 1
        nested = type(self)("".join(inner), depth=self.depth)
        nested.deeper(0)
        nested.subshell = 1
        try:
            nested.read_all()
        except Unreadable as err:
            self.fail(start, f"{err.cause} (inside backquotes)")
        self.used.extend((name, start) for name, _ in nested.used)

    def _read_arithmetic(self) -> None:
        start = self.pos
        self.pos += 3
        parentheses = 0
        while not (self.text.startswith("))", self.pos) and not parentheses):
            ch = self.peek()
            if not ch:
                self.fail(start, "unterminated $((")
            if ch in "'\"\\":
                self.fail(self.pos, "a quote inside $(( ))")
            if ch in "$`":
                self.read_expansion(in_double=True)
                continue
            if ch == ")" and not parentheses:
                self.fail(self.pos, "a single ) where )) should end $((")
            parentheses += {"(": 1, ")": -1}.get(ch, 0)
            self.pos += 1
        for assigned in _ARITHMETIC_ASSIGNMENT.finditer(self.text, start, self.pos):
            self.note(assigned.group(1), assigned.start())
        for name in _NAME.finditer(self.text, start, self.pos):
            self.used.append((name.group(), name.start()))
        self.pos += 2

    def _read_braces(self, *, in_double: bool) -> None:
        start = self.pos
        if found := _LENGTH.match(self.text, start + 2):
            self.used.append((found.group(1), start))
            self.pos = found.end()
            return
        found = _EXPANSION.match(self.text, start + 2)
        if not found:
            self.fail(start, "an expansion that not every sh knows, or an unterminated one")
        name, operator = found.groups()
        self.used.append((name, start))
        self.pos = found.end()
        if operator == "}":
            return
        if operator.endswith("=") and IDENTIFIER.match(name):
            self.note(name, start)
        # Quotes count inside "${x%...}" everywhere, but inside "${x:-...}" shells disagree about them.
        quotes_count = not in_double or operator[0] in "%#"
        while (ch := self.peek()) != "}":
            if not ch:
                self.fail(start, "unterminated ${")
            if ch == "\\":
                self.pos += 2
            elif ch in "'\"" and not quotes_count:
                self.fail(self.pos, "a quote inside ${ } inside double quotes")
            elif ch in "'\"":
                self._read_quoted(ch)
            elif ch in "$`":
                self.read_expansion(in_double=in_double)
            else:
                self.pos += 1
        self.pos += 1

    def _read_dollar_single(self) -> None:
        r"""Skip ``$'...'``.  With escapes (FreeBSD 9 and later) a ``\'`` does not end it; before, it does."""
        start = self.pos
        self.pos += 2
        while (ch := self.peek()) != "'":
            if not ch:
                self.fail(start, "unterminated single quote")
            self.pos += 2 if ch == "\\" else 1
        if self.text.find("'", start + 2) != self.pos:
            self.fail(start, "$'...' with a quote inside it, which releases read differently")
        self.pos += 1
