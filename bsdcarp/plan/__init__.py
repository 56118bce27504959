"""Desired x Snapshot -> Plan: what has to change on one host, in order, with how it looks and how it is undone."""

from __future__ import annotations

from bsdcarp.plan.change import (
    FREEBSD_STATE,
    LINUX_STATE,
    Drain,
    FileChange,
    Init,
    LiveChange,
    LiveState,
    Plan,
    ProgramChange,
)
from bsdcarp.plan.command import Command
from bsdcarp.plan.make import plan

__all__ = [
    "FREEBSD_STATE",
    "LINUX_STATE",
    "Command",
    "Drain",
    "FileChange",
    "Init",
    "LiveChange",
    "LiveState",
    "Plan",
    "ProgramChange",
    "plan",
]
