"""Verbs that look and judge: verify, persist, status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from bsdcarp.cli.options import AcceptNew, Groups, Hosts, InventoryFile, Json, Parallel, SshConfig, Verbose

if TYPE_CHECKING:
    from bsdcarp.cli.begin import Beginning
    from bsdcarp.fleet.course import Assessment
    from bsdcarp.fleet.hosts import Look, Options
    from bsdcarp.report.screen import Screen

__all__ = ["persist", "show_assessment", "status", "verify"]


def verify(
    inventory: InventoryFile,
    host: Hosts = None,
    group: Groups = None,
    ssh_config: SshConfig = None,
    accept_new: AcceptNew = False,
    json: Json = False,
    parallel: Parallel = 20,
    verbose: Verbose = 0,
) -> None:
    """Judge the live systems: sysctls, kernel, interfaces, one MASTER per vhid, and files that agree with them."""
    from bsdcarp.cli.begin import begin, screen
    from bsdcarp.fleet.course import assess
    from bsdcarp.fleet.hosts import Options

    to = screen(json=json, verbose=verbose)
    start = begin(inventory, to=to, hosts=host, groups=group)
    looks = _look(start, Options(ssh_config=ssh_config, accept_new=accept_new, parallel=parallel), to)
    judgement = assess(start.inventory, looks, start.secrets)
    raise typer.Exit(show_assessment("verify", judgement, looks, to, good="verified", bad="not verified", start=start))


def persist(
    inventory: InventoryFile,
    host: Hosts = None,
    group: Groups = None,
    ssh_config: SshConfig = None,
    accept_new: AcceptNew = False,
    json: Json = False,
    parallel: Parallel = 20,
    verbose: Verbose = 0,
) -> None:
    """Would this survive a reboot?  Judged from the hosts' files alone, in the order a boot reads them."""
    from bsdcarp.cli.begin import begin, screen
    from bsdcarp.fleet.course import assess
    from bsdcarp.fleet.hosts import Options

    to = screen(json=json, verbose=verbose)
    start = begin(inventory, to=to, hosts=host, groups=group)
    looks = _look(start, Options(ssh_config=ssh_config, accept_new=accept_new, parallel=parallel), to)
    judgement = assess(start.inventory, looks, start.secrets, boot=True)
    raise typer.Exit(
        show_assessment("persist", judgement, looks, to, good="would survive", bad="would not survive", start=start)
    )


def status(
    inventory: InventoryFile,
    host: Hosts = None,
    group: Groups = None,
    ssh_config: SshConfig = None,
    accept_new: AcceptNew = False,
    json: Json = False,
    parallel: Parallel = 20,
    verbose: Verbose = 0,
) -> None:
    """Show who is MASTER of what."""
    from bsdcarp.cli.begin import reach, screen
    from bsdcarp.fleet.hosts import Options
    from bsdcarp.fleet.results import exit_status, row_of_error

    to = screen(json=json, verbose=verbose)
    start = reach(inventory, to=to, hosts=host, groups=group)
    looks = _look(start, Options(ssh_config=ssh_config, accept_new=accept_new, parallel=parallel), to)
    rows = [row_of_error(name, look.error) for name, look in looks.items() if look.error]
    if json:
        from bsdcarp.report.document import dumps, look_document

        to.out.print(
            dumps({"verb": "status", "exit": exit_status(rows), "hosts": look_document(looks)}), soft_wrap=True
        )
    else:
        from bsdcarp.report.tables import show_status, show_summary

        show_status(to.out, start.inventory, looks)
        if rows:
            show_summary(to.err, rows)
    raise typer.Exit(exit_status(rows))


def _look(start: Beginning, options: Options, to: Screen) -> dict[str, Look]:
    from bsdcarp.fleet.hosts import Fleet
    from bsdcarp.report.progress import progress

    with (
        progress(to, "reading", len(start.hosts)) as listener,
        Fleet(start.inventory, options, listener) as fleet,
    ):
        return fleet.look(start.hosts)


def show_assessment(
    verb: str, judgement: Assessment, looks: dict[str, Look], to: Screen, *, good: str, bad: str, start: Beginning
) -> int:
    """Print findings and one row per host; return the exit status."""
    from bsdcarp.fleet.results import Row, exit_status, row_of_error
    from bsdcarp.model import Severity

    failing = judgement.failing(start.inventory)
    rows = [
        row_of_error(name, judgement.errors[name])
        if name in judgement.errors
        else Row(name, bad if name in failing else good)
        for name in looks
    ]
    status = exit_status(rows) or (4 if judgement.failed else 0)
    if to.json:
        from bsdcarp.report.document import dumps, finding_document, row_document

        document = {
            "verb": verb,
            "exit": status,
            "results": row_document(rows),
            "findings": finding_document(judgement.findings),
        }
        to.out.print(dumps(document), soft_wrap=True)
        return status
    from bsdcarp.report.findings import show_findings
    from bsdcarp.report.tables import show_summary

    show_findings(to.out, [f for f in judgement.findings if f.severity is not Severity.INFO or to.verbose])
    show_summary(to.out, rows)
    return status
