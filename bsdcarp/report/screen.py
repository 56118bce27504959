"""The two consoles: results on standard output, progress and messages on standard error."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from rich.console import Console
from rich.theme import Theme

__all__ = ["THEME", "Screen"]

THEME = Theme(
    {
        "good": "green",
        "bad": "bold red",
        "warn": "yellow",
        "note": "cyan",
        "faint": "dim",
        "host": "bold",
        "diff.add": "green",
        "diff.del": "red",
        "diff.at": "cyan",
        "diff.head": "bold",
        "master": "bold green",
        "backup": "blue",
        "init": "bold red",
    }
)


def _console(*, stderr: bool) -> Console:
    # Not a terminal: no width to respect, so nothing is wrapped or cut, and grep finds whole lines.
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 200
    return Console(stderr=stderr, theme=THEME, highlight=False, soft_wrap=False, width=width, emoji=False, markup=False)


@dataclass(slots=True)
class Screen:
    """Where a verb prints.  With ``json`` nothing but one document goes to standard output."""

    json: bool = False
    verbose: int = 0
    out: Console = field(default_factory=lambda: _console(stderr=False))
    err: Console = field(default_factory=lambda: _console(stderr=True))

    @property
    def human(self) -> Console:
        """Where text for people goes: standard error when standard output carries JSON."""
        return self.err if self.json else self.out
