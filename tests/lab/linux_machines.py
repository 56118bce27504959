"""Simulated Linux hosts for the tests: one card, the daemon's files in place, a manual clock."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from bsdcarp.lab.linux.machine import LinuxMachine
from bsdcarp.lab.network import Network
from bsdcarp.lab.nic import Nic

CONFIG = "/etc/bsdcarp/carpd.json"
PROGRAM = "/usr/local/lib/bsdcarp/carpd.pyz"
UNIT = "/etc/systemd/system/bsdcarp-carpd.service"
CARPD = "bsdcarp-carpd.service"
CTL = f"python3 -I {PROGRAM} ctl"
UNIT_TEXT = (Path(__file__).parents[2] / "templates" / "linux" / "bsdcarp-carpd.service").read_text()


def interfaces(address: str) -> str:
    return f"auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet static\n    address {address}/24\n"


def config(
    *addresses: str, advskew: int = 100, password: str = "secret", settings: dict[str, int] | None = None, **more: Any
) -> str:
    vhid = {
        "group": "web",
        "vhid": 30,
        "interface": "eth0",
        "advbase": 1,
        "advskew": advskew,
        "password": password,
        "addresses": list(addresses or ("192.0.2.10/24",)),
        **more,
    }
    return json.dumps(
        {"version": 1, "settings": {"allow": 1, "preempt": 1, "log": 1} | (settings or {}), "vhids": [vhid]}
    )


def write_config(machine: LinuxMachine, text: str, mode: int = 0o600) -> None:
    machine.tree.write(CONFIG, text)
    machine.tree.path(CONFIG).chmod(mode)


def install(machine: LinuxMachine, text: str | None = None) -> None:
    """Put program, unit and configuration there, as an apply does."""
    program = machine.tree.path(PROGRAM)
    program.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(program, "w") as archive:
        archive.writestr("__main__.py", "")
    machine.tree.write(UNIT, UNIT_TEXT)
    write_config(machine, config() if text is None else text)


def linux(
    root: Path,
    network: Network,
    name: str = "web2",
    *,
    release: str = "debian-12",
    address: str = "192.0.2.12",
    number: int = 0x99,
    python: str | None = "",
    carpd: str | None = None,
    text: str = "",
    boot: bool = True,
) -> LinuxMachine:
    """Make a host; ``carpd`` is a configuration that the enabled daemon starts with."""
    card = Nic("eth0", f"52:54:00:00:00:{number:02x}", "lan")
    made = LinuxMachine(name, release, root / name, [card], network=network, python=python, sudoers=["admin"])
    made.create(text or interfaces(address))
    if carpd is not None:
        install(made, carpd)
        made.systemd_files.enable(CARPD)
    if boot:
        made.boot()
    return made
