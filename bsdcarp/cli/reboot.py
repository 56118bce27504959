"""The verb that proves persistence: reboot hosts one after another, wait for each, judge it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bsdcarp.cli.options import AcceptNew, Groups, Hosts, InventoryFile, Json, SshConfig, Verbose, Yes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bsdcarp.fleet.progress import Event, Listener
    from bsdcarp.fleet.rolling import Rolled
    from bsdcarp.fleet.vips import VipReport
    from bsdcarp.report.screen import Screen

__all__ = ["reboot", "steps"]


def reboot(
    inventory: InventoryFile,
    host: Hosts = None,
    group: Groups = None,
    yes: Yes = False,
    deadline: Annotated[
        float, typer.Option("--deadline", metavar="SECONDS", min=1, help="When to give up waiting for a host.")
    ] = 300.0,
    force: Annotated[bool, typer.Option("--force", help="Also a host that would not come up as it is now.")] = False,
    outage: Annotated[
        bool, typer.Option("--outage", help="Also where a group is served by nobody else meanwhile.")
    ] = False,
    kernel: Annotated[
        bool, typer.Option("--kernel", help="Boot the kernel that was built, where the inventory asks for one.")
    ] = False,
    parallel: Annotated[
        int,
        typer.Option("--parallel", metavar="N", min=1, help="At most N hosts at a time, never two that share a group."),
    ] = 1,
    probe: Annotated[
        bool, typer.Option("--probe/--no-probe", help="Ping the shared addresses from here meanwhile.")
    ] = True,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="Write the report to FILE, as JSON.", show_default=False),
    ] = None,
    ssh_config: SshConfig = None,
    accept_new: AcceptNew = False,
    json: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Reboot hosts one after another, backups first, and prove that each comes back as it was."""
    import sys
    import time

    from bsdcarp.cli.begin import begin, screen
    from bsdcarp.fleet.hosts import Fleet, Options
    from bsdcarp.fleet.rolling import HostReboot, Rolled, Rolling, roll, survey
    from bsdcarp.fleet.vips import VipWatch
    from bsdcarp.report.progress import progress

    to = screen(json=json, verbose=verbose)
    start = begin(inventory, to=to, hosts=host, groups=group)
    rolling = Rolling(deadline=deadline, force=force, outage=outage, parallel=parallel, kernel=kernel)
    options = Options(ssh_config=ssh_config, accept_new=accept_new)
    began = time.time()
    if report is not None:
        _write(report, "")  # now rather than after an hour of reboots
    with Fleet(start.inventory, options) as fleet:
        with progress(to, "looking", len(start.hosts)) as listener:
            fleet.tell = listener
            order, against = survey(fleet, start.secrets, start.hosts, rolling)
        names = [name for unit in order for name in unit]
        if against:
            why = f"not begun because of {next(iter(against))}"
            refused = tuple(against.get(name) or HostReboot(name, "skipped", why) for name in names)
            raise typer.Exit(_end(Rolled(refused), (), to, report, began))
        if not yes and not json and sys.stdin.isatty():
            to.err.print(f"Reboot {', then '.join(names)}? [y/N] ", end="")
            if sys.stdin.readline().strip().lower() not in ("y", "yes"):
                raise typer.Exit(1)
        with (
            VipWatch(start.inventory, options, names, silent=not probe) as watch,
            progress(to, "rebooting", len(names)) as listener,
        ):
            fleet.tell = steps(listener)
            rolled = roll(fleet, start.secrets, order, rolling)
    for entry in rolled.hosts:
        if entry.seconds is not None:
            style = "good" if entry.result == "rebooted" else "warn"
            to.err.print(f"{entry.host} was back after {entry.seconds:.1f} s", style=style)
    vips = watch.report({entry.host: entry.span for entry in rolled.hosts if entry.seconds is not None})
    raise typer.Exit(_end(rolled, vips, to, report, began))


def steps(listener: Listener) -> Listener:
    """Tell the steps of a reboot; that hosts are read again and again meanwhile is no news."""
    import sys
    from dataclasses import replace

    last: dict[str, tuple[str, str]] = {}

    def tell(event: Event) -> None:
        if event.stage in ("connecting", "reading", "read"):
            return
        if event.stage == "back":
            event = replace(event, stage="waiting", detail="is back, and being judged", seconds=0.0)
        said = (event.stage, event.detail)
        # A bar counts down; lines that differ in nothing but the time left are noise.
        if sys.stderr.isatty() or last.get(event.host) != said:
            last[event.host] = said
            listener(event)

    return tell


def _end(rolled: Rolled, vips: Iterable[VipReport], to: Screen, report: Path | None, began: float) -> int:
    """Show and write the report; return the exit status."""
    import time

    from bsdcarp.model import Severity
    from bsdcarp.report.document import dumps
    from bsdcarp.report.findings import show_findings
    from bsdcarp.report.reboots import reboot_document, show_reboots

    vips = tuple(vips)
    span = {
        word: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
        for word, when in (("began", began), ("ended", time.time()))
    }
    text = dumps({"verb": "reboot", **span, **reboot_document(rolled, vips)})
    if to.json:
        to.out.print(text, soft_wrap=True)
    else:
        show_findings(to.out, [f for f in rolled.findings if f.severity is not Severity.INFO or to.verbose])
        show_reboots(to.out, rolled, vips)
    if report is not None:
        _write(report, text + "\n")
    return rolled.status


def _write(path: Path, text: str) -> None:
    from bsdcarp.errors import UsageError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the report cannot be written: {error.strerror}", place=str(path)) from error
