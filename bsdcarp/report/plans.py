"""Plans as people read them: unified diffs and live commands per host."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from bsdcarp.fleet.course import HostPlan
from bsdcarp.plan import FileChange, Plan, ProgramChange

__all__ = ["show_plans"]

_STYLES = (("+++", "diff.head"), ("---", "diff.head"), ("@@", "diff.at"), ("+", "diff.add"), ("-", "diff.del"))


def show_plans(console: Console, plans: Iterable[HostPlan]) -> None:
    """Print every host's plan; hosts without changes get one line together."""
    quiet: list[str] = []
    for entry in plans:
        if entry.error:
            _show_error(console, entry)
        elif entry.plan:
            _show_plan(console, entry, entry.plan)
        else:
            quiet.append(entry.host)
    if quiet:
        console.print(
            Text.assemble(("= ", "good"), "nothing to change on ", (", ".join(quiet), "host")), soft_wrap=True
        )


def _show_error(console: Console, entry: HostPlan) -> None:
    text = str(entry.error)
    start = "" if text.startswith(f"{entry.host}:") else f"{entry.host}: "
    console.print(Text.assemble(("✘ ", "bad"), (start, "host"), text), soft_wrap=True)


def _show_plan(console: Console, entry: HostPlan, plan: Plan) -> None:
    # One print for the whole plan: rich costs more per print than per character.
    release = str(entry.snapshot.release) if entry.snapshot else ""
    files, live = len(plan.files), len(plan.live)
    text = Text.assemble(("● ", "note"), (entry.host, "host"), (f"  {release}", "faint"))
    text.append(f"  {files} file{'' if files == 1 else 's'}, {live} live command{'' if live == 1 else 's'}\n", "faint")
    for change in plan.files:
        _add_file(text, change)
    for note in plan.notes:
        text.append("  ! ", "warn").append(note.message).append(f" ({note.remedy})\n", "faint")
    if plan.live:
        text.append("  live:\n", "faint")
        for number, step in enumerate(plan.live, 1):
            text.append(f"  {number:>3} # ", "faint").append(f"{step.command}\n")
    console.print(text, soft_wrap=True)


def _add_file(text: Text, change: FileChange | ProgramChange) -> None:
    for line in change.diff():
        style = next((style for start, style in _STYLES if line.startswith(start)), "")
        text.append(f"{line}\n", style)
