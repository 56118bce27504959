"""docs/boot-traps.md, made from the cases: ``PYTHONPATH=tests python -m traps.page > docs/boot-traps.md``."""

from __future__ import annotations

import sys

from traps.case import APPLY, Trap
from traps.table import NOT_SHOWN, TRAPS

__all__ = ["page"]

_HEAD = """\
# Boot traps

What makes a host come up differently from how it runs, and what `bsdcarp persist` says of it beforehand.

Each row of the first table is a test.  It applies an inventory to a simulated host of that release over SSH, sets the
trap, and runs `bsdcarp persist`, which has to name the rule, the file and the line; then the host boots, and exactly
what the fifth column says is not as it was.  A second test sets the same trap, does what persist advises (the last
column: `apply`, or by hand where the line is not bsdcarp's own), and then persist has nothing to say and the boot
changes nothing.  Where the fifth column is empty, the finding is a remark.

Values are those of the host `fw1`: on `em0` vhid 1, for which it is preferred, and vhid 7, for which it is not; carp1
and carp2 up to FreeBSD 9.  This page is made from the tests: `PYTHONPATH=tests python -m traps.page`.

"""
_REST = """\

## What no simulated boot shows

| trap | why |
|---|---|
"""


def page() -> str:
    rows = [
        "| trap | host | `persist` says | about | the boot shows | cure |",
        "|---|---|---|---|---|---|",
        *map(_row, TRAPS),
        "",
        f"{len(TRAPS)} traps.",
    ]
    rest = "".join(f"| {name} | {why} |\n" for name, why in NOT_SHOWN)
    return _HEAD + "\n".join(rows) + "\n" + _REST + rest


def _row(trap: Trap) -> str:
    where = f"`{trap.says.path}`" if trap.says.path else ""
    if trap.says.line:
        where += f", the line with `{trap.says.line}`"
    cure = " and ".join(dict.fromkeys("`apply`" if edit == APPLY else "by hand" for edit in trap.cure))
    shows = "; ".join(trap.shows)
    says = f"{trap.says.severity}: `{trap.says.rule}`"
    return (
        f"| {trap.name} | {trap.site} | {says} | {where} | {shows} | {cure if trap.says.severity != 'info' else ''} |"
    )


if __name__ == "__main__":
    sys.stdout.write(page())
