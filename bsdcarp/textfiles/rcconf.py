"""rc.conf, edited in place: what bsdcarp does not change stays as it is, byte for byte.

rc.conf is a shell script that FreeBSD's rc sources with sh(1) (rc.conf(5), rc.subr load_rc_config): the last assignment
wins, and a syntax error can keep a machine from booting.  So the text is read with sh's own grammar, and an edit that
could not be done with certainty is refused.  sysrc(8) is no way out: it does not escape what it writes (recorded on
FreeBSD 12.1: a double quote and a backquote in a value left an rc.conf that neither sysrc nor service could read).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from functools import lru_cache

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import TextFileError
from bsdcarp.textfiles.lines import REMEMBERED, appended, line_at, refuse_unless_encodable
from bsdcarp.textfiles.sheffects import Assigning
from bsdcarp.textfiles.shgrammar import read_script
from bsdcarp.textfiles.shwords import IDENTIFIER

__all__ = ["Assignment", "RcConf", "quoted"]

_REPAIR = "correct the file by hand first"


@dataclass(frozen=True, slots=True)
class Assignment:
    """A top-level ``NAME=value``, or the operand of a top-level ``export``.

    ``value`` is what sh makes of it, None when that takes running it; ``raw`` is the text behind the ``=``; ``line``
    counts from 1; ``span`` are the offsets of all of ``NAME=value``.  Values may be secrets: no repr shows them.
    """

    name: str
    value: str | None = field(repr=False)
    raw: str = field(repr=False)
    line: int
    span: tuple[int, int]


@dataclass(frozen=True, slots=True)
class RcConf:
    """One file.  Make it with ``RcConf.parse``; every edit returns another one.

    ``assignments`` are those that surely happen, in order.  ``conditional_names`` are (name, line) of every other
    place that may assign, unset or lock a variable: inside if, case, loops, functions and lists, by read, unset,
    readonly, ``${x:=y}``.  ``problems`` are (line, reason) of what could not be followed, or what ends the file early;
    nothing behind the first one is understood and all edits are refused.  ``references`` are (name, line) of every
    expansion.  ``unseen`` are (line, command) of ``.``, ``eval`` and their like, whose effects are not visible here.
    """

    text: str = field(repr=False)
    assignments: tuple[Assignment, ...] = field(compare=False)
    conditional_names: tuple[tuple[str, int], ...] = field(compare=False)
    problems: tuple[tuple[int, str], ...] = field(compare=False)
    references: tuple[tuple[str, int], ...] = field(repr=False, compare=False)
    unseen: tuple[tuple[int, str], ...] = field(compare=False)
    _changed: tuple[tuple[str, int], ...] = field(repr=False, compare=False)
    _used: tuple[tuple[str, int], ...] = field(repr=False, compare=False)
    _readonly: frozenset[str] = field(repr=False, compare=False)
    _line_ends: tuple[int, ...] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> RcConf:
        """Read any text at all; never raises."""
        return _parsed(text)

    def get(self, name: str) -> str | None:
        """Return the value that sh would leave; None when there is none, or when only running the file would tell."""
        last = self._last(name)
        return last.value if last and not self._changed_behind(name, last.span[0]) else None

    def line_of(self, name: str) -> int | None:
        """Return the line of the last place that assigns ``name``, or may do so."""
        last = self._last(name)
        offsets = [at for changed, at in self._changed if changed == name]
        if last:
            offsets.append(last.span[0])
        return line_at(self.text, max(offsets)) if offsets else None

    def set(self, name: str, value: str) -> RcConf:
        """Give the last assignment of ``name`` this value, or append one.

        Raises TextFileError when something behind the last assignment may change the variable again, when the file
        has problems, or when the value cannot be written.
        """
        self._refuse(name)
        refuse_unless_encodable(name, value)
        last = self._last(name)
        if last is None:
            return self._inserted(len(self.text), name, value)
        self._refuse_later(name, last)
        if last.value == value:
            return self
        end = last.span[1]
        return self._checked(self.text[: end - len(last.raw)] + quoted(value) + self.text[end:], name, value)

    def add(self, name: str, value: str, after: str | None = None) -> RcConf:
        """As ``set``, but a new variable comes on its own line directly behind the one that assigns ``after``."""
        anchor = self._last(after) if after is not None else None
        if anchor is None or self._last(name) or any(changed == name for changed, _ in self._changed):
            return self.set(name, value)
        self._refuse(name)
        refuse_unless_encodable(name, value)
        where = next((end for end in self._line_ends if end >= anchor.span[1]), len(self.text))
        return self._inserted(where, name, value)

    def unset(self, name: str) -> RcConf:
        """Remove every assignment of ``name``, and the whole line where nothing but a comment would be left.

        Raises TextFileError when a place that is not certain to run may assign it, or an expansion uses it.
        """
        self._refuse(name)
        # What only these assignments themselves use (v="$v more") goes with them.
        own = [assignment.span for assignment in self.assignments if assignment.name == name]
        self._refuse_interwoven(name, lambda at: any(start <= at < end for start, end in own))
        conf = RcConf.parse(_stripped(self.text, name))
        if conf.problems or _facts(conf) != [found for found in _facts(self) if found[0] != name]:
            raise TextFileError(f"{name} cannot be removed safely", place=self._place(name), remedy=_REPAIR)
        return conf

    def rename(self, old: str, new: str, *, every: bool = False) -> RcConf:
        """Rename the last assignment of ``old`` (or ``every`` one) in place; its value and the line stay as they are.

        Raises TextFileError when ``old`` is not assigned or is used elsewhere, or when a later place assigns ``new``.
        """
        self._refuse(old)
        self._refuse(new)
        found = [assignment for assignment in self.assignments if assignment.name == old]
        if not found:
            raise TextFileError(f"{old} is not assigned here, so it cannot be renamed")
        self._refuse_interwoven(old, lambda _: False)
        found = found if every else found[-1:]
        start = found[0].span[0]
        other = self._last(new)
        if (other and other.span[0] > start) or self._changed_behind(new, start):
            raise TextFileError(f"{old} cannot become {new}, which is assigned further down", place=self._place(new))
        text = self.text
        for assignment in reversed(found):
            begin, end = assignment.span
            text = f"{text[:begin]}{new}={text[end - len(assignment.raw) :]}"
        conf = RcConf.parse(text)
        renamed = {assignment.span[0] for assignment in found}
        wanted = [(new if a.span[0] in renamed else a.name, a.raw) for a in self.assignments]
        if conf.problems or _facts(conf) != wanted:
            raise TextFileError(f"{old} cannot be renamed safely", place=self._place(old), remedy=_REPAIR)
        return conf

    def _last(self, name: str) -> Assignment | None:
        return next((found for found in reversed(self.assignments) if found.name == name), None)

    def _changed_behind(self, name: str, offset: int) -> bool:
        return any(changed == name and at > offset for changed, at in self._changed)

    def _place(self, name: str) -> str:
        line = self.line_of(name)
        return f"line {line}" if line else ""

    def _refuse(self, name: str) -> None:
        if not IDENTIFIER.match(name):
            raise TextFileError(f"{name!r} is not the name of a shell variable")
        if self.problems:
            line, cause = self.problems[0]
            raise TextFileError(cause, place=f"line {line}", remedy=_REPAIR)
        if name in self._readonly:
            raise TextFileError(f"{name} is made readonly", place=self._place(name), remedy=_REPAIR)

    def _refuse_later(self, name: str, last: Assignment) -> None:
        if self._changed_behind(name, last.span[0]):
            cause = f"{name} may be changed here, behind its assignment in line {last.line}"
            raise TextFileError(cause, place=self._place(name), remedy="move the assignment behind this place")

    def _refuse_interwoven(self, name: str, harmless: Callable[[int], bool]) -> None:
        for other, at in self._changed + self._used:
            if other == name and not harmless(at):
                place = f"line {line_at(self.text, at)}"
                raise TextFileError(f"{name} is also used or changed here", place=place, remedy=_REPAIR)

    def _inserted(self, where: int, name: str, value: str) -> RcConf:
        line = f"{name}={quoted(value)}"
        head, tail = self.text[:where], self.text[where:]
        if head.endswith("\\\n"):
            # The last line asks to be joined with the next one, which an empty line satisfies.
            head += "\n"
        return self._checked(appended(head, line) + tail, name, value)

    def _checked(self, text: str, name: str, value: str) -> RcConf:
        """Parse the edited ``text`` and compare: nothing but ``name`` may have changed."""
        conf = RcConf.parse(text)
        others = [found for found in _facts(self) if found[0] != name]
        if conf.problems or conf.get(name) != value or [found for found in _facts(conf) if found[0] != name] != others:
            raise TextFileError(f"{name} cannot be set safely here", place=self._place(name), remedy=_REPAIR)
        return conf


@lru_cache(maxsize=REMEMBERED)
def _parsed(text: str) -> RcConf:
    script = read_script(text)
    assignments = [
        Assignment(
            name=word.name,
            # The operands of export are ordinary words: a file name may match, and some shells expand braces.
            value=None if command.first and word.globs else word.value,
            raw=text[word.value_start : word.end],
            line=line_at(text, word.start),
            span=(word.start, word.end),
        )
        for command in script.commands
        for word in command.words[command.first :]
        if word.name
    ]
    changed = tuple(sorted(script.changed, key=lambda item: item[1]))
    return RcConf(
        text=text,
        assignments=tuple(assignments),
        conditional_names=tuple(dict.fromkeys((name, line_at(text, at)) for name, at in changed)),
        problems=tuple((line_at(text, at), cause) for at, cause in script.problems),
        references=tuple(dict.fromkeys((name, line_at(text, at)) for name, at in script.used)),
        unseen=tuple((line_at(text, at), command) for command, at in script.unseen),
        _changed=changed,
        _used=tuple(script.used),
        _readonly=frozenset(name for name, _ in script.readonly),
        _line_ends=tuple(script.line_ends),
    )


def quoted(value: str) -> str:
    r"""Return ``value`` in double quotes, with ``\ $ ` "`` escaped, as sh(1) reads it back unchanged."""
    escaped = "".join(f"\\{ch}" if ch in '\\$`"' else ch for ch in value)
    return f'"{escaped}"'


