"""Passwords out of sight: every text that shows a line of a file goes through here."""

from __future__ import annotations

import re

__all__ = ["MASK", "mask", "masked_lines", "split_lines"]

MASK = "********"
# Between the word `pass` and the password there may be blanks, and in a file also a line's end, with or without a
# backslash.  Whatever follows `authkey` or `wepkey` in an unrelated line is somebody's secret as well.
_GAP = r"(?:[ \t]*\\?\r?\n[ \t]*(?![A-Za-z_]\w*=)|[ \t=]+)"
_RC = re.compile(rf"""(?P<key>(?<!\.)\b(?:pass|authkey|wepkey|psk){_GAP})(?P<value>\\?["'][^"'\n]*["']|[^\s"']+)""")
# carpd.json: the value of "password".
_JSON = re.compile(r'(?P<key>"password"\s*:\s*")(?P<value>(?:[^"\\\n]|\\.)*)')
_NAMED = re.compile(
    r"""(?P<key>^[ \t]*(?:export[ \t]+)?\w*(?:password|passwd|passphrase|secret)\w*=)"""
    r"""(?P<value>["'][^"'\n]*["']|[^\s"']+)""",
    re.IGNORECASE | re.MULTILINE,
)
_PATTERNS = (_RC, _JSON, _NAMED)


def mask(text: str, *, known: frozenset[str] | None = None) -> str:
    """Return ``text`` with passwords replaced, its lines still as many.

    With ``known``, the passwords that were there before, any other one is shown as new, so that a diff of nothing
    but a password still says what happened.
    """

    def hidden(match: re.Match[str]) -> str:
        fresh = bool(known) and known is not None and match["value"] not in known
        return f"{match['key']}{MASK}{'(new)' if fresh else ''}"

    for pattern in _PATTERNS:
        text = pattern.sub(hidden, text)
    return text


def masked_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """Return the lines of both texts, with their ends, passwords replaced; those only ``after`` has show as new."""
    known = frozenset(match["value"] for pattern in _PATTERNS for match in pattern.finditer(before))
    return split_lines(mask(before)), split_lines(mask(after, known=known))


def split_lines(text: str) -> list[str]:
    """Return the lines with their ends, which are newlines only: ``splitlines`` knows other characters too."""
    return [line for line in re.split(r"(?<=\n)", text) if line]
