"""Everything about an inventory that can be judged before a host is reached, one function per rule."""

from __future__ import annotations

from collections.abc import Iterator

# Importing a module registers its rules.
from bsdcarp.inventory.rules import addresses, hosts, passwords, releases, sysctls, vhids
from bsdcarp.inventory.rules.passwords import check_passwords
from bsdcarp.inventory.rules.registry import REGISTRY, Context, Rule
from bsdcarp.model import Finding

__all__ = [
    "REGISTRY",
    "Context",
    "Rule",
    "addresses",
    "apply_rules",
    "check_passwords",
    "hosts",
    "passwords",
    "releases",
    "sysctls",
    "vhids",
]


def apply_rules(context: Context) -> Iterator[Finding]:
    """Yield the findings of every rule that needs no password."""
    for rule in REGISTRY.values():
        if rule.check is not None:
            yield from (rule.finding(hit) for hit in rule.check(context))