def _facts(conf: RcConf) -> list[tuple[str, str]]:
    return [(assignment.name, assignment.raw) for assignment in conf.assignments]


def _stripped(text: str, name: str) -> str:
    """Return ``text`` without any assignment of ``name``, taken out one by one from the last."""
    while True:
        found = [
            (command, at)
            for command in read_script(text).commands
            for at, word in enumerate(command.words)
            if word.name == name
        ]
        if not found:
            return text
        command, at = found[-1]
        start, end = command.words[at].start, command.words[at].end
        if len(command.words) == command.first + 1:
            start, end = _command_span(text, command)
        elif at + 1 < len(command.words):
            end = command.words[at + 1].start
        else:
            start = command.words[at - 1].end
        text = text[:start] + text[end:]


def _command_span(text: str, command: Assigning) -> tuple[int, int]:
    """Return what to cut so that ``command`` is gone: its line, or itself with one of the ``;`` around it."""
    start, end = command.words[0].start, command.words[-1].end
    line_start = text.rfind("\n", 0, start) + 1
    first = not text[line_start:start].strip(" \t") and text[line_start - 2 : line_start] != "\\\n"
    rest = _skip(text, end)
    own_separator = text[rest : rest + 1] == ";"
    rest = _skip(text, rest + 1) if own_separator else rest
    last = text[rest : rest + 1] in {"", "\n", "#"}
    if first and last:
        newline = text.find("\n", rest)
        return line_start, len(text) if newline < 0 else newline + 1
    if last and command.separator >= 0:
        return command.separator, end
    return start, rest if own_separator else end


def _skip(text: str, at: int) -> int:
    while at < len(text) and (text[at] in " \t" or text.startswith("\\\n", at)):
        at += 2 if text[at] == "\\" else 1
    return at
