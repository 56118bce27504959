"""JSON values that know where they stand, so that a complaint about one can say where to look."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

__all__ = ["Problems", "Reader"]

_SHOWN = 40
_MOST = 50


class _Repeated(ValueError):
    """An object has a key twice."""


class Problems:
    """Lines that begin with the file and the path inside it."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._lines: list[str] = []

    def __bool__(self) -> bool:
        return bool(self._lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """All of them, but not endlessly many."""
        return tuple(self._lines)

    def add(self, path: str, text: str) -> None:
        """Note one."""
        if len(self._lines) < _MOST:
            line = ": ".join(part for part in (self._where, path, text) if part)
            self._lines.append("".join(c if c.isprintable() else "?" for c in line))


class Reader:
    """A JSON value and its path.  What is wrong is noted in ``problems``, and None returned."""

    def __init__(self, value: Any, path: str, problems: Problems) -> None:
        self.value = value
        self.path = path
        self.problems = problems

    @classmethod
    def load(cls, text: str, problems: Problems) -> Reader:
        """The value in ``text``; null if it is not JSON."""
        try:
            return cls(json.loads(text, object_pairs_hook=_pairs), "", problems)
        except json.JSONDecodeError as error:
            problems.add(f"line {error.lineno} column {error.colno}", f"not JSON: {error.msg}")
        except _Repeated as error:
            problems.add("", f"not usable: an object has the key {_shown(error.args[0])} twice")
        except RecursionError:
            problems.add("", "not usable: nested too deeply")
        except ValueError:
            # An integer of thousands of digits (CPython limits their conversion).
            problems.add("", "not usable: a number has too many digits")
        return cls(None, "", problems)

    def complain(self, text: str) -> None:
        """Note that something is wrong here."""
        self.problems.add(self.path, text)

    def fields(self, known: Sequence[str], *, required: Sequence[str] = ()) -> dict[str, Reader]:
        """The members of an object that are known and there."""
        if not isinstance(self.value, dict):
            # A text that is no JSON has been complained about already.
            if self.path or not self.problems:
                self.complain("not an object")
            return {}
        for name in self.value:
            if name not in known:
                self.complain(f"unknown key {_shown(name)}; there are {', '.join(known)}")
        for name in required:
            if name not in self.value:
                self.complain(f"{name} is missing")
        return {
            name: Reader(self.value[name], self._below(name), self.problems) for name in known if name in self.value
        }

    def items(self) -> list[Reader]:
        """The members of an array."""
        if not isinstance(self.value, list):
            self.complain("not an array")
            return []
        return [Reader(value, f"{self.path}[{number}]", self.problems) for number, value in enumerate(self.value)]

    def integer(self, lowest: int, highest: int) -> int | None:
        """A whole number; true is none."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            self.complain("not a whole number")
            return None
        if not lowest <= self.value <= highest:
            within = f"within {lowest} to {highest}" if lowest != highest else f"{lowest}"
            self.complain(f"{_shown(self.value)} is not {within}")
            return None
        return self.value

    def text(self, shortest: int, longest: int) -> str | None:
        """A string of printable characters."""
        if not isinstance(self.value, str):
            self.complain("not a string")
            return None
        if not shortest <= len(self.value) <= longest:
            self.complain(f"{_shown(self.value)} has {len(self.value)} characters, not {shortest} to {longest}")
            return None
        if not self.value.isprintable():
            self.complain("it has characters that cannot be printed")
            return None
        return self.value

    def secret(self, shortest: int, longest: int) -> str | None:
        """A string whose length in bytes is within the limits; never shown."""
        if not isinstance(self.value, str):
            self.complain("not a string")
            return None
        try:
            length = len(self.value.encode())
        except UnicodeEncodeError:
            self.complain("it has half a surrogate pair")
            return None
        if not shortest <= length <= longest:
            self.complain(f"it has {length} bytes, not {shortest} to {longest}")
            return None
        # The kernel's key ends at the first NUL, as a C string does.
        if "\0" in self.value:
            self.complain("it has a NUL")
            return None
        return self.value

    def truth(self) -> bool | None:
        """True or false."""
        if not isinstance(self.value, bool):
            self.complain("neither true nor false")
            return None
        return self.value

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Repeated(next(name for name in names if names.count(name) > 1))
    return found


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
