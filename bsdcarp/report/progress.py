"""Progress on standard error: one bar for the fleet, nothing at all when it is not a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bsdcarp.fleet.progress import Event, Listener, silent

__all__ = ["progress"]

_FINAL = frozenset({"read", "applied", "failed", "back", "done"})


@contextmanager
def progress(console: Console, what: str, total: int, *, verbose: int = 0) -> Iterator[Listener]:
    """Show ``what`` over ``total`` hosts while the block runs; yields the listener that moves the bar."""
    if not console.is_terminal:
        yield _teller(console) if verbose else silent
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(24),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", style="faint"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total, detail="")

        def listen(event: Event) -> None:
            if event.stage in _FINAL:
                bar.advance(task)
            seconds = f" up to {event.seconds:.1f} s" if event.seconds else ""
            bar.update(task, detail=f"{event.host} {event.stage} {event.detail}".strip() + seconds)

        yield listen


def _teller(console: Console) -> Listener:
    def listen(event: Event) -> None:
        console.print(f"> {event.host} {event.stage} {event.detail}".rstrip(), soft_wrap=True)

    return listen
