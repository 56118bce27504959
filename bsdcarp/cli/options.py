"""The options that verbs share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AcceptNew",
    "Groups",
    "Hosts",
    "InventoryFile",
    "Json",
    "Parallel",
    "SshConfig",
    "Verbose",
    "Yes",
]

InventoryFile = Annotated[Path, typer.Argument(metavar="INVENTORY", help="The inventory file.", show_default=False)]
Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", "-H", metavar="HOST", help="Only this host; repeatable.", show_default=False),
]
Groups = Annotated[
    list[str] | None,
    typer.Option("--group", "-g", metavar="GROUP", help="Only members of this group; repeatable.", show_default=False),
]
SshConfig = Annotated[
    Path | None,
    typer.Option("--ssh-config", metavar="FILE", help="Use this ssh_config instead of the user's.", show_default=False),
]
AcceptNew = Annotated[
    bool, typer.Option("--accept-new", help="Accept and remember the key of a host that is not known yet.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, nothing else there.")]
Parallel = Annotated[int, typer.Option("--parallel", metavar="N", min=1, help="Hosts at work at the same time.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="Tell more; repeatable.")]
