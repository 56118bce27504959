"""Verbs for the kernel: render its configuration, look, build, install and try."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bsdcarp.cli.options import AcceptNew, Groups, Hosts, InventoryFile, Json, Parallel, SshConfig, Verbose, Yes

if TYPE_CHECKING:
    from bsdcarp.fleet.kernels import KernelResult
    from bsdcarp.report.screen import Screen

__all__ = ["app", "build", "install", "render", "status"]

app = typer.Typer(help="Kernels with carp in them: render, status, build, install.", no_args_is_help=True)

Root = Annotated[
    str,
    typer.Option("--root", metavar="DIR", help="The system mounted there on the hosts: a boot environment, a jail."),
]
StealLock = Annotated[bool, typer.Option("--steal-lock", help="Take the lock of a dead transaction away.")]


@app.command()
def render(
    inventory: InventoryFile,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Write DIR/HOST/IDENT instead.", show_default=False),
    ] = None,
    host: Hosts = None,
    group: Groups = None,
    json: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Print the kernel configuration of each FreeBSD host; reaches no host."""
    from bsdcarp.cli.begin import screen, select
    from bsdcarp.errors import BsdcarpError
    from bsdcarp.inventory import load, require
    from bsdcarp.kernels.kernconf import kernconf_text
    from bsdcarp.kernels.method import choose_method
    from bsdcarp.platforms.capabilities import capabilities, parse_release
    from bsdcarp.platforms.paths import kernconf_path

    to = screen(json=json, verbose=verbose)
    loaded = require(load(inventory))
    found: dict[str, dict[str, str]] = {}
    for name in select(loaded, host, group):
        one = loaded.hosts[name]
        release = one.os or parse_release("freebsd-14")
        can = capabilities(release)
        if can.syntax == "linux":
            continue
        method = choose_method(one, release, can, wanted=bool(loaded.groups_of(name)))
        found[name] = {"path": kernconf_path(one), "text": kernconf_text(one, can)}
        found[name] |= {"method": method.name, "why": method.why}
    if json:
        from bsdcarp.report.document import dumps

        to.out.print(dumps({"verb": "kernel render", "hosts": found}), soft_wrap=True)
        return
    for name, conf in found.items():
        if conf["method"] != "static":
            to.err.print(f"{name} needs no kernel of its own: {conf['why']}", style="faint", soft_wrap=True)
        if out:
            target = out / name / Path(conf["path"]).name
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(conf["text"], encoding="utf-8")
            except OSError as error:
                raise BsdcarpError(f"cannot write: {error.strerror}", place=str(target)) from error
            to.out.print(f"{name}: {target}", soft_wrap=True)
        else:
            # Not through rich, which would make blanks of tabs.
            typer.echo((f"# {name}: {conf['path']}\n" if len(found) > 1 else "") + conf["text"], nl=False)


@app.command()
def status(
    inventory: InventoryFile,
    root: Root = "",
    host: Hosts = None,
    group: Groups = None,
    ssh_config: SshConfig = None,
    accept_new: AcceptNew = False,
    json: Json = False,
    parallel: Parallel = 20,
    verbose: Verbose = 0,
) -> None:
    """Show which kernel runs and which boots next, where each has carp from, and what has to be done."""
    from bsdcarp.cli.begin import screen, select
    from bsdcarp.fleet.hosts import Fleet, Options
    from bsdcarp.fleet.kernels import look_at_kernels
    from bsdcarp.fleet.results import exit_status, row_of_error
    from bsdcarp.inventory import load, require
    from bsdcarp.report.progress import progress

    to = screen(json=json, verbose=verbose)
    loaded = require(load(inventory))
    hosts = select(loaded, host, group)
    options = Options(ssh_config=ssh_config, accept_new=accept_new, parallel=parallel)
    with Fleet(loaded, options) as fleet, progress(to, "reading", len(hosts)) as listener:
        fleet.tell = listener
        views = look_at_kernels(fleet, hosts, root)
    code = exit_status([row_of_error(name, view.error) for name, view in views.items() if view.error])
    from bsdcarp.report.kernels import kernel_document, show_kernels

    if json:
        from bsdcarp.report.document import dumps

        document = {"verb": "kernel status", "exit": code, "hosts": kernel_document(views)}
        to.out.print(dumps(document), soft_wrap=True)
    else:
        show_kernels(to.out, views)
    raise typer.Exit(code)


