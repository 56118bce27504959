"""Findings, one line each and the remedy under it: sign, place, what, and the rule's id."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from bsdcarp.model import Finding, Severity
from bsdcarp.plaintext import printable

__all__ = ["show_findings", "summarise"]

_SIGN = {
    Severity.ERROR: ("✘", "bad"),
    Severity.WARNING: ("!", "warn"),
    Severity.INFO: ("i", "note"),
}
_RANK = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def show_findings(console: Console, findings: Iterable[Finding]) -> None:
    """Print findings, worst first, otherwise in their order."""
    for finding in sorted(findings, key=lambda f: _RANK[f.severity]):
        sign, style = _SIGN[finding.severity]
        line = Text()
        line.append(f"{sign} ", style)
        place = str(finding.place) or finding.host or finding.group
        if place:
            line.append(f"{printable(place)}: ", "host")
        subject = f"{finding.group}: " if finding.group and place != finding.group else ""
        line.append(printable(subject + finding.message))
        line.append(f"  [{finding.rule}]", "faint")
        console.print(line, soft_wrap=True)
        if finding.remedy:
            console.print(Text(f"    {printable(finding.remedy)}", "faint"), soft_wrap=True)


def summarise(findings: Iterable[Finding]) -> str:
    """Return ``2 errors, 1 warning``, or ``nothing to complain about``."""
    listed = list(findings)
    counts = [(sum(f.severity is s for f in listed), s.value) for s in (Severity.ERROR, Severity.WARNING)]
    words = [f"{n} {word}{'' if n == 1 else 's'}" for n, word in counts if n]
    return ", ".join(words) or "nothing to complain about"
