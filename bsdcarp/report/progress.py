"""Progress on standard error: one bar for the fleet, nothing at all when it is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bsdcarp.fleet.progress import Event, Listener, silent
from bsdcarp.report.screen import Screen

__all__ = ["progress"]

_FINAL = frozenset({"read", "applied", "failed", "back", "done"})


@contextmanager
def progress(to: Screen, what: str, total: int) -> Iterator[Listener]:
    """Show ``what`` over ``total`` hosts while the block runs; yields the listener that moves the bar."""
    if not sys.stderr.isatty():
        yield _teller(to) if to.verbose else silent
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(24),
        TextColumn("{task.completed}/{task.total}", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", style="faint", markup=False),
    )
    with Progress(*columns, console=to.err, transient=True) as bar:
        task = bar.add_task(what, total=total, detail="")

        def listen(event: Event) -> None:
            if event.stage in _FINAL:
                bar.advance(task)
            seconds = f" up to {event.seconds:.1f} s" if event.seconds else ""
            bar.update(task, detail=f"{event.host} {event.stage} {event.detail}".strip() + seconds)

        yield listen


def _teller(to: Screen) -> Listener:
    """Return what writes a line for every event, until nobody reads them: that stops no host."""
    heard = True

    def listen(event: Event) -> None:
        nonlocal heard
        if heard:
            try:
                to.err.print(f"> {event.host} {event.stage} {event.detail}".rstrip(), soft_wrap=True)
            except (OSError, ValueError):
                heard = False

    return listen
