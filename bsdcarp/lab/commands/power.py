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
_NEXTBOOT_USAGE = "Usage: nextboot [-e variable=value] [-f] [-k kernel] [-o options]\n       nextboot -D\n"
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
    """Choose the kernel and the loader variables of the next boot only, by /boot/nextboot.conf.

    On ZFS the loader cannot write the file, and since 13.0 the switch is in the label of the pool (main commit
    e307eb94ae52); before, the file is in force until a boot reaches rc.d/root, which removes it.
    """
    words = list(call.args)
    if not call.is_root:
        return failure("cannot create /boot/nextboot.conf: Permission denied", 2)
    if "-D" in words:
        machine.tree.path("/boot/nextboot.conf").unlink(missing_ok=True)
        machine.disk.nvstore.pop("nextboot_enable", None)
        return text()
    lines: list[str] = []
    kernel = ""
    while words:
        option = words.pop(0)
        if option in {"-a", "-f"}:
            continue
        if option not in {"-e", "-k", "-o"} or not words:
            return text(_NEXTBOOT_USAGE, status=1)
        value = words.pop(0)
        kernel = value if option == "-k" else kernel
        name, _, given = value.partition("=") if option == "-e" else ("kernel", "", value)
        lines.append(f'{"kernel_options" if option == "-o" else name}="{given}"\n')
    if not lines:
        return text(_NEXTBOOT_USAGE, status=1)
    if kernel and "-f" not in call.args and not machine.tree.path(f"/boot/{kernel}").is_dir():
        return text(f"Error: /boot/{kernel} doesn't exist. Use -f to override.\n", status=1)
    switch = 'nextboot_enable="YES"\n'
    warning = ""
    if machine.disk.filesystem == "zfs":
        if machine.release.version >= (13, 0):
            machine.disk.nvstore["nextboot_enable"] = "YES"
            switch = ""
        else:
            warning = (
                "WARNING: loader(8) has only R/O support for ZFS\n"
                "nextboot.conf will NOT be reset in case of kernel boot failure\n"
            )
    machine.tree.write("/boot/nextboot.conf", switch + "".join(lines))
    return text(stderr=warning)
