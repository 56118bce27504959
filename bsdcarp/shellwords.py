"""Words for a POSIX shell, quoted so that sh and nothing else decides where they end."""

from __future__ import annotations

import re

__all__ = ["quote"]

_SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+", re.ASCII)


def quote(word: str) -> str:
    """Return ``word`` as one shell word.  Raises ``ValueError`` for NUL, which no argument can hold."""
    if "\0" in word:
        raise ValueError("a shell word cannot contain NUL")
    if _SAFE.fullmatch(word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"
