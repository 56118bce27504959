"""The embedded lab and the guided tour on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bsdcarp.cli.options import Hosts, InventoryFile, Json

if TYPE_CHECKING:
    from bsdcarp.lab.detached import LabState

__all__ = ["app", "demo"]

app = typer.Typer(help="Simulated hosts behind real SSH servers, for trying things out.", no_args_is_help=True)

Directory = Annotated[
    Path, typer.Option("--dir", "-d", metavar="DIR", help="Where the lab keeps its keys, ssh_config and file systems.")
]


@app.command()
def up(
    inventory: InventoryFile,
    directory: Directory = Path(".lab"),
    host: Hosts = None,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it running in the background.")] = False,
    json: Json = False,
) -> None:
    """Start one simulated host for each host of the inventory; Ctrl-C ends it."""
    from bsdcarp.lab.detached import run_lab_up

    for state in run_lab_up(inventory, directory, hosts=host, detach=detach):
        _show(state, json=json)


@app.command()
def down(directory: Directory = Path(".lab")) -> None:
    """End a lab that runs in the background."""
    from bsdcarp.lab.detached import lab_down

    lab_down(directory)
    typer.echo(f"the lab in {directory} has ended")


@app.command()
def status(directory: Directory = Path(".lab"), json: Json = False) -> None:
    """Show whether a lab runs, and how to reach its hosts."""
    from bsdcarp.lab.detached import lab_status

    state = lab_status(directory)
    _show(state, json=json)
    if not state.running:
        raise typer.Exit(1)


def _show(state: LabState, *, json: bool) -> None:
    if json:
        from bsdcarp.report.document import dumps

        hosts = [{"name": h.name, "address": h.address, "release": h.release, "port": h.port} for h in state.hosts]
        document = {"running": state.running, "pid": state.pid, "ssh_config": str(state.ssh_config), "hosts": hosts}
        typer.echo(dumps(document))
        return
    for one in state.hosts:
        typer.echo(f"{one.name:<16} {one.title:<14} {one.address:<24} 127.0.0.1 port {one.port}")
    if state.running:
        typer.echo(f"\nbsdcarp diff INVENTORY --ssh-config {state.ssh_config}")
    else:
        typer.echo("no lab runs there")


def demo(
    inventory: Annotated[
        Path | None, typer.Argument(metavar="[INVENTORY]", help="Default: the example.", show_default=False)
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the lab's files afterwards.")] = False,
) -> None:
    """Take a guided tour: validate, diff, apply, verify, status, a reboot, and a second apply that changes nothing."""
    from bsdcarp.tour import tour

    raise typer.Exit(tour(inventory, keep=keep))
