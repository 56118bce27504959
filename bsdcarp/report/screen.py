"""The two consoles: results on standard output, progress and messages on standard error.

rich is imported when something is printed for the first time: hosts can be spoken to meanwhile.
"""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["STYLES", "Screen"]

STYLES = {
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


class Screen:
    """Where a verb prints.  With ``json`` nothing but one document goes to standard output."""

    def __init__(self, *, json: bool = False, verbose: int = 0) -> None:
        self.json = json
        self.verbose = verbose

    @cached_property
    def out(self) -> Console:
        """Standard output."""
        return _console(stderr=False)

    @cached_property
    def err(self) -> Console:
        """Standard error."""
        return _console(stderr=True)

    @property
    def watched(self) -> bool:
        """Whether somebody sits at a terminal, for progress or for results."""
        return sys.stdout.isatty() or sys.stderr.isatty()

    @property
    def human(self) -> Console:
        """Where text for people goes: standard error when standard output carries JSON."""
        return self.err if self.json else self.out


def _console(*, stderr: bool) -> Console:
    from rich.console import Console
    from rich.theme import Theme

    class Ours(Console):
        def on_broken_pipe(self) -> None:
            # rich would send standard output nowhere, also where it is standard error that nobody reads.
            raise BrokenPipeError

    # Not a terminal: no width to respect, so nothing is wrapped or cut, and grep finds whole lines.
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 200
    return Ours(stderr=stderr, theme=Theme(STYLES), highlight=False, width=width, emoji=False, markup=False)
