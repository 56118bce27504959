"""shutdown(8), reboot(8), halt(8), nextboot(8): the end of an uptime, and what the next one starts with."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from bsdcarp.lab.reply import Call, Reply, failure, text

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine

__all__ = ["halt", "nextboot", "reboot", "shutdown"]

_GRACE = 0.05
"""Seconds between the command's answer and the end of its session."""

_NOW = "Shutdown NOW!\nShutdown NOW!\n\nSystem shutdown time has arrived\a\a\n"
_pids = itertools.count(2801)


def shutdown(machine: Machine, call: Call) -> Reply:
    if not call.is_root:
        return failure("su: shutdown: Permission denied", 126)
    flags = {letter for word in call.args if word.startswith("-") for letter in word[1:]}
    words = [word for word in call.args if not word.startswith("-")]
    if not words:
        return failure("usage: shutdown [-] [-c | -h | -p | -r | -k] [-o [-n]] time [warning-message ...]")
    if words[0] != "now" and not (words[0].startswith("+") and words[0][1:].isdigit()):
        return failure("shutdown: bad time format")
    delay = 0 if words[0] == "now" else int(words[0][1:]) * 60
    stderr = f"shutdown: [pid {next(_pids)}]\n"
    if "k" in flags:
        return text(f"{_NOW}\nbut you'll have to do it yourself\n", stderr=stderr)
    machine.network.schedule(_GRACE + delay, machine.reboot if "r" in flags else machine.power_off)
    return text(_NOW if delay == 0 else "", stderr=stderr)


def reboot(machine: Machine, call: Call) -> Reply:
    if not call.is_root:
        return failure("reboot: Operation not permitted")
    machine.network.schedule(_GRACE, machine.reboot)
    return text()


def halt(machine: Machine, call: Call) -> Reply:
    if not call.is_root:
        return failure("halt: Operation not permitted")
    machine.network.schedule(_GRACE, machine.power_off)
    return text()


def nextboot(machine: Machine, call: Call) -> Reply:
    """Choose the kernel of the next boot only, by /boot/nextboot.conf."""
    words = list(call.args)
    if "-D" in words:
        machine.tree.path("/boot/nextboot.conf").unlink(missing_ok=True)
        return text()
    if "-k" not in words or words.index("-k") + 1 >= len(words):
        return failure("Usage: nextboot [-e variable=value] [-f] [-k kernel] [-o options]")
    kernel = words[words.index("-k") + 1]
    if "-f" not in words and not machine.tree.exists(f"/boot/{kernel}/kernel"):
        return failure(f"Error: /boot/{kernel} doesn't exist. Use -f to override.")
    machine.tree.write("/boot/nextboot.conf", f'nextboot_enable="YES"\nkernel="{kernel}"\n')
    return text()
