"""The Typer application: which verbs there are, and the order ``--help`` shows them in."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

from bsdcarp import __version__

__all__ = ["VERBS", "application"]

VERBS: dict[str, str] = {
    "validate": "offline",
    "render": "offline",
    "diff": "change",
    "apply": "change",
    "verify": "state",
    "persist": "state",
    "status": "state",
    "pending": "ending",
    "confirm": "ending",
    "rollback": "ending",
    "reboot": "reboot",
    "schema": "offline",
    "genpass": "offline",
    "kernel": "kernel",
    "lab": "lab",
    "demo": "lab",
}
"""Every verb and the module beside this one that has it: a function of that name, or, for a family, its ``app``."""

_FAMILIES = frozenset({"kernel", "lab"})


def application(wanted: str | None = None) -> typer.Typer:
    """Return the application, with the one verb ``wanted`` if there is such a verb, and all of them otherwise.

    Typer looks at every parameter of every command before it runs one: 30 ms for verbs that nobody asked for.
    """
    app = typer.Typer(
        name="bsdcarp",
        help="CARP on FreeBSD and Linux from one inventory: render, diff, apply over SSH, verify, persist.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for verb in [wanted] if wanted is not None and wanted in VERBS else VERBS:
        module = import_module(f"bsdcarp.cli.{VERBS[verb]}")
        if verb in _FAMILIES:
            app.add_typer(module.app, name=verb)
        else:
            app.command(verb)(getattr(module, verb))
    return app


def _version(value: bool) -> None:
    if value:
        typer.echo(f"bsdcarp {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """CARP on FreeBSD and Linux from one inventory: render, diff, apply over SSH, verify, persist."""
    del version
