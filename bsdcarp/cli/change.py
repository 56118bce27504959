"""Verbs that compare and change: diff and apply."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from bsdcarp.cli.options import AcceptNew, Groups, Hosts, InventoryFile, Json, Parallel, SshConfig, Verbose, Yes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bsdcarp.cli.begin import Beginning
    from bsdcarp.fleet.application import Applied
    from bsdcarp.fleet.course import HostPlan
    from bsdcarp.fleet.hosts import Fleet
    from bsdcarp.fleet.policy import Confirm, Policy
    from bsdcarp.report.screen import Screen

__all__ = ["ConfirmBy", "apply", "diff"]


class ConfirmBy(StrEnum):
    """The values of --confirm."""

    AUTO = "auto"
    MANUAL = "manual"
    AFTER_REBOOT = "after-reboot"
    NEVER = "never"


_CONFIRM: dict[ConfirmBy, Confirm] = {
    ConfirmBy.AUTO: "auto",
    ConfirmBy.MANUAL: "manual",
    ConfirmBy.AFTER_REBOOT: "after-reboot",
    ConfirmBy.NEVER: "never",
}


def diff(
    inventory: InventoryFile,
    host: Hosts = None,
    group: Groups = None,
    ssh_config: SshConfig = None,
    accept_new: AcceptNew = False,
    json: Json = False,
    parallel: Parallel = 20,
    verbose: Verbose = 0,
) -> None:
    """Show what apply would change, file by file and command by command; writes nothing anywhere."""
    from bsdcarp.cli.begin import begin, screen
    from bsdcarp.fleet.hosts import Fleet, Options

    to = screen(json=json, verbose=verbose)
    start = begin(inventory, to=to, hosts=host, groups=group)
    options = Options(ssh_config=ssh_config, accept_new=accept_new, parallel=parallel)
    with Fleet(start.inventory, options) as fleet:
        plans = _look_and_plan(fleet, start, to)
    raise typer.Exit(_show_only(plans, to, verb="diff"))


def apply(
    inventory: InventoryFile,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only show what would change, like diff.")] = False,
    yes: Yes = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Do not wait for the election; who is MASTER is not verified then.")
    ] = False,
    confirm: Annotated[
        ConfirmBy,
        typer.Option(
            "--confirm", help="Who makes it final: apply itself once verified, you, a reboot; never: it is at once."
        ),
    ] = ConfirmBy.AUTO,
    window: Annotated[
        int, typer.Option("--window", metavar="SECONDS", min=20, help="When hosts take back what nobody confirmed.")
    ] = 120,
    canary: Annotated[
        bool, typer.Option("--canary", help="Begin with one set of hosts alone; go on only if it ends well.")
    ] = False,
    max_failures: Annotated[
        int, typer.Option("--max-failures", metavar="N", min=0, help="Begin nothing new once more have failed.")
    ] = 0,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Do not show what will change, only what came of it.")
    ] = False,
    steal_lock: Annotated[bool, typer.Option("--steal-lock", help="Take the lock of a dead transaction away.")] = False,
    host: Hosts = None,
    group: Groups = None,
    ssh_config: SshConfig = None,
    accept_new: AcceptNew = False,
    json: Json = False,
    parallel: Parallel = 20,
    verbose: Verbose = 0,
) -> None:
    """Bring hosts into the state the inventory describes, verify it, and make it final; otherwise it is taken back."""
    from bsdcarp.cli.begin import begin, screen
    from bsdcarp.fleet.hosts import Fleet, Options
    from bsdcarp.fleet.policy import Policy

    to = screen(json=json, verbose=verbose)
    start = begin(inventory, to=to, hosts=host, groups=group)
    options = Options(ssh_config=ssh_config, accept_new=accept_new, parallel=parallel)
    policy = Policy(
        wait=not no_wait,
        confirm=_CONFIRM[confirm],
        window=window,
        canary=canary,
        max_failures=max_failures,
        steal=steal_lock,
    )
    with Fleet(start.inventory, options) as fleet:
        asks = not (yes or to.json) and _at_a_terminal()
        if dry_run:
            raise typer.Exit(_show_only(_look_and_plan(fleet, start, to), to, verb="apply"))
        if canary or asks or to.watched:
            plans = _look_and_plan(fleet, start, to)
            if not quiet:
                _show(plans, to)
            if asks and not _consent(plans, to):
                raise typer.Exit(1)
            _foretell(start, plans, to)
            result, mistake = _apply(fleet, start, plans, to, policy), None
            _keep(result)
        else:
            # Nobody sits at a terminal: hosts are changed as soon as those that they share groups with are planned.
            shown = _ShownAside(to, quiet=quiet)
            plans, result, mistake = _plan_and_apply(fleet, start, to, policy, shown)
            _keep(result)
            shown.rest(plans)
            mistake = mistake or shown.failure
        # Connections end while it is told what came of them.
        fleet.hang_up()
        _report(plans, result, to)
    if mistake:
        raise mistake
    from bsdcarp.fleet.results import exit_status

    raise typer.Exit(exit_status(result.rows))


def _look_and_plan(fleet: Fleet, start: Beginning, to: Screen) -> dict[str, HostPlan]:
    from bsdcarp.fleet.planning import plan_all
    from bsdcarp.report.progress import progress

    with progress(to, "reading", len(start.hosts)) as listener:
        fleet.tell = listener
        return plan_all(fleet, start.hosts, start.secrets, meanwhile=_import_report)


def _import_report() -> None:
    import bsdcarp.report.plans

    del bsdcarp


def _plan_and_apply(
    fleet: Fleet, start: Beginning, to: Screen, policy: Policy, shown: _ShownAside
) -> tuple[dict[str, HostPlan], Applied, BaseException | None]:
    from bsdcarp.fleet.planning import plan_and_apply
    from bsdcarp.report.progress import progress

    with progress(to, "applying", len(start.hosts)) as listener:
        fleet.tell = listener
        return plan_and_apply(
            fleet,
            start.hosts,
            start.secrets,
            policy,
            before=lambda unit: _foretell(start, unit, to),
            begins=shown.show,
        )


def _show_only(plans: Mapping[str, HostPlan], to: Screen, *, verb: str) -> int:
    """Print plans; 0 without changes, 3 with, and the status of the worst host when one could not be planned."""
    from bsdcarp.fleet.results import exit_status, row_of_error

    errors = [row_of_error(name, entry.error) for name, entry in plans.items() if entry.error]
    status = exit_status(errors) or (3 if any(entry.plan for entry in plans.values()) else 0)
    if to.json:
        from bsdcarp.report.document import dumps, plan_document

        to.out.print(
            dumps({"verb": verb, "dry_run": True, "exit": status, "hosts": plan_document(plans.values())}),
            soft_wrap=True,
        )
    else:
        from bsdcarp.report.plans import show_plans

        show_plans(to.out, plans.values())
        if to.verbose:
            _show_foreign(plans, to)
    return status


def _show(plans: Mapping[str, HostPlan], to: Screen) -> None:
    from bsdcarp.report.plans import show_plans

    show_plans(to.human, plans.values())


class _ShownAside:
    """Plans are shown while hosts are at work: that they cannot be written is no reason to stop these."""

    def __init__(self, to: Screen, *, quiet: bool) -> None:
        self.failure: BaseException | None = None
        """What went wrong."""
        self._to = to
        self._quiet = quiet
        self._shown: set[str] = set()

    def show(self, plans: Mapping[str, HostPlan]) -> None:
        """Show what will change on these hosts."""
        self._write({name: entry for name, entry in plans.items() if entry.plan or entry.error})

    def rest(self, plans: Mapping[str, HostPlan]) -> None:
        """Show all that was not shown yet: most often, where nothing has to change."""
        self._write({name: entry for name, entry in plans.items() if name not in self._shown})

    def _write(self, plans: Mapping[str, HostPlan]) -> None:
        self._shown |= plans.keys()
        # What tells how it ended is imported while hosts are at work, too.
        import bsdcarp.report.findings
        import bsdcarp.report.tables

        del bsdcarp
        if self._quiet or self.failure or not plans:
            return
        try:
            _show(plans, self._to)
        except (OSError, ValueError) as error:
            self.failure = error


def _show_foreign(plans: Mapping[str, HostPlan], to: Screen) -> None:
    """Name what bsdcarp never put there, and leaves alone."""
    from bsdcarp.judge import verify_host
    from bsdcarp.report.findings import show_findings

    judged = [verify_host(e.desired, e.snapshot) for e in plans.values() if e.desired and e.snapshot]
    show_findings(to.out, [finding for found in judged for finding in found if finding.rule == "verify-foreign"])


def _at_a_terminal() -> bool:
    import sys

    return sys.stdin.isatty()


def _consent(plans: Mapping[str, HostPlan], to: Screen) -> bool:
    """Ask a person at a terminal; a pipe or a job said what it wants by calling apply."""
    import sys

    changing = [name for name, entry in plans.items() if entry.plan]
    if not changing:
        return True
    to.err.print(f"Apply this to {', '.join(changing)}? [y/N] ", end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _foretell(start: Beginning, plans: Mapping[str, HostPlan], to: Screen) -> None:
    """Tell beforehand which groups cannot hear each other for a moment, and for how long at most."""
    from bsdcarp.fleet.drain import digest_groups

    for name in digest_groups(start.inventory, [n for n, e in plans.items() if e.plan], plans, start.secrets):
        group = start.inventory.groups[name]
        if any(member.host not in plans for member in group.members):
            continue
        seconds = 3 * group.advbase + min(member.advskew for member in group.members) / 256
        to.err.print(
            f"! {name}: its password or addresses change, so all members are changed at once; "
            f"where that takes longer than {seconds:.1f} s, two of them are MASTER until the last one has it",
            style="warn",
            soft_wrap=True,
        )


def _apply(fleet: Fleet, start: Beginning, plans: Mapping[str, HostPlan], to: Screen, policy: Policy) -> Applied:
    from bsdcarp.fleet.application import apply_plans
    from bsdcarp.report.progress import progress

    changing = sum(1 for entry in plans.values() if entry.plan)
    with progress(to, "applying", changing) as listener:
        fleet.tell = listener
        return apply_plans(fleet, plans, start.secrets, policy)


def _keep(result: Applied) -> None:
    """Keep the tokens of what waits for its confirmation, before anything else can go wrong."""
    from bsdcarp.cli.claims import keep_claims

    keep_claims({terms.name: terms.claim for terms in result.pending.values()})


def _report(plans: Mapping[str, HostPlan], result: Applied, to: Screen) -> None:
    from bsdcarp.fleet.results import exit_status
    from bsdcarp.model import Severity
    from bsdcarp.report.findings import show_findings

    rows, listed, waiting = result.rows, result.findings, result.pending
    if to.json:
        from bsdcarp.report.document import dumps, finding_document, plan_document, row_document

        document = {
            "verb": "apply",
            "exit": exit_status(rows),
            "hosts": plan_document(plans.values()),
            "results": row_document(rows),
            "findings": finding_document(listed),
            "pending": {name: {"name": t.name, "token": t.claim, "window": t.window} for name, t in waiting.items()},
        }
        to.out.print(dumps(document), soft_wrap=True)
        return
    from bsdcarp.report.tables import show_summary

    show_findings(to.out, [f for f in listed if f.severity is not Severity.INFO or to.verbose])
    show_summary(to.out, rows)
    for token in dict.fromkeys(terms.claim for terms in waiting.values()):
        to.out.print("to make it final: bsdcarp confirm; from elsewhere, with --token", token, soft_wrap=True)
