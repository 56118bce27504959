"""Verbs for what waits, and for going back: pending, confirm, rollback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bsdcarp.cli.options import AcceptNew, Groups, Hosts, InventoryFile, Json, Parallel, SshConfig, Verbose, Yes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bsdcarp.fleet.results import Row
    from bsdcarp.report.screen import Screen

__all__ = ["confirm", "pending", "rollback"]

Token = Annotated[
    str | None, typer.Option("--token", metavar="TOKEN", help="The token that apply printed.", show_default=False)
]
To = Annotated[
    str | None,
    typer.Option(
        "--to", metavar="TX", help="Go back to before this transaction; without it, the newest.", show_default=False
    ),
]


def pending(
    inventory: InventoryFile,
    host: Hosts = None,
    group: Groups = None,
    ssh_config: SshConfig = None,
    accept_new: AcceptNew = False,
    json: Json = False,
    parallel: Parallel = 20,
    verbose: Verbose = 0,
) -> None:
    """Show what waits for its confirmation, and the transactions that hosts keep."""
    from bsdcarp.cli.begin import reach, screen
    from bsdcarp.fleet.hosts import Fleet, Options
    from bsdcarp.fleet.past import recall
    from bsdcarp.fleet.results import exit_status, row_of_error

    to = screen(json=json, verbose=verbose)
    start = reach(inventory, to=to, hosts=host, groups=group)
    options = Options(ssh_config=ssh_config, accept_new=accept_new, parallel=parallel)
    with Fleet(start.inventory, options) as fleet:
        memories = recall(fleet, start.hosts)
    rows = [row_of_error(name, memory.error) for name, memory in memories.items() if memory.error]
    status = exit_status(rows)
    if to.json:
        from bsdcarp.report.document import dumps, history_document

        to.out.print(dumps({"verb": "pending", "exit": status, "hosts": history_document(memories)}), soft_wrap=True)
    else:
        from bsdcarp.report.tables import show_history, show_summary

        show_history(to.out, memories)
        if rows:
            show_summary(to.err, rows)
    raise typer.Exit(status)


def confirm(
    inventory: InventoryFile,
    token: Token = None,
    host: Hosts = None,
    group: Groups = None,
    ssh_config: SshConfig = None,
    accept_new: AcceptNew = False,
    json: Json = False,
    parallel: Parallel = 20,
    verbose: Verbose = 0,
) -> None:
    """Make what `apply --confirm manual` did final."""
    from bsdcarp.cli.begin import reach, screen
    from bsdcarp.cli.claims import known_claims
    from bsdcarp.fleet.ending import confirm_pending
    from bsdcarp.fleet.hosts import Fleet, Options
    from bsdcarp.fleet.past import recall

    to = screen(json=json, verbose=verbose)
    start = reach(inventory, to=to, hosts=host, groups=group)
    options = Options(ssh_config=ssh_config, accept_new=accept_new, parallel=parallel)
    with Fleet(start.inventory, options) as fleet:
        memories = recall(fleet, start.hosts)
        waiting = {memory.history.pending for memory in memories.values()} - {""}
        rows = confirm_pending(fleet, memories, dict.fromkeys(waiting, token) if token else known_claims())
    _finish("confirm", rows, to)


def rollback(
    inventory: InventoryFile,
    back_to: To = None,
    yes: Yes = False,
    host: Hosts = None,
    group: Groups = None,
    ssh_config: SshConfig = None,
    accept_new: AcceptNew = False,
    json: Json = False,
    parallel: Parallel = 20,
    verbose: Verbose = 0,
) -> None:
    """Take back what waits for its confirmation; where nothing does, the newest transaction, or all from --to on."""
    import sys

    from bsdcarp.cli.begin import reach, screen
    from bsdcarp.errors import UsageError
    from bsdcarp.fleet.ending import roll_back, undo_pending
    from bsdcarp.fleet.hosts import Fleet, Options
    from bsdcarp.fleet.past import recall
    from bsdcarp.plaintext import printable

    to = screen(json=json, verbose=verbose)
    start = reach(inventory, to=to, hosts=host, groups=group)
    options = Options(ssh_config=ssh_config, accept_new=accept_new, parallel=parallel)
    with Fleet(start.inventory, options) as fleet:
        memories = recall(fleet, start.hosts)
        waiting = {name: memory for name, memory in memories.items() if memory.history.pending}
        if waiting and back_to:
            names = ", ".join(sorted({memory.history.pending for memory in waiting.values()}))
            raise UsageError(
                f"--to {printable(back_to)}: {names} waits on {', '.join(waiting)}",
                remedy="confirm that or roll it back first, without --to; nothing was done",
            )
        what = "what waits" if waiting else f"everything since {back_to}" if back_to else "the newest transaction"
        if not yes and not json and sys.stdin.isatty():
            to.err.print(f"Take back {what} on {', '.join(waiting or memories)}? [y/N] ", end="")
            if sys.stdin.readline().strip().lower() not in ("y", "yes"):
                raise typer.Exit(1)
        rows = undo_pending(fleet, memories) if waiting else roll_back(fleet, memories, back_to or "").rows
    _finish("rollback", rows, to)


def _finish(verb: str, rows: Iterable[Row], to: Screen) -> None:
    from bsdcarp.fleet.results import exit_status

    rows = list(rows)
    status = exit_status(rows)
    if to.json:
        from bsdcarp.report.document import dumps, row_document

        to.out.print(dumps({"verb": verb, "exit": status, "results": row_document(rows)}), soft_wrap=True)
    else:
        from bsdcarp.report.tables import show_summary

        show_summary(to.out, rows)
    raise typer.Exit(status)
