"""A line of ssh_config(5), taken apart into its keyword and its words as OpenSSH does it."""

from __future__ import annotations

import re
from functools import lru_cache

from bsdcarp.errors import SshError

__all__ = ["arguments", "lex"]

_LINE = re.compile(r"([A-Za-z0-9]+)(?:[ \t\f]*=[ \t\f]*|[ \t\f]+|$)(.*)", re.DOTALL)


def lex(line: str) -> tuple[str, str] | None:
    """Return a line's keyword in lower case and the rest, or None for a line that says nothing."""
    line = line.strip(" \t\f\r")
    if not line or line.startswith("#"):
        return None
    found = _LINE.match(line)
    # A line that starts with no keyword is left to OpenSSH to complain about.
    return (found[1].lower(), found[2]) if found else None


@lru_cache(maxsize=8192)
def arguments(rest: str, place: str) -> tuple[str, ...]:
    """Split as OpenSSH's argv_split does: quotes of both kinds, backslash, and a comment from a word's first #."""
    words: list[str] = []
    word: str | None = None
    quote = ""
    escaped = False
    for ch, after in zip(rest, (rest + "\0")[1:], strict=True):
        if escaped:
            word, escaped = (word or "") + ch, False
        # Backslash is special only before these; before anything else it stays (argv_split in misc.c).
        elif ch == "\\" and (after in "\\\"'" or (not quote and after == " ")):
            escaped = True
        elif quote:
            if ch == quote:
                quote = ""
            else:
                word = (word or "") + ch
        elif ch in "\"'":
            quote, word = ch, word or ""
        elif ch in " \t":
            if word is not None:
                words.append(word)
            word = None
        elif ch == "#" and word is None:
            break
        else:
            word = (word or "") + ch
    if quote:
        raise SshError(f"a {quote} is not closed", place=place, remedy="close it on the same line")
    if word is not None:
        words.append(word)
    if not words:
        raise SshError("the keyword has no argument", place=place, remedy="see ssh_config(5)")
    return tuple(words)
