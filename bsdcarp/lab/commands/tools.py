"""Small programs of the base system whose FreeBSD form scripts rely on, where the lab's own system has another form.

Some answer with a piece of shell for the caller to run (:attr:`Reply.script`): those that start programs, or that
read the caller's standard input.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import stat as modes
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bsdcarp.lab.reply import Call, Reply, failure, text

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine

__all__ = [
    "command", "daemon", "digest", "dmesg", "fsync", "lockf", "logger", "ls", "pw", "stat", "su", "wall",
]  # fmt: skip


def dmesg(machine: Machine, _call: Call) -> Reply:
    return text("".join(f"{line}\n" for line in machine.dmesg()))


def fsync(machine: Machine, call: Call) -> Reply:
    for name in call.args:
        if not machine.tree.path(name, call.cwd).exists():
            return failure(f"fsync: open {name}: No such file or directory")
    return text()


def daemon(_machine: Machine, call: Call) -> Reply:
    """Run a command detached from the session, as ``daemon -f`` does."""
    words = list(call.args)
    pidfile = ""
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option[1:2] in {"p", "P", "o", "u", "t", "m", "l", "s"}:
            value = option[2:] or (words.pop(0) if words else "")
            pidfile = value if option[1] == "p" else pidfile
    if not words:
        return failure("usage: daemon [-cfrS] [-p child_pidfile] [-P supervisor_pidfile] command arguments ...")
    note = f"echo $! >{shlex.quote(pidfile)}\n" if pidfile else ""
    detached = "setsid " if Path("/usr/bin/setsid").exists() else ""
    return Reply(script=f"{detached}{shlex.join(words)} </dev/null >/dev/null 2>&1 &\n{note}exit 0")


def lockf(_machine: Machine, call: Call) -> Reply:
    """Run a command; the lab has no second process to wait for, so the lock is not taken."""
    words = list(call.args)
    while words and words[0].startswith("-"):
        if words.pop(0) == "-t" and words:
            words.pop(0)
    if len(words) < 2:
        return failure("usage: lockf [-knsw] [-t seconds] file command [arguments]", 64)
    return Reply(script=f"exec {shlex.join(words[1:])}")


def command(_machine: Machine, call: Call) -> Reply:
    """FreeBSD installs the shell's own ``command`` as a program too, which csh finds."""
    return Reply(script=f"PATH=${{PATH}}\ncommand {shlex.join(call.args)}")


def su(machine: Machine, call: Call) -> Reply:
    words = [word for word in call.args if word not in {"-", "-l", "-m"}]
    user = words.pop(0) if words and words[0] != "-c" else "root"
    if machine.user_id(user) is None:
        return failure(f"su: unknown login: {user}")
    if not call.is_root:
        return failure("su: Sorry")
    shell = shlex.join(["/bin/sh", *words])
    return Reply(script=f"BSDCARP_USER={shlex.quote(user)} USER={shlex.quote(user)} exec {shell}")


def pw(machine: Machine, call: Call) -> Reply:
    """Add a user (``pw useradd NAME``)."""
    if call.args[:1] != ("useradd",) or len(call.args) < 2 or not call.is_root:
        return failure("pw: only useradd is simulated" if call.is_root else "pw: you must be root", 64)
    name = call.args[1]
    if machine.user_id(name) is not None:
        return failure(f"pw: login name `{name}' already exists", 74)
    number = max([1000, *(value for line in (machine.read("/etc/passwd") or "").splitlines() if (value := _uid(line)))])
    machine.tree.append("/etc/passwd", f"{name}:*:{number + 1}:{number + 1}:User &:/home/{name}:/bin/sh\n")
    return text()


def _uid(line: str) -> int:
    fields = line.split(":")
    return int(fields[2]) if len(fields) > 2 and fields[2].isdigit() and int(fields[2]) < 60000 else 0


