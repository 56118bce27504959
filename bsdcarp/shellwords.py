"""Words for a POSIX shell, quoted so that sh and nothing else decides where they end; and programs as they are sent."""

from __future__ import annotations

import re

__all__ = ["bare", "quote"]

_COMMENT = re.compile(r"^[ \t]*#(?! shellcheck ).*\n", re.MULTILINE)
_SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+", re.ASCII)


def bare(program: str) -> str:
    """Return one of our programs without the lines that are comments: they are for whoever reads it here.

    A third of what is sent to every host are such lines.  No text in them begins with a hash.
    """
    return _COMMENT.sub("", program)


def quote(word: str) -> str:
    """Return ``word`` as one shell word.  Raises ``ValueError`` for NUL, which no argument can hold."""
    if "\0" in word:
        raise ValueError("a shell word cannot contain NUL")
    if _SAFE.fullmatch(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"
