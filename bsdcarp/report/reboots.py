"""The report of a rolling reboot: per host how long it was down, per shared address what was lost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bsdcarp.fleet.probe import Losses
from bsdcarp.fleet.rolling import HostReboot, Rolled
from bsdcarp.fleet.vips import VipReport
from bsdcarp.plaintext import printable
from bsdcarp.report.document import finding_document

__all__ = ["reboot_document", "show_reboots"]

_SIGNS = {"rebooted": ("✔", "good"), "skipped": (">", "warn")}


def show_reboots(console: Console, rolled: Rolled, vips: Iterable[VipReport]) -> None:
    """Print one line per host, and one per shared address."""
    _hosts(console, rolled)
    if any(entry.seconds is not None for entry in rolled.hosts):
        _vips(console, vips)


def _hosts(console: Console, rolled: Rolled) -> None:
    table = _table("", "host", "result", "down", "back after", "roles", "taken over by")
    table.columns[5].no_wrap = False
    for entry in rolled.hosts:
        sign, style = _SIGNS.get(entry.result, ("✘", "bad"))
        heirs = ", ".join(f"{group}: {heir}" for group, heir in entry.heirs.items() if heir)
        table.add_row(
            Text(sign, style),
            Text(entry.host, "host"),
            Text(entry.result, style),
            Text(_seconds(entry.down)),
            Text(_seconds(entry.seconds)),
            Text(printable(entry.drain)),
            Text(heirs),
        )
    console.print(table)
    for entry in rolled.hosts:
        if entry.detail and entry.result != "skipped":
            console.print(Text(printable(f"{entry.host}: {entry.detail}"), "bad"), soft_wrap=True)
    if skipped := [entry for entry in rolled.hosts if entry.result == "skipped"]:
        names = ", ".join(entry.host for entry in skipped)
        console.print(Text(printable(f"{names}: {skipped[0].detail}"), "warn"), soft_wrap=True)


def _vips(console: Console, vips: Iterable[VipReport]) -> None:
    table = _table("address", "group", "asked by", "sent", "lost", "longest gap", "during the reboot of")
    silent: dict[str, list[str]] = {}
    for vip in vips:
        if vip.why:
            silent.setdefault(vip.why, []).append(vip.address)
            continue
        losses = vip.losses
        parts = ", ".join(f"{host} {part.lost}" for host, part in vip.by_host.items())
        table.add_row(
            Text(vip.address, "host"),
            Text(", ".join(vip.groups)),
            Text(losses.via),
            Text(str(losses.sent)),
            Text(str(losses.lost), "warn" if losses.lost else "good"),
            Text(_gap(losses)),
            Text(parts),
        )
    if table.row_count:
        console.print()
        console.print(table)
    for why, addresses in silent.items():
        console.print(Text(f"lost pings of {', '.join(addresses)}: {why}", "faint"), soft_wrap=True)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="faint")
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="fold")
    return table


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _gap(losses: Losses) -> str:
    """No gap can be told that is shorter than the time between two questions."""
    return f"{losses.longest:.1f} s" if losses.lost else f"under {losses.interval:.1f} s"


def reboot_document(rolled: Rolled, vips: Iterable[VipReport]) -> dict[str, Any]:
    """Return the report as data, the same for ``--json`` and ``--report``."""
    return {
        "exit": rolled.status,
        "results": {entry.host: {"result": entry.result, "detail": entry.detail} for entry in rolled.hosts},
        "hosts": [_host(entry) for entry in rolled.hosts],
        "vips": [
            {
                "address": vip.address,
                "groups": list(vip.groups),
                "why_not": vip.why or None,
                **_losses(vip.losses, known=not vip.why),
                "interval": vip.losses.interval or None,
                "by_host": {host: _losses(part) for host, part in vip.by_host.items()},
            }
            for vip in vips
        ],
        "findings": finding_document(rolled.findings),
    }


def _host(entry: HostReboot) -> dict[str, Any]:
    return {
        "host": entry.host,
        "result": entry.result,
        "detail": entry.detail,
        "roles_given_away_by": entry.drain,
        "taken_over_by": dict(entry.heirs),
        "back_after": _rounded(entry.seconds),
        "down": _rounded(entry.down),
        "boot_before": entry.boots[0] or None,
        "boot_after": entry.boots[1] or None,
        "files_compared": list(entry.files),
    }


def _losses(losses: Losses, *, known: bool = True) -> dict[str, Any]:
    return {
        "via": losses.via or None,
        "sent": losses.sent if known else None,
        "lost": losses.lost if known else None,
        "longest_gap": _rounded(losses.longest) if known else None,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