@app.command()
def build(
    inventory: InventoryFile,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the build, or only start it.")] = True,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", metavar="N", min=0, help="Compilers at once; 0 is one per processor.")
    ] = 0,
    steal_lock: StealLock = False,
    host: Hosts = None,
    group: Groups = None,
    ssh_config: SshConfig = None,
    accept_new: AcceptNew = False,
    json: Json = False,
    parallel: Parallel = 20,
    verbose: Verbose = 0,
) -> None:
    """Build the kernel where one has to be; it goes on when this ends, and this finds it again when called again."""
    from bsdcarp.cli.begin import screen, select
    from bsdcarp.fleet.hosts import Fleet, Options
    from bsdcarp.fleet.kernels import build_kernel, look_at_kernel, watch_build
    from bsdcarp.inventory import load, require
    from bsdcarp.report.progress import progress

    to = screen(json=json, verbose=verbose)
    loaded = require(load(inventory))
    hosts = select(loaded, host, group)
    results: dict[str, KernelResult] = {}
    with Fleet(loaded, Options(ssh_config=ssh_config, accept_new=accept_new, parallel=parallel)) as fleet:

        def one(name: str) -> None:
            result = build_kernel(fleet, look_at_kernel(fleet, name), jobs=jobs, steal=steal_lock)
            results[name] = watch_build(fleet, name) if wait and result.row.result == "building" else result

        with progress(to, "building", len(hosts)) as listener:
            fleet.tell = listener
            fleet.each(one, hosts)
    _finish("kernel build", [results[name] for name in hosts], to)


@app.command()
def install(
    inventory: InventoryFile,
    yes: Yes = False,
    no_trial: Annotated[
        bool, typer.Option("--no-trial", help="Install beside the old kernel, and boot nothing.")
    ] = False,
    deadline: Annotated[
        float, typer.Option("--deadline", metavar="SECONDS", min=1, help="How long the trial boot may take.")
    ] = 300.0,
    outage: Annotated[
        bool, typer.Option("--outage", help="Also where a group is served by nobody else meanwhile.")
    ] = False,
    root: Root = "",
    steal_lock: StealLock = False,
    host: Hosts = None,
    group: Groups = None,
    ssh_config: SshConfig = None,
    accept_new: AcceptNew = False,
    json: Json = False,
    verbose: Verbose = 0,
) -> None:
    """Install what was built beside the old kernel, boot it once, and make it the default only if it works.

    Host after host, as in `bsdcarp reboot`; the first that fails ends it.  A host whose release has the module gets
    that instead.
    """
    import sys

    from bsdcarp.cli.begin import begin, screen
    from bsdcarp.cli.reboot import steps
    from bsdcarp.fleet.hosts import Fleet, Options
    from bsdcarp.fleet.kernels import look_at_kernels
    from bsdcarp.fleet.newkernel import Choices, install_kernels, trials
    from bsdcarp.report.progress import progress

    to = screen(json=json, verbose=verbose)
    start = begin(inventory, to=to, hosts=host, groups=group)
    choices = Choices(deadline, outage, steal_lock, trial=not no_trial)
    with Fleet(start.inventory, Options(ssh_config=ssh_config, accept_new=accept_new)) as fleet:
        views = look_at_kernels(fleet, start.hosts, root)
        trying = trials(views, choices)
        if trying and not yes and not json and sys.stdin.isatty():
            to.err.print(f"Reboot {', '.join(trying)}, one after another? [y/N] ", end="")
            if sys.stdin.readline().strip().lower() not in ("y", "yes"):
                raise typer.Exit(1)
        with progress(to, "installing", len(views)) as listener:
            fleet.tell = steps(listener)
            results = install_kernels(fleet, start.secrets, views, choices)
    _finish("kernel install", results, to)


def _finish(verb: str, results: list[KernelResult], to: Screen) -> None:
    from bsdcarp.fleet.results import exit_status
    from bsdcarp.report.kernels import result_document, show_results

    code = exit_status([result.row for result in results])
    if to.json:
        from bsdcarp.report.document import dumps

        to.out.print(dumps({"verb": verb, "exit": code, "results": result_document(results)}), soft_wrap=True)
    else:
        show_results(to.out, results)
    raise typer.Exit(code)
