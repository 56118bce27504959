"""Offsets, lines and the few refusals that all the text editors share.

Only a newline ends a line here.  ``str.splitlines`` also splits at carriage returns, form feeds and Unicode
separators, which are plain data to sh(1), sysctl(8), loader(8) and config(8), so it would lose bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from bsdcarp.errors import TextFileError

__all__ = ["REMEMBERED", "appended", "line_at", "numbered_lines", "refuse_unless_encodable"]

REMEMBERED = 256
"""Texts of one kind whose reading is remembered: a file is asked for many things, before and after its change."""


def line_at(text: str, offset: int) -> int:
    """Return the number, counted from 1, of the line that holds ``text[offset]``."""
    return text.count("\n", 0, offset) + 1


def numbered_lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield (number from 1, offset, line without its newline); a final newline does not start another line."""
    start = 0
    number = 1
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield number, start, text[start:end]
        start = end + 1
        number += 1


def appended(text: str, line: str) -> str:
    r"""Return ``text`` with ``line`` as its new last line, first ending the old last line when it lacks a newline.

    Never writes ``\r``, not even into a file full of them: FreeBSD's readers take it for data.
    """
    if text and not text.endswith("\n"):
        text += "\n"
    return f"{text}{line}\n"


def refuse_unless_encodable(name: str, value: str) -> None:
    """Raise TextFileError when ``value`` holds NUL or a surrogate that stands for no byte."""
    if "\0" in value:
        raise TextFileError(f"the value for {name} contains a NUL byte", remedy="no configuration file can hold one")
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise TextFileError(
            f"the value for {name} contains a character that cannot be written as UTF-8", remedy="remove it"
        ) from None
