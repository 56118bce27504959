"""Kernels: what runs, what boots next, where carp comes from, and the end of a log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bsdcarp.fleet.kernels import KernelResult, KernelView
from bsdcarp.kernels import InstalledKernel, progress_of
from bsdcarp.plaintext import printable
from bsdcarp.report.document import finding_document
from bsdcarp.report.findings import show_findings
from bsdcarp.report.tables import show_summary

__all__ = ["kernel_document", "result_document", "show_kernels", "show_results"]

_SOURCES = {"loader": "loader.conf", "kld": "kld_list", "autoload": "carpN (autoload)", "static": "static"}
_NEXT = {
    "nothing": "nothing to do",
    "module": "kernel install: loader.conf",
    "default": "kernel install: default",
    "build": "kernel build",
    "install": "kernel install: trial boot",
    "refuse": "not possible",
}


def show_kernels(console: Console, views: Mapping[str, KernelView]) -> None:
    """Print one row per host, then why, the kernels it has, and what is wrong with its next boot."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="faint")
    for column in ("host", "runs", "carp now", "boots next", "carp then", "wanted", "next step"):
        table.add_column(column, no_wrap=column != "next step", overflow="fold")
    for name, view in views.items():
        table.add_row(Text(name, "host"), *_cells(view))
    console.print(table)
    for name, view in views.items():
        if view.facts is None or view.method is None or view.decision is None:
            continue
        console.print(Text.assemble((f"{name}: ", "host"), printable(f"{view.method.name}: {view.method.why}")))
        console.print(Text(f"    {printable(view.decision.why)}", "faint"), soft_wrap=True)
        if view.decision.step == "refuse" and view.decision.remedy:
            console.print(Text(f"    {printable(view.decision.remedy)}", "warn"), soft_wrap=True)
        for kernel in view.facts.kernels:
            console.print(Text(f"    {printable(_kernel_line(kernel))}"), soft_wrap=True)
        if view.facts.build.state != "none":
            console.print(Text(f"    build of {printable(view.place.ident)}: {_build_line(view)}"), soft_wrap=True)
        show_findings(console, view.findings)


def _cells(view: KernelView) -> list[Text]:
    if view.error or view.snapshot is None:
        return [Text("unreachable" if view.error else "", "bad"), *(Text("") for _ in range(4)), Text(str(view.error))]
    if view.boot is None or view.method is None or view.decision is None:
        return [Text("Linux"), *(Text("") for _ in range(4)), Text("nothing to do", "faint")]
    snapshot, boot = view.snapshot, view.boot
    then = "panics" if boot.panics else _SOURCES.get(boot.source, boot.source)
    good = snapshot.carp != "absent"
    return [
        Text(printable(f"{snapshot.bootfile.removeprefix('/boot/').removesuffix('/kernel')} ({snapshot.ident})")),
        Text(snapshot.carp, "good" if good else "bad"),
        Text(printable(boot.directory)),
        Text(then, "bad" if boot.panics or boot.source == "absent" else "good"),
        Text(view.method.name),
        Text(_NEXT[view.decision.step], "faint" if view.decision.step == "nothing" else "warn"),
    ]


def _kernel_line(kernel: InstalledKernel) -> str:
    has = {True: "carp compiled in", False: "no carp compiled in", None: "does not tell what it is made of"}
    beside = f", {kernel.module}.ko beside it" if kernel.module else ""
    return f"/boot/{kernel.name}: {has[kernel.static]}{beside}"


def _build_line(view: KernelView) -> str:
    if view.facts is None:
        return ""
    build = view.facts.build
    return f"running, {progress_of(build)}" if build.state == "running" else build.state


def show_results(console: Console, results: Iterable[KernelResult]) -> None:
    """Print how it ended per host, then the end of each log there is."""
    listed = list(results)
    show_summary(console, [result.row for result in listed])
    for result in listed:
        if result.log:
            console.print(Text(f"{result.row.host}: the last {len(result.log)} lines of its log", "host"))
            for line in result.log:
                console.print(Text(f"    {printable(line, keep=chr(9))}"), soft_wrap=True)


def kernel_document(views: Mapping[str, KernelView]) -> dict[str, Any]:
    """Return everything that ``show_kernels`` prints, by host."""
    return {name: _document(view) for name, view in views.items()}


def _document(view: KernelView) -> dict[str, Any]:
    if view.error or view.snapshot is None:
        return {"error": str(view.error)}
    document: dict[str, Any] = {
        "error": None,
        "release": str(view.snapshot.release),
        "running": {
            "bootfile": view.snapshot.bootfile,
            "ident": view.snapshot.ident,
            "carp": view.snapshot.carp,
        },
        "method": {"name": view.method.name, "why": view.method.why} if view.method else None,
        "step": {"name": view.decision.step, "why": view.decision.why, "remedy": view.decision.remedy}
        if view.decision
        else None,
    }
    if view.facts is None or view.boot is None:
        return document
    facts, boot = view.facts, view.boot
    progress = progress_of(facts.build)
    return document | {
        "next_boot": {
            "kernel": boot.directory,
            "carp": _SOURCES.get(boot.source, boot.source),
            "where": boot.where,
            "panics": boot.panics,
        },
        "kernels": [{"name": k.name, "static": k.static, "module": k.module or None} for k in facts.kernels],
        "sources": facts.sources,
        "disks": {
            "boot": {"filesystem": facts.boot.filesystem, "free_kb": facts.boot.free},
            "obj": {"filesystem": facts.obj.filesystem, "free_kb": facts.obj.free},
        },
        "build": {
            "state": facts.build.state,
            "current": facts.built,
            "share": progress.share,
            "seconds_left": progress.left,
            "stage": facts.build.stage,
            "log": list(facts.build.log),
        },
        "findings": finding_document(view.findings),
    }


def result_document(results: Iterable[KernelResult]) -> dict[str, Any]:
    """Return how it ended, by host."""
    return {
        result.row.host: {"result": result.row.result, "detail": result.row.detail, "log": list(result.log)}
        for result in results
    }
