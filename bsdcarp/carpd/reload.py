"""What has to be done to get from one configuration to another, touching only what differs.  Pure.

The order of the steps: what goes first makes room (an address may move from one vhid to another), and what comes new
comes last.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Union

from bsdcarp.carpd.config import Config, VhidConfig

__all__ = ["AddVhid", "ChangeVhid", "RemoveVhid", "Set", "Step", "steps"]


@dataclass(frozen=True)
class RemoveVhid:
    """Bow out, take the addresses away, forget it."""

    config: VhidConfig


@dataclass(frozen=True)
class AddVhid:
    """A new one, which starts as a BACKUP."""

    config: VhidConfig


@dataclass(frozen=True)
class ChangeVhid:
    """The same vhid with other values; it keeps its role, and the addresses that both have."""

    old: VhidConfig
    new: VhidConfig

    @property
    def in_place(self) -> dict[str, Any]:
        """What ``Machine.configure`` is to be called with, by its names; addresses are not among them."""
        old, new = self.old.core(), self.new.core()
        names = ("advbase", "advskew", "key", "peer", "peer6")
        return {name: getattr(new, name) for name in names if getattr(new, name) != getattr(old, name)}

    @property
    def addresses(self) -> bool:
        """Whether the addresses differ; their order does not count, nor does a prefix length, which is display only."""
        return set(self.old.v4) != set(self.new.v4) or set(self.old.v6) != set(self.new.v6)

    @property
    def loses(self) -> bool:
        """Whether an address goes away."""
        return bool({*self.old.v4, *self.old.v6} - {*self.new.v4, *self.new.v6})


@dataclass(frozen=True)
class Set:
    """Host-wide settings, (name, value) as ``Node.set`` wants them."""

    changes: tuple[tuple[str, int], ...]


Step = Union[RemoveVhid, AddVhid, ChangeVhid, Set]  # noqa: UP007 - evaluated, and X | Y needs 3.10


def steps(old: Config, new: Config) -> tuple[Step, ...]:
    """The steps from ``old`` to ``new``, in order; none if both are the same."""
    before = {vhid.key: vhid for vhid in old.vhids}
    after = {vhid.key: vhid for vhid in new.vhids}
    balance = bool(old.settings.arpbalance) != bool(new.settings.arpbalance)
    # Their addresses move to another interface, or begin to be answered in another way.
    rebuilt = {
        key for key in before.keys() & after.keys() if balance or before[key].virtual_mac is not after[key].virtual_mac
    }
    changes = [
        ChangeVhid(before[key], after[key])
        for key in before
        if key in after and key not in rebuilt and before[key] != after[key]
    ]
    # Stable: those that lose an address first, each group in the order of the old file.
    changes.sort(key=lambda change: not change.loses)
    removed = [RemoveVhid(vhid) for key, vhid in before.items() if key not in after or key in rebuilt]
    added = [AddVhid(vhid) for key, vhid in after.items() if key not in before or key in rebuilt]
    settings = _settings(old, new)
    return (*removed, *((Set(settings),) if settings else ()), *changes, *added)


def _settings(old: Config, new: Config) -> tuple[tuple[str, int], ...]:
    names = [each.name for each in fields(old.settings)]
    pairs = [(name, getattr(new.settings, name)) for name in names]
    return tuple((name, value) for name, value in pairs if value != getattr(old.settings, name))
