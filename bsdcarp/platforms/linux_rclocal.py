"""The boot hook where neither systemd nor OpenRC starts the daemon: one line in rc.local, the rest stays as it is."""

from __future__ import annotations

__all__ = ["HOOK", "has_hook", "hook_path", "with_hook", "without_hook"]

HOOK = "[ -x /usr/local/lib/bsdcarp/bsdcarp-carpd.sh ] && /usr/local/lib/bsdcarp/bsdcarp-carpd.sh start   # bsdcarp"
NEW = "#!/bin/sh\n"
PATHS = ("/etc/rc.d/rc.local", "/etc/rc.local")
"""Slackware's is tried first, where it exists; everybody else has, or takes, the second."""


def hook_path(there: frozenset[str]) -> str:
    """Return which file it is on a host where ``there`` exist."""
    return next((path for path in PATHS if path in there), PATHS[-1])


def has_hook(text: str) -> bool:
    """Return whether the line is there and would be reached."""
    lines = text.splitlines()
    ends = next((n for n, line in enumerate(lines) if _leaves(line)), len(lines))
    return HOOK in lines[:ends]


def with_hook(text: str) -> str:
    """Return ``text`` with the line, before the ``exit`` that many an rc.local ends with."""
    if has_hook(text):
        return text
    lines = (without_hook(text) or NEW).splitlines(keepends=True)
    if not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    ends = next((n for n, line in enumerate(lines) if _leaves(line)), len(lines))
    return "".join([*lines[:ends], f"{HOOK}\n", *lines[ends:]])


def without_hook(text: str) -> str:
    """Return ``text`` without the line; empty when nothing but the first line of a new file would be left."""
    rest = "".join(line for line in text.splitlines(keepends=True) if line.rstrip("\n") != HOOK)
    return "" if rest == NEW and rest != text else rest


def _leaves(line: str) -> bool:
    """An unconditional end of the script."""
    return line.split("#", maxsplit=1)[0].strip() == "exit" or line.startswith("exit ")
