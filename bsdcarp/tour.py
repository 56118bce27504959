"""The guided tour: the commands an operator types, run for real against the embedded lab."""

from __future__ import annotations

import os
import secrets
import shutil
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from shlex import join

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import LabError
from bsdcarp.inventory import load, require
from bsdcarp.lab.up import Lab
from bsdcarp.model import Inventory

__all__ = ["tour"]


@dataclass(frozen=True, slots=True)
class _Stop:
    """One command of the tour, what it is for, and the exit statuses that mean it went as it should."""

    why: str
    arguments: tuple[str, ...]
    expected: tuple[int, ...] = (0,)


def tour(inventory_path: Path | None, *, keep: bool = False) -> int:
    """Run the tour and return its exit status: 0, or 1 when a command did not do what it should.

    Raises ``LabError`` when the lab cannot start.
    """
    path = inventory_path or _example()
    inventory = require(load(path))
    directory = Path(tempfile.mkdtemp(prefix="bsdcarp-lab-"))
    environment = os.environ | _passwords(inventory)
    begun = time.monotonic()
    try:
        with Lab.start(inventory, directory) as lab:
            _say(f"The lab is up: {len(lab.machines)} simulated hosts behind real SSH servers.")
            for name, machine in lab.machines.items():
                _say(f"  {name}: {machine.system.title}")
            for stop in _stops(path, inventory, lab):
                if not _visit(stop, environment):
                    return 1
    finally:
        if keep:
            _say(f"The lab's files stay in {directory}.")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    _say(f"Done in {time.monotonic() - begun:.0f} s; the lab is gone and nothing outside it was touched.")
    return 0


def _stops(path: Path, inventory: Inventory, lab: Lab) -> Iterator[_Stop]:
    where = (str(path), "--ssh-config", str(lab.ssh_config))
    first = next((group.members[0].host for group in inventory.groups.values()), next(iter(lab.machines)))
    yield _Stop("Is the inventory sound?", ("validate", str(path)))
    yield _Stop("What would change?  (nothing is written)", ("diff", *where), (3,))
    yield _Stop("Do it, and verify.", ("apply", *where, "--yes", "--quiet"))
    yield _Stop("Who is MASTER of what?", ("status", *where))
    yield _Stop("Is everything as it should be, live?", ("verify", *where))
    yield _Stop("Would it survive a reboot?  (from the files alone)", ("persist", *where))
    yield _Stop(f"Prove it: reboot {first}.", ("reboot", *where, "--host", first, "--yes"))
    for group, host in _linux_beside_freebsd(inventory):
        yield _Stop(
            f"Group {group} has a Linux member, too: reboot {host}.", ("reboot", *where, "--host", host, "--yes")
        )
    yield _Stop("A second apply changes nothing.", ("apply", *where, "--yes"))


def _linux_beside_freebsd(inventory: Inventory) -> Iterator[tuple[str, str]]:
    """The first group that mixes systems, with its first Linux member; nothing if there is no such group."""
    for group in inventory.groups.values():
        systems = {member.host: inventory.hosts[member.host].os for member in group.members}
        linux = [name for name, release in systems.items() if release is not None and release.family == "linux"]
        if linux and len(linux) < len(systems):
            yield group.name, linux[0]
            return


def _visit(stop: _Stop, environment: dict[str, str]) -> bool:
    shown = join(stop.arguments) if len(stop.arguments) < 12 else join((*stop.arguments[:4], "..."))
    _say(f"\n{stop.why}\n$ bsdcarp {shown}")
    done = subprocess.run([sys.executable, "-m", "bsdcarp", *stop.arguments], env=environment, check=False)
    if done.returncode in stop.expected:
        return True
    _say(f"exit status {done.returncode}, expected {' or '.join(map(str, stop.expected))}")
    return False


def _passwords(inventory: Inventory) -> dict[str, str]:
    """Random passwords for those groups whose environment variable is not set."""
    alphabet = string.ascii_letters + string.digits
    return {
        group.password.argument: "".join(secrets.choice(alphabet) for _ in range(19))
        for group in inventory.groups.values()
        if group.password.kind == "env" and not os.environ.get(group.password.argument)
    }


def _example() -> Path:
    inside = Path(__file__).parent / "inventory.example.yml"  # in an installed wheel
    beside = Path(__file__).parents[1] / "inventory.example.yml"  # in a checkout
    for path in (Path("inventory.example.yml"), inside, beside):
        if path.is_file():
            return path
    raise LabError("the example inventory is missing", remedy="name an inventory: bsdcarp demo INVENTORY")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
