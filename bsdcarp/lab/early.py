"""What rc does before the network, as far as it matters here: /var/run is emptied, and the boot hook of a change runs.

The hook is the real script under the real sh.  Nobody answers the simulated programs while a machine boots, so they
fail at once, but for reboot(8): the one that the hook finds before all others leaves word, and the machine then starts
once more.  What the hook leaves running finds the simulated programs at their place as soon as it has ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine

__all__ = ["clean_var", "wants_another_boot"]

_HOOK = "/etc/rc.d/bsdcarp_undo"
_PATIENCE = 30.0
"""Seconds after which a hook is given up; it moves a few files."""
_REBOOT = """\
#!/bin/sh
[ ! -p "$BSDCARP_LAB_DIR/request" ] || exec %s "$@"
: >%s
"""


def clean_var(machine: Machine) -> None:
    """Remove what rc.d/cleanvar removes from /var/run: files, not directories (seen on FreeBSD 9.3 and 12.1)."""
    for path in machine.tree.path("/var/run").rglob("*"):
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)


def wants_another_boot(machine: Machine) -> bool:
    """Run /etc/rc.d/bsdcarp_undo if it is there and executable; return whether it called reboot(8)."""
    hook = machine.tree.path(_HOOK)
    if not os.access(hook, os.X_OK):
        return False
    early = machine.root / ".lab" / "early"
    word, wire = early / "again", early / "wire"
    (early / "bin").mkdir(parents=True, exist_ok=True)
    for old in (word, wire):
        old.unlink(missing_ok=True)
    program = early / "bin" / "reboot"
    program.write_text(_REBOOT % (quote(f"{machine.root}/.lab/bin/reboot"), quote(str(word))), encoding="utf-8")
    program.chmod(0o755)
    environment = machine.session_env()
    path = f"{early}/bin:{environment['BSDCARP_PATH']}"
    # The directory of the wire is not there yet, which tells simulated programs that nobody answers.
    environment |= {"BSDCARP_PATH": path, "PATH": f"{path}:/bin:/usr/bin", "BSDCARP_LAB_DIR": str(wire)}
    for line in _run(hook, environment).splitlines():
        machine.print_console(line)
    wire.symlink_to(machine.lab_directory)
    return word.exists()


def _run(hook: Path, environment: dict[str, str]) -> str:
    # As rc does when a host boots (rc(8)): run_rc_script FILE faststart.
    with subprocess.Popen(
        ["/bin/sh", str(hook), "faststart"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return f"{_HOOK}: does not end"
    return said.decode("utf-8", "replace")
