"""Small programs of a Linux host: who and what it is, becoming root, its logs, and the end of its uptime."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from bsdcarp.lab.linux.commands import ip, python, sysctl, systemctl
from bsdcarp.lab.reply import Call, Reply, failure, text

if TYPE_CHECKING:
    from bsdcarp.lab.linux.machine import LinuxMachine

__all__ = ["COMMANDS"]

_GRACE = 0.05
"""Seconds between the command's answer and the end of its session."""
_UNAME_ORDER = "snrvmo"


def uname(machine: LinuxMachine, call: Call) -> Reply:
    letters = set("".join(word.removeprefix("-") for word in call.args)) or {"s"}
    if "a" in letters:
        letters = set(_UNAME_ORDER)
    release = machine.release
    known = {
        "s": "Linux",
        "n": machine.hostname,
        "r": release.uname_r,
        "v": release.uname_v,
        "m": release.arch,
        "o": "GNU/Linux",
    }
    if unknown := sorted(letters - set(known)):
        return failure(f"uname: invalid option -- '{unknown[0]}'\nTry 'uname --help' for more information.")
    return text(" ".join(known[letter] for letter in _UNAME_ORDER if letter in letters) + "\n")


def hostname(machine: LinuxMachine, call: Call) -> Reply:
    names = [word for word in call.args if not word.startswith("-")]
    if not names:
        return text(f"{machine.hostname.split('.', 1)[0] if '-s' in call.args else machine.hostname}\n")
    if not call.is_root:
        return failure("hostname: you must be root to change the host name")
    machine.proc.set("kernel/hostname", names[0])
    return text()


def identity(machine: LinuxMachine, call: Call) -> Reply:
    """Answer id(1) for the users of /etc/passwd."""
    name = next((word for word in call.args if not word.startswith("-")), call.user)
    number = machine.user_id(name)
    if number is None:
        return failure(f"id: '{name}': no such user")
    letters = {letter for word in call.args if word.startswith("-") for letter in word[1:]}
    if letters & {"u", "g"}:
        return text(f"{name if 'n' in letters else number}\n")
    return text(f"uid={number}({name}) gid={number}({name}) groups={number}({name})\n")


def whoami(_machine: LinuxMachine, call: Call) -> Reply:
    return text(f"{call.user}\n")


def sudo(machine: LinuxMachine, call: Call) -> Reply:
    """Become root, or another user with -u; everybody in group sudo may, without a password."""
    words, user = list(call.args), "root"
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option in {"-u", "-p", "-g", "-C"} and words:
            value = words.pop(0)
            user = value if option == "-u" else user
    if machine.user_id(user) is None:
        return failure(f"sudo: unknown user {user}\nsudo: error initializing audit plugin sudoers_audit")
    if not call.is_root and call.user not in machine.sudoers:
        return failure("sudo: a password is required")
    if not words:
        return failure("usage: sudo -h | -K | -k | -V\nusage: sudo [-ABbEHnPS] [-u user] [command [arg ...]]")
    return _as_user(user, words)


def su(machine: LinuxMachine, call: Call) -> Reply:
    words = [word for word in call.args if word not in {"-", "-l", "--login", "-m"}]
    user = words.pop(0) if words and not words[0].startswith("-") else "root"
    if words[:1] == ["-s"]:
        words = words[2:]
    if machine.user_id(user) is None:
        return failure(f"su: user {user} does not exist or the user entry does not contain all the required fields")
    if not call.is_root:
        return failure("su: Authentication failure")
    return _as_user(user, ["/bin/sh", *words])


def _as_user(user: str, words: list[str]) -> Reply:
    mine = f"BSDCARP_USER={shlex.quote(user)} USER={shlex.quote(user)} LOGNAME={shlex.quote(user)}"
    missing = f"printf 'sudo: %s: command not found\\n' {shlex.quote(words[0])} >&2; exit 1"
    return Reply(
        script=f"command -v {shlex.quote(words[0])} >/dev/null || {{ {missing}; }}\n{mine} exec {shlex.join(words)}"
    )


def shutdown(machine: LinuxMachine, call: Call) -> Reply:
    """End the uptime, as systemd has it; a time in the future is only ``+minutes``."""
    flags = {letter for word in call.args if word.startswith("-") for letter in word[1:]}
    words = [word for word in call.args if not word.startswith("-")]
    reboots = "r" in flags or call.name == "reboot"
    if not call.is_root:
        return failure(f"Call to {'Reboot' if reboots else 'PowerOff'} failed: Access denied")
    if "c" in flags or "k" in flags:
        return text()
    when = words[0] if words else ("+1" if call.name == "shutdown" else "now")
    if when != "now" and not (when.startswith("+") and when[1:].isdigit()):
        return failure(f"Failed to parse time specification: {when}")
    delay = 0 if when == "now" else int(when[1:]) * 60
    machine.network.schedule(_GRACE + delay, machine.reboot if reboots else machine.halt)
    return text()


def journalctl(machine: LinuxMachine, call: Call) -> Reply:
    """Answer ``journalctl [-u UNIT] [-b] [-n N] [-o cat|short] [-k]``."""
    words = list(call.args)
    unit, lines, form, boot, kernel = "", 0, "short", None, False
    while words:
        name, equals, value = words.pop(0).partition("=")
        if name in {"-u", "--unit", "-n", "--lines", "-o", "--output", "-t"} and not equals:
            value = words.pop(0) if words else ""
        if name in {"-u", "--unit"}:
            unit = value if "." in value else f"{value}.service"
        elif name in {"-n", "--lines"}:
            lines = int(value) if value.isdigit() else 10
        elif name in {"-o", "--output"}:
            form = value
        elif name in {"-b", "--boot"}:
            boot = machine.generation
        elif name in {"-k", "--dmesg"}:
            kernel, boot = True, machine.generation
        elif name not in {"-q", "--quiet", "--no-pager", "-x", "-e", "--no-hostname", "-a"}:
            return failure(f"journalctl: unrecognized option '{name}'")
    found = [e for e in machine.journal.of(unit, boot) if not kernel or e.identifier == "kernel"][-lines:]
    if not found:
        return text("-- No entries --\n")
    return text("".join(f"{e.text if form == 'cat' else e.line(machine.hostname)}\n" for e in found))


def logger(machine: LinuxMachine, call: Call) -> Reply:
    words = list(call.args)
    tag = call.user
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option in {"-t", "-p"} and words:
            value = words.pop(0)
            tag = value if option == "-t" else tag
    machine.log("", tag, 0, " ".join(words))
    return text()


def dmesg(machine: LinuxMachine, _call: Call) -> Reply:
    return text("".join(f"{line}\n" for line in machine.dmesg()))


COMMANDS: dict[str, Callable[[LinuxMachine, Call], Reply]] = {
    "dmesg": dmesg,
    "halt": shutdown,
    "hostname": hostname,
    "id": identity,
    "ip": ip.run,
    "journalctl": journalctl,
    "logger": logger,
    "poweroff": shutdown,
    "python3": python.python3,
    "reboot": shutdown,
    "shutdown": shutdown,
    "su": su,
    "sudo": sudo,
    "sysctl": sysctl.run,
    "systemctl": systemctl.run,
    "uname": uname,
    "whoami": whoami,
}
"""Program name -> what it does."""
