"""Finding the processes of a simulated machine again: they inherit an environment variable, wherever they went."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

__all__ = ["MARK", "kill_marked"]

MARK = "BSDCARP_LAB_SESSION"
"""Environment variable that every process of a simulated machine inherits, to be found again when the machine dies."""


def kill_marked(mark: str) -> int:
    """Kill every process whose environment says ``BSDCARP_LAB_SESSION=mark``; return how many there were.

    This reaches processes that left their process group (``daemon -f``).  It needs Linux's /proc; elsewhere nothing
    is found and such a process lives until it ends by itself.
    """
    wanted = f"{MARK}={mark}".encode()
    killed = 0
    # Twice: a process may have forked between being listed and being killed.
    for _ in range(2):
        for entry in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if wanted in entry.read_bytes().split(b"\0"):
                    os.kill(int(entry.parent.name), signal.SIGKILL)
                    killed += 1
    return killed
