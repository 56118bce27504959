"""The text of docs/boot-traps.md, written from the traps that the tests run."""

from __future__ import annotations

from boot_traps import TRAPS, Trap

__all__ = ["page"]

_SHOWS = {
    "panics": "the kernel panics",
    "hangs": "rc never comes to its end",
    "stops": "it stops, or comes up without a network",
    "no-carp": "no carp in the kernel",
    "vhid-missing": "a vhid is missing",
    "vhid-wrong": "a vhid or an address is not as wanted",
    "sysctl-wrong": "a sysctl is wrong for good",
    "sysctl-late": "the sysctls come after the vhids",
    "same": "as wanted",
}
_HEAD = """\
# Boot traps

What makes a FreeBSD host come up differently from how it runs, and what `bsdcarp persist` says of it beforehand.
Each row is a case in the tests: `persist` predicts it from the files alone, with the file and line, and a simulated
host of that release boots them and shows what is in the last column. Rows that end in "as wanted" are remarks.

"""


def page() -> str:
    """Return the page; tests/kernel/write_traps_page.py writes it."""
    rows = [
        *_HEAD.splitlines(),
        "| trap | release | `persist` says | about | the boot shows |",
        "|---|---|---|---|---|",
    ]
    rows += [_row(trap) for trap in TRAPS]
    return "\n".join(rows) + f"\n\n{len(TRAPS)} traps.\n"


def _row(trap: Trap) -> str:
    name = trap.name.replace("|", "\\|")
    return f"| {name} | {trap.release} | {trap.severity}: `{trap.rule}` | `{trap.path}` | {_SHOWS[trap.outcome]} |"
