"""The state of the daemon at one moment, as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from bsdcarp.carp import Settings, State, Statistics
from bsdcarp.carpd.config import VhidConfig

__all__ = ["Finding", "Snapshot", "VhidStatus"]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong now, and what to do about it."""

    vhid: int
    interface: str
    text: str
    remedy: str


@dataclass(frozen=True)
class VhidStatus:
    """One vhid.  ``since`` is monotonic seconds."""

    config: VhidConfig
    state: State
    since: float
    reason: str
    """Of the last change of state."""
    effective_advskew: int
    failover: bool
    """It was handed over by hand and advertises advskew 254 until that is undone."""
    present: bool
    """Whether the parent interface exists."""


@dataclass(frozen=True)
class Snapshot:
    """The whole daemon.  ``now`` and ``started`` are monotonic seconds."""

    now: float
    started: float
    demotion: int
    settings: Settings
    statistics: Statistics
    vhids: tuple[VhidStatus, ...]
    findings: tuple[Finding, ...]
