"""What the daemon takes before it begins its work, and what it gives up then.

Taken: a place ahead of ordinary processes, memory that is not swapped out, and some distance from the OOM killer, all
of them so that adverts leave in time on a host in trouble.  Given up: every capability but CAP_NET_ADMIN and
CAP_NET_RAW, for this process and for whatever it starts.  Each step is worth having alone, so a step that fails is
logged and the next one is tried.
"""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Write = Callable[[str, str], None]
    """Takes (level, text)."""

__all__ = ["KEPT", "Capabilities", "drop", "held", "lock_memory", "parse_status", "protect_from_oom", "raise_priority"]

_NET_ADMIN, _NET_RAW = 12, 13  # linux/capability.h
KEPT = 1 << _NET_ADMIN | 1 << _NET_RAW
"""The capabilities that the daemon works with, as the mask that /proc/PID/status shows."""

# linux/prctl.h
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
# sys/mman.h
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4

_REAL_TIME_PRIORITY = 2
_NICE = -10
_OOM_SCORE = -900
_LONGEST_RUN = 5_000_000
"""Microseconds in real time without a rest, after which the kernel ends a daemon that spins."""


@dataclass(frozen=True)
class Capabilities:
    """The capability sets of a process as masks, and whether execve(2) can still add to them."""

    inheritable: int
    permitted: int
    effective: int
    bounding: int
    ambient: int
    no_new_privileges: bool

    @property
    def dropped(self) -> bool:
        """Whether nothing but the kept ones is left, now and for what is started."""
        every = self.inheritable | self.permitted | self.effective | self.ambient
        return not every & ~KEPT and self.no_new_privileges


def parse_status(text: str) -> Capabilities:
    """Read the text of /proc/PID/status, proc(5).  A set that an old kernel does not show counts as full."""
    found = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def mask(name: str, default: int = -1) -> int:
        return int(found[name], 16) if name in found else default

    return Capabilities(
        inheritable=mask("CapInh"),
        permitted=mask("CapPrm"),
        effective=mask("CapEff"),
        bounding=mask("CapBnd"),
        ambient=mask("CapAmb", 0),
        no_new_privileges=found.get("NoNewPrivs", "0").strip() == "1",
    )


def held() -> Capabilities:
    """What this process holds."""
    return parse_status(Path("/proc/self/status").read_text("ascii", "replace"))


def raise_priority(write: Write) -> None:
    """Run in real time (SCHED_RR, lowest but one), or failing that with a low nice value; children do not."""
    try:
        # Not one priority above the other real-time processes, but all of them above the ordinary ones.
        resource.setrlimit(resource.RLIMIT_RTTIME, (_LONGEST_RUN, _LONGEST_RUN * 2))
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(_REAL_TIME_PRIORITY))
    except (OSError, ValueError):
        pass
    else:
        return
    try:
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    except OSError as error:
        write("notice", f"running with ordinary priority: {error.strerror}")


def lock_memory(write: Write) -> None:
    """Keep the pages in use from being swapped out."""
    endless = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    try:
        # With a limit, the lock on future pages would make allocations fail once CAP_IPC_LOCK is gone.
        resource.setrlimit(resource.RLIMIT_MEMLOCK, endless)
        # ONFAULT: only what is touched, since a Python process maps far more than it uses.
        _libc().mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)
    except (OSError, ValueError) as error:
        write("notice", f"memory is not locked and may be swapped out: {error}")


def protect_from_oom(write: Write, path: str = "/proc/self/oom_score_adj") -> None:
    """Ask the kernel to kill others first when memory is short."""
    try:
        if int(Path(path).read_text("ascii")) > _OOM_SCORE:
            Path(path).write_text(str(_OOM_SCORE), "ascii")
    except (OSError, ValueError) as error:
        write("notice", f"no protection from the OOM killer: {error}")


def drop(write: Write) -> None:
    """Give up all capabilities but CAP_NET_ADMIN and CAP_NET_RAW for good."""
    try:
        before = held()
        if not before.dropped or before.bounding & ~KEPT:
            _drop(before)
        if not held().dropped:
            raise OSError("the kernel did not take them all")
    except OSError as error:
        write("warning", f"running with more privileges than needed: {error}")


def _drop(before: Capabilities) -> None:
    libc = _libc()
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1)
    for capability in range(64):
        # Needs CAP_SETPCAP and therefore comes before capset; capabilities that the kernel does not know are refused.
        if before.bounding >> capability & 1 and not KEPT >> capability & 1:
            with contextlib.suppress(OSError):
                libc.prctl(_PR_CAPBSET_DROP, capability)
    # What is not permitted and inheritable any more leaves the ambient set by itself, capabilities(7).
    libc.capset(before.permitted & KEPT)


def _libc() -> ModuleType:
    try:
        from bsdcarp.carpd import libc
    except (ImportError, MemoryError) as error:
        raise OSError(f"Python has no usable ctypes: {error}") from error
    return libc
