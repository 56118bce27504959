"""What rc does before the network, as far as it matters here: /var/run is emptied, and the boot hook of a change runs.

The hook is the real script under the real sh.  Nobody answers the simulated programs while a machine boots, so the one
that the hook may call, reboot(8), is a stand-in that only leaves word; whoever boots the machine then starts over.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine

__all__ = ["clean_var", "wants_another_boot"]

_HOOK = "/etc/rc.d/bsdcarp_undo"
_PATIENCE = 60.0
"""Seconds after which a hook is given up; it moves a few files."""


def clean_var(machine: Machine) -> None:
    """Remove what rc.d/cleanvar removes from /var/run: files, not directories (seen on FreeBSD 9.3 and 12.1)."""
    for path in machine.tree.path("/var/run").rglob("*"):
        if path.is_file() or path.is_symlink():
            path.unlink()


def wants_another_boot(machine: Machine) -> bool:
    """Run /etc/rc.d/bsdcarp_undo if it is there and executable; return whether it called reboot(8)."""
    hook = machine.tree.path(_HOOK)
    if not os.access(hook, os.X_OK):
        return False
    with tempfile.TemporaryDirectory(prefix="bsdcarp-lab-boot-") as tools:
        word = Path(tools) / "again"
        program = Path(tools) / "reboot"
        program.write_text(f"#!/bin/sh\n: >'{word}'\n", encoding="utf-8")
        program.chmod(0o755)
        environment = machine.session_env()
        # Once the stand-in is gone, what the hook left running finds the simulated one.
        environment["BSDCARP_PATH"] = f"{tools}:{environment['BSDCARP_PATH']}"
        try:
            done = subprocess.run(
                ["/bin/sh", str(hook), "faststart"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            machine.print_console(f"{_HOOK}: does not end")
            return False
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            machine.print_console(line)
        return word.exists()
