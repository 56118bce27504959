"""Random words that mark where a script's own output begins."""

from __future__ import annotations

__all__ = ["after"]


def after(mark: str, said: bytes) -> bytes | None:
    """Return what follows the first line that is ``mark`` and nothing else, or None if there is no such line.

    An error message that quotes a command with the mark in it does not count.
    """
    word = mark.encode()
    start = said.find(word)
    while start >= 0:
        end = start + len(word)
        if start == 0 or said[start - 1 : start] == b"\n":
            for line_end in (b"\n", b"\r\n"):
                if said.startswith(line_end, end):
                    return said[end + len(line_end) :]
        start = said.find(word, end)
    return None
