"""docs/rules.md, made from the registry: ``python -m bsdcarp.inventory.rules.page > docs/rules.md``."""

from __future__ import annotations

import sys
from itertools import chain

from bsdcarp.inventory.rules import REGISTRY

__all__ = ["rules_page"]

_SECTIONS = (
    ("Reading the file", "Found while the file is read, before any rule is applied; the rest is judged all the same."),
    ("Groups and members", "vhids, timers, and who is in which group."),
    ("Addresses", "The shared addresses, and the networks that `interfaces` gives."),
    ("Hosts and interfaces", "Names, logins, and interfaces that CARP can or cannot use."),
    ("Releases", "What the release of a host, its `os`, can do; hosts without `os` are judged when they are reached."),
    ("Sysctls", "net.inet.carp.* as they come out for each host."),
    ("Passwords", "Where passwords come from, and, once they were fetched, what is in them.  No message repeats one."),
)

_HEAD = """\
# Rules

What `bsdcarp validate` looks at.  Every finding names a rule by the id below, with file, line and column, the cause and
a remedy.  An **error** stops every verb; a **warning** does not.  All findings are reported at once.

This page is generated from the rules themselves: `python -m bsdcarp.inventory.rules.page > docs/rules.md`.
"""


def rules_page() -> str:
    """Return docs/rules.md."""
    return "\n".join(chain([_HEAD], *(_section(title, text) for title, text in _SECTIONS)))


def _section(title: str, text: str) -> list[str]:
    rows = [
        f"| `{rule.id}` | {rule.severity.value} | {rule.summary} |"
        for rule in REGISTRY.values()
        if rule.section == title
    ]
    return [f"## {title}", "", text, "", "| id | severity | what it says |", "|---|---|---|", *rows, ""]


if __name__ == "__main__":
    sys.stdout.write(rules_page())
