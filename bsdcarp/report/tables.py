"""Tables: the state of a fleet, and how an apply ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bsdcarp.fleet.hosts import Look
from bsdcarp.fleet.past import Memory
from bsdcarp.fleet.results import Row
from bsdcarp.model import Inventory
from bsdcarp.plaintext import printable

__all__ = ["show_history", "show_status", "show_summary"]

_SIGNS = {
    "changed": ("✔", "good"),
    "unchanged": ("=", "good"),
    "verified": ("✔", "good"),
    "would survive": ("✔", "good"),
    "skipped": (">", "warn"),
    "undone": ("↺", "warn"),
    "rolled back": ("↺", "warn"),
    "pending": ("…", "warn"),
    "confirmed": ("✔", "good"),
    "not verified": ("✘", "bad"),
    "would not survive": ("✘", "bad"),
    "refused": ("✘", "bad"),
    "unreachable": ("✘", "bad"),
    "broken": ("✘", "bad"),
    "failed": ("✘", "bad"),
    "built": ("✔", "good"),
    "building": ("…", "note"),
    "unknown": ("?", "bad"),
}


def show_summary(console: Console, rows: Iterable[Row]) -> None:
    """Print one line per host: sign, host, how it ended, why."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("sign", "host", "result"):
        table.add_column(column, no_wrap=True)
    table.add_column("detail", overflow="fold")
    for row in rows:
        sign, style = _SIGNS.get(row.result, ("?", "warn"))
        table.add_row(Text(sign, style), Text(row.host, "host"), Text(row.result, style), Text(printable(row.detail)))
    console.print(table)


def show_status(console: Console, inventory: Inventory, looks: Mapping[str, Look]) -> None:
    """Print who is MASTER of what: one row per group and member."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="faint")
    for column in ("group", "vhid", "host", "interface", "state", "advbase", "advskew", "demotion", "addresses"):
        table.add_column(column, no_wrap=column != "addresses", overflow="fold")
    for group in inventory.groups.values():
        for number, member in enumerate(group.members):
            if member.host not in looks:
                continue
            name = group.name if number == 0 else ""
            cells = [Text(name, "host"), Text(str(group.vhid) if name else ""), Text(member.host)]
            table.add_row(*cells, *_state_cells(group.vhid, member.interface, group.addresses, looks[member.host]))
    console.print(table)


def _state_cells(vhid: int, interface: str, addresses: Iterable[object], look: Look) -> list[Text]:
    snapshot = look.snapshot
    if snapshot is None:
        return [Text(interface), Text("unreachable", "bad"), Text(""), Text(""), Text(""), Text("")]
    wanted = {str(address).partition("/")[0] for address in addresses}
    for candidate in snapshot.interfaces.values():
        state = candidate.vhid(vhid)
        here = candidate.name == interface or any(a.text in wanted for a in candidate.addresses)
        if state and here:
            there = [a.text for a in candidate.addresses if a.vhid in (vhid, 0) and a.text in wanted]
            demotion = snapshot.sysctls.get("demotion", snapshot.sysctls.get("suppress_preempt", 0))
            style = state.state.lower() if state.state in ("MASTER", "BACKUP", "INIT") else "warn"
            return [
                Text(candidate.name),
                Text(printable(state.state), style),
                Text(str(state.advbase)),
                Text(str(state.advskew)),
                Text(str(demotion), "warn" if demotion else "faint"),
                Text(", ".join(there)),
            ]
    return [Text(interface), Text("no such vhid", "bad"), Text(""), Text(""), Text(""), Text("")]


def show_history(console: Console, memories: Mapping[str, Memory]) -> None:
    """Print one row per transaction that hosts keep, newest last; what waits stands out."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="faint")
    for column in ("host", "transaction", "outcome", "files", "by"):
        table.add_column(column, no_wrap=column != "by", overflow="fold")
    for name, memory in memories.items():
        if not memory.history.past and not memory.error:
            table.add_row(Text(name, "host"), Text("none", "faint"), Text(""), Text(""), Text(""))
        for past in memory.history.past:
            waits = past.name == memory.history.pending
            word = "pending" if waits else past.outcome
            style = "warn" if waits else "good" if past.lasting else "faint"
            table.add_row(
                Text(name, "host"),
                Text(printable(past.name)),
                Text(word, style),
                Text(str(len(past.record.files))),
                Text(printable(past.record.owner), "faint"),
            )
    console.print(table)
