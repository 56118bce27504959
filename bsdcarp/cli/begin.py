"""How every verb begins: load the inventory, show what is wrong with it, pick hosts, fetch passwords."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import InventoryError, SecretError, UsageError
from bsdcarp.model import Finding, Inventory, Secret, Severity

if TYPE_CHECKING:
    from bsdcarp.report.screen import Screen

__all__ = ["Beginning", "begin", "reach", "screen", "select"]


@dataclass(frozen=True, slots=True)
class Beginning:
    """A loaded inventory, the hosts that were asked for, and, where they matter, the passwords of all groups."""

    inventory: Inventory
    hosts: tuple[str, ...]
    secrets: Mapping[str, Secret]
    findings: tuple[Finding, ...]


def screen(*, json: bool = False, verbose: int = 0) -> Screen:
    """Return where this verb prints."""
    from bsdcarp.report.screen import Screen

    return Screen(json=json, verbose=verbose)


def begin(
    path: Path,
    *,
    to: Screen,
    hosts: Iterable[str] | None = None,
    groups: Iterable[str] | None = None,
) -> Beginning:
    """Load and judge ``path``; errors in it end here, all shown at once.

    Raises ``InventoryError``, ``SecretError`` when a password cannot be had, ``UsageError`` for unknown names.
    """
    from bsdcarp.inventory import check_passwords, load
    from bsdcarp.inventory.secrets import resolve_all

    loaded = load(path)
    inventory = loaded.inventory
    broken = inventory is None or any(f.severity is Severity.ERROR for f in loaded.findings)
    if inventory is None or broken:
        from bsdcarp.report.findings import show_findings, summarise

        show_findings(to.err, loaded.findings)
        raise InventoryError(
            summarise(loaded.findings), place=str(path), remedy="nothing was done; correct them and try again"
        )
    secrets, missing = resolve_all(inventory)
    weak = check_passwords(inventory, secrets)
    findings = (*loaded.findings, *missing, *weak)
    wrong = [f for f in (*missing, *weak) if f.severity is Severity.ERROR]
    lost = [group for group in inventory.groups if group not in secrets]
    if wrong or lost:
        from bsdcarp.report.findings import show_findings

        show_findings(to.err, [*missing, *weak])
        raise SecretError(
            f"{len(wrong) or len(lost)} of the groups' passwords cannot be used",
            place=str(path),
            remedy="nothing was done; `bsdcarp genpass` makes good ones",
        )
    shown = [f for f in findings if f.severity is Severity.WARNING or to.verbose]
    if shown:
        from bsdcarp.report.findings import show_findings

        show_findings(to.err, shown)
    return Beginning(inventory, select(inventory, hosts, groups), secrets, findings)


def reach(
    path: Path,
    *,
    to: Screen,
    hosts: Iterable[str] | None = None,
    groups: Iterable[str] | None = None,
) -> Beginning:
    """Load ``path`` for a verb that only has to reach hosts: no passwords, and what rules find is shown, no more.

    A change has to be confirmed or taken back also where another inventory would be refused by now.  Raises
    ``InventoryError`` when the file cannot be read as an inventory, ``UsageError`` for unknown names.
    """
    from bsdcarp.inventory import load, require

    loaded = load(path)
    inventory = loaded.inventory or require(loaded)
    if shown := loaded.findings if to.verbose else loaded.errors:
        from bsdcarp.report.findings import show_findings

        show_findings(to.err, shown)
    return Beginning(inventory, select(inventory, hosts, groups), {}, loaded.findings)


def select(inventory: Inventory, hosts: Iterable[str] | None, groups: Iterable[str] | None) -> tuple[str, ...]:
    """Return the chosen hosts in inventory order; all of them when nothing was chosen."""
    chosen: set[str] = set()
    for name in hosts or ():
        _known("host", name, inventory.hosts)
        chosen.add(name)
    for name in groups or ():
        _known("group", name, inventory.groups)
        chosen |= {member.host for member in inventory.groups[name].members}
    return tuple(name for name in inventory.hosts if name in chosen or not (hosts or groups))


def _known(kind: str, name: str, there: Iterable[str]) -> None:
    names = list(there)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        raise UsageError(
            f"no {kind} {name!r} in the inventory",
            remedy=f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}",
        )
