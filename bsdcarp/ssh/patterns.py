"""Host and user patterns as ssh_config(5) and sshd(8) define them: ``*``, ``?``, and ``!`` for "not".

Python's fnmatch is not used because it gives ``[`` a meaning, which known_hosts needs for ``[host]:port``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["is_catch_all", "matches"]


def matches(text: str, patterns: Iterable[str]) -> bool:
    """True if some pattern matches ``text`` and no ``!pattern`` does.  Letter case does not count."""
    text = text.lower()
    found = False
    for pattern in patterns:
        if pattern.startswith("!"):
            if _fits(pattern[1:].lower(), text):
                return False
        elif _fits(pattern.lower(), text):
            found = True
    return found


def _fits(pattern: str, text: str) -> bool:
    # Most patterns are plain names, and a regular expression for each would cost more than the login to its host.
    if "*" in pattern or "?" in pattern:
        return _compiled(pattern).fullmatch(text) is not None
    return pattern == text


def is_catch_all(patterns: Iterable[str]) -> bool:
    """True if nothing but ``*`` could make these patterns match, so a match says nothing about the host."""
    return all(set(pattern) <= {"*"} for pattern in patterns if not pattern.startswith("!"))


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    pieces = {"*": ".*", "?": "."}
    return re.compile("".join(pieces.get(ch) or re.escape(ch) for ch in pattern), re.DOTALL)
