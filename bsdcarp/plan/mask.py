"""Passwords out of sight: every text that shows a line of a file goes through here."""

from __future__ import annotations

import re

__all__ = ["MASK", "mask"]

MASK = "********"
# rc.conf: the word after `pass`, quoted or not.  carpd.json: the value of "password".  Whatever follows `authkey`
# or `wepkey` in an unrelated line is somebody's secret as well.
_RC = re.compile(r"""(?P<key>\b(?:pass|authkey|wepkey|psk)[ \t=]+)(?P<value>\\?["'][^"']*["']|[^\s"']+)""")
_JSON = re.compile(r'(?P<key>"password": ")(?P<value>(?:[^"\\]|\\.)*)')


def mask(line: str, *, before: str = "", after: str = "") -> str:
    """Return ``line`` with passwords replaced.

    ``before`` and ``after`` are the whole texts of a file that changes: a password that only ``after`` has is shown
    as new, so that a diff of nothing but a password still says what happened.
    """

    def hidden(match: re.Match[str]) -> str:
        old = _values(before)
        fresh = bool(after) and bool(old) and match["value"] not in old
        return f"{match['key']}{MASK}{'(new)' if fresh else ''}"

    return _JSON.sub(hidden, _RC.sub(hidden, line))


def _values(text: str) -> frozenset[str]:
    return frozenset(match["value"] for pattern in (_RC, _JSON) for match in pattern.finditer(text))