def digest(machine: Machine, call: Call) -> Reply:
    """Answer md5(1) and sha256(1) for files and -s strings."""
    words = list(call.args)
    quiet = "-q" in words
    words = [word for word in words if word != "-q"]
    algorithm = call.name
    if words[:1] == ["-s"] and len(words) > 1:
        value = hashlib.new(algorithm, words[1].encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
        return text(f"{value}\n" if quiet else f'{algorithm.upper()} ("{words[1]}") = {value}\n')
    if not words:
        return Reply(script=f'{algorithm}sum | {{ read -r sum rest; echo "$sum"; }}')
    out = ""
    for name in words:
        try:
            data = machine.tree.path(name, call.cwd).read_bytes()
        except OSError:
            return failure(f"{algorithm}: {name}: No such file or directory", stdout=out)
        value = hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()
        out += f"{value}\n" if quiet else f"{algorithm.upper()} ({name}) = {value}\n"
    return text(out)


def logger(machine: Machine, call: Call) -> Reply:
    words = [word for word in call.args if not word.startswith("-")]
    tag = call.args[call.args.index("-t") + 1] if "-t" in call.args else call.user
    machine.kernel.note(f"{tag}: {' '.join(word for word in words if word != tag)}")
    return text()


def wall(_machine: Machine, _call: Call) -> Reply:
    return text()


_STAT: dict[str, Callable[[os.stat_result], str]] = {
    "%u": lambda _info: "0",
    "%g": lambda _info: "0",
    "%Su": lambda _info: "root",
    "%Sg": lambda _info: "wheel",
    "%Lp": lambda info: f"{info.st_mode & 0o777:o}",
    "%OLp": lambda info: f"{info.st_mode & 0o777:o}",
    "%Mp": lambda info: f"{(info.st_mode >> 9) & 0o7:o}",
    "%p": lambda info: f"{info.st_mode:o}",
    "%Sp": lambda info: modes.filemode(info.st_mode),
    "%z": lambda info: str(info.st_size),
    "%m": lambda info: str(int(info.st_mtime)),
    "%i": lambda info: str(info.st_ino),
    "%d": lambda info: str(info.st_dev),
    "%l": lambda info: str(info.st_nlink),
    "%f": lambda _info: "0",
    "%Sf": lambda _info: "-",
    "%Of": lambda _info: "0",
}


def stat(machine: Machine, call: Call) -> Reply:
    """Answer ``stat -f FORMAT FILE``; owner and group are root's and wheel's, for the lab owns the files."""
    words = [word for word in call.args if word not in {"-L", "-q", "-n"}]
    if words[:1] != ["-f"] or len(words) < 3:
        return failure("usage: stat [-FLnq] [-f format | -l | -r | -s | -x] [-t timefmt] [file ...]")
    out = ""
    for name in words[2:]:
        try:
            path = machine.tree.path(name, call.cwd)
            info = path.stat() if "-L" in call.args else path.lstat()
        except OSError:
            return failure(f"stat: {name}: stat: No such file or directory", stdout=out)
        line = words[1].replace("%N", name).replace("%n", "\n").replace("%t", "\t")
        for key in sorted(_STAT, key=len, reverse=True):
            line = line.replace(key, _STAT[key](info))
        out += line if "-n" in call.args else f"{line}\n"
    return text(out)


def ls(machine: Machine, call: Call) -> Reply:
    """Answer ``ls -l`` (with -d and -o) as FreeBSD prints it; every other form is left to the real ls."""
    letters = {letter for word in call.args if word.startswith("-") for letter in word[1:]}
    names = [word for word in call.args if not word.startswith("-")] or ["."]
    if letters - set("ldoa1"):
        return Reply(script=f"PATH=/usr/bin:/bin exec ls {shlex.join(call.args)}")
    out, err = "", ""
    blocks: list[str] = []
    single: list[tuple[str, Path]] = []
    for name in sorted(names):
        path = machine.tree.path(name, call.cwd)
        if not path.exists() and not path.is_symlink():
            err += f"ls: {name}: No such file or directory\n"
        elif path.is_dir() and "d" not in letters:
            inside = sorted((each.name, each) for each in path.iterdir() if not each.name.startswith("."))
            total = sum(-(-each.lstat().st_size // 1024) for _name, each in inside)
            title = f"{name}:\n" if len(names) > 1 else ""
            blocks.append(f"{title}total {total}\n{_long(inside, flags='o' in letters)}")
        else:
            single.append((name, path))
    out = "\n".join([part for part in (_long(single, flags="o" in letters), *blocks) if part])
    return text(out, stderr=err, status=1 if err else 0)


def _long(entries: list[tuple[str, Path]], *, flags: bool) -> str:
    rows = [(name, path.lstat()) for name, path in entries]
    width = max((len(str(info.st_size)) for _name, info in rows), default=0)
    links = max((len(str(info.st_nlink)) for _name, info in rows), default=0)
    middle = " - " if flags else "  "
    return "".join(
        f"{modes.filemode(info.st_mode)}  {info.st_nlink:>{links}} root  wheel{middle}{info.st_size:>{width}} "
        f"{time.strftime('%b %e %H:%M', time.gmtime(info.st_mtime))} {name}\n"
        for name, info in rows
    )
