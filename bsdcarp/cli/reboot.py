"""The verb that proves persistence: reboot a host, wait for it, judge it."""

from __future__ import annotations

from typing import Annotated

import typer

from bsdcarp.cli.options import AcceptNew, InventoryFile, Json, SshConfig, Verbose, Yes

__all__ = ["reboot"]


def reboot(
    inventory: InventoryFile,
    host: Annotated[str, typer.Option("--host", "-H", metavar="HOST", help="The host to reboot.", show_default=False)],
    yes: Yes = False,
    deadline: Annotated[float, typer.Option("--deadline", metavar="SECONDS", help="When to give up waiting.")] = 300.0,
    force: Annotated[bool, typer.Option("--force", help="Also when the host would not come up as it is now.")] = False,
    ssh_config: SshConfig = None,
    accept_new: AcceptNew = False,
    json: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Reboot one host, wait until it is back, and verify it and its groups."""
    import sys
    import time

    from bsdcarp.cli.begin import begin, screen
    from bsdcarp.cli.state import show_assessment
    from bsdcarp.fleet.course import Assessment, assess
    from bsdcarp.fleet.hosts import Fleet, Options
    from bsdcarp.fleet.progress import Event
    from bsdcarp.fleet.reboot import reboot_host
    from bsdcarp.fleet.verification import settle_seconds
    from bsdcarp.report.progress import progress

    to = screen(json=json, verbose=verbose)
    start = begin(inventory, to=to, hosts=[host])
    groups = start.inventory.groups_of(host)
    near = [name for name in start.inventory.hosts if name == host or any(g.member(name) for g in groups)]
    with Fleet(start.inventory, Options(ssh_config=ssh_config, accept_new=accept_new)) as fleet:
        looks = fleet.look(near)
        before = looks[host].snapshot
        if before is None:
            raise looks[host].error or typer.Exit(1)
        beforehand = assess(start.inventory, {host: looks[host]}, start.secrets, boot=True)
        if beforehand.failed and not force:
            show_assessment(
                "reboot",
                beforehand,
                {host: looks[host]},
                to,
                good="would survive",
                bad="would not survive",
                start=start,
            )
            raise typer.Exit(4)
        if not yes and not json and sys.stdin.isatty():
            to.err.print(f"Reboot {host}? [y/N] ", end="")
            if sys.stdin.readline().strip().lower() not in ("y", "yes"):
                raise typer.Exit(1)
        with progress(to, "rebooting", 1) as listener:
            fleet.tell = listener
            back = reboot_host(fleet, host, before, deadline=deadline)
            seconds = settle_seconds(start.inventory, tuple(group.name for group in groups))
            listener(Event("", "waiting", "for the election", seconds))
            time.sleep(seconds)
            looks = fleet.look(near)
    to.err.print(f"{host} was back after {back.seconds:.1f} s", style="good")
    live = assess(start.inventory, looks, start.secrets)
    boot = assess(start.inventory, {host: looks[host]}, start.secrets, boot=True)
    whole = Assessment((*live.findings, *boot.findings), {**live.errors, **boot.errors})
    raise typer.Exit(show_assessment("reboot", whole, looks, to, good="verified", bad="not verified", start=start))
