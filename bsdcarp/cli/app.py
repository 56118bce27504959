"""The Typer application: which verbs there are, and the order ``--help`` shows them in."""

from __future__ import annotations

from typing import Annotated

import typer

from bsdcarp import __version__
from bsdcarp.cli import change, ending, kernel, lab, offline, reboot, state

__all__ = ["app"]

app = typer.Typer(
    name="bsdcarp",
    help="CARP on FreeBSD and Linux from one inventory: render, diff, apply over SSH, verify, persist.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"bsdcarp {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """CARP on FreeBSD and Linux from one inventory: render, diff, apply over SSH, verify, persist."""
    del version


app.command()(offline.validate)
app.command()(offline.render)
app.command()(change.diff)
app.command()(change.apply)
app.command()(state.verify)
app.command()(state.persist)
app.command()(state.status)
app.command()(ending.pending)
app.command()(ending.confirm)
app.command()(ending.rollback)
app.command()(reboot.reboot)
app.command()(offline.schema)
app.command()(offline.genpass)
app.add_typer(kernel.app, name="kernel")
app.add_typer(lab.app, name="lab")
app.command()(lab.demo)
