"""sysrc(8), as recorded on FreeBSD 9.3, 10.4 and 12.1: sources rc.conf, writes ``name="value"``, escapes nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bsdcarp.lab.rcconf import RcConf, read_rc_conf
from bsdcarp.lab.reply import Call, Reply, failure, text

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine
    from bsdcarp.lab.releases import SysrcShape

__all__ = ["run"]

_OPERATION = re.compile(r"(?P<name>[^=]*?)(?P<operator>[+-]?=)(?P<value>.*)\Z", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_BROKEN = "sysrc: Exiting due to previous syntax errors"
_DEFAULT_FILES = ("/etc/rc.conf", "/etc/rc.conf.local")


@dataclass(slots=True)
class _Run:
    """One invocation of sysrc."""

    machine: Machine
    shape: SysrcShape
    is_root: bool
    flags: set[str] = field(default_factory=set)
    files: list[str] = field(default_factory=list)
    out: str = ""
    err: str = ""
    status: int = 0

    def broken(self, conf: RcConf) -> bool:
        """Report a file that sh cannot read; nothing else works then."""
        if conf.complete:
            return False
        self.err += "".join(f"{message}\n" for message in conf.messages) + f"{_BROKEN}\n"
        self.status = 1
        return True

    def conf(self) -> RcConf:
        if self.files and not self._candidates():
            return RcConf({}, (), complete=True)
        return read_rc_conf(self.machine.tree.root, files=[file for file in self.files if self._exists(file)])

    def _exists(self, file: str) -> bool:
        return self.machine.tree.exists(file)

    def unknown(self, name: str) -> None:
        if not self.flags & {"i", "q"}:
            line = f"sysrc: unknown variable '{name}'\n"
            if self.shape.unknown_to_stdout:
                self.out += line
            else:
                self.err += line
        self.status = self.status or (1 if self.flags & {"i", "q"} else self.shape.unknown_status)

    def query(self, name: str) -> None:
        conf = self.conf()
        if self.broken(conf):
            return
        if name not in conf.variables or (self.files and not self._holder(name)):
            self.unknown(name)
            return
        if "c" not in self.flags:
            value = conf.variables[name]
            where = f"{self._holder(name) or '/etc/defaults/rc.conf'}: " if "v" in self.flags else ""
            self.out += self._line(name, value, where)

    def _line(self, name: str, value: str, where: str = "") -> str:
        if "N" in self.flags:
            return f"{name}\n"
        if "n" in self.flags:
            return f"{value}\n"
        if "e" in self.flags:
            return f'{name}="{value}"\n'
        return f"{where}{name}: {value}\n"

    def assign(self, name: str, operator: str, value: str) -> None:
        conf = self.conf()
        if self.broken(conf):
            return None
        if not _NAME.match(name):
            return self._refuse(name)
        before = conf.variables.get(name, "") if not self.files or self._holder(name) else ""
        wanted = value if operator == "=" else _merged(before, operator, value)
        if "c" in self.flags:
            known = name in conf.variables and (not self.files or self._holder(name) is not None)
            self.status = self.status or (0 if known and before == wanted else 1)
            return None
        if not self.is_root:
            self.err += "/usr/sbin/sysrc: cannot create /etc/rc.conf: Permission denied\n"
            self.status = 1
            return None
        self._write(name, wanted)
        after = self.conf().variables.get(name, "")
        if "q" not in self.flags:
            shown = f"{before} -> {after}"
            self.out += f"{shown}\n" if "n" in self.flags else f"{name}: {shown}\n"
        return None

    def _refuse(self, name: str) -> None:
        self.err += f"sysrc: {name}: name contains characters not allowed in shell\n"
        self.status = 1

    def delete(self, name: str) -> None:
        conf = self.conf()
        if self.broken(conf):
            return
        holder = self._holder(name)
        if holder is None:
            self.unknown(name)
            return
        content = self.machine.read(holder) or ""
        kept = [line for line in content.splitlines(keepends=True) if not _sets(line, name)]
        self.machine.tree.write(holder, "".join(kept))

    def _candidates(self) -> list[str]:
        return [file for file in (self.files or _DEFAULT_FILES) if self._exists(file)]

    def _holder(self, name: str) -> str | None:
        """Return the last file that assigns the variable."""
        found = None
        for file in self._candidates():
            if any(_sets(line, name) for line in (self.machine.read(file) or "").splitlines()):
                found = file
        return found

    def _write(self, name: str, value: str) -> None:
        line = f'{name}="{value}"\n'
        holder = self._holder(name)
        if holder is not None:
            lines = (self.machine.read(holder) or "").splitlines(keepends=True)
            last = max(index for index, each in enumerate(lines) if _sets(each, name))
            lines[last] = line
            self.machine.tree.write(holder, "".join(lines))
            return
        file = (self.files or list(_DEFAULT_FILES))[0]
        content = self.machine.read(file)
        if content is None:
            self.err += f"awk: can't open file {file}\n source line number 1\n"
            self.machine.tree.write(file, f"\n{line}")
            return
        ending = "" if not content or content.endswith("\n") else "\n"
        self.machine.tree.write(file, f"{content}{ending}{line}")

    def dump(self, *, everything: bool) -> None:
        conf = self.conf()
        if self.broken(conf):
            return
        for name, value in sorted(conf.variables.items()):
            if everything or self._holder(name) is not None:
                self.out += self._line(name, value)

    def list_files(self) -> None:
        for file in self._candidates():
            self.out += f"{file}\n"


def _sets(line: str, name: str) -> bool:
    return re.match(rf"\s*{re.escape(name)}=", line) is not None


def _merged(before: str, operator: str, value: str) -> str:
    """Add to or take from a list; the first character is the separator unless it could begin a word."""
    if not value:
        return before
    separator, item = (" ", value) if re.match(r"[A-Za-z0-9./]", value) else (value[0], value[1:])
    present = [part for part in before.split(separator) if part]
    items = [part for part in item.split(separator) if part]
    if operator == "+=":
        return separator.join([*present, *(part for part in items if part not in present)])
    return separator.join(part for part in present if part not in items)


def run(machine: Machine, call: Call) -> Reply:
    """Run sysrc."""
    shape = machine.release.sysrc
    if shape is None:
        return failure("sysrc: not found", 127)
    work = _Run(machine, shape, call.is_root)
    words = list(call.args)
    while words and words[0].startswith("-") and len(words[0]) > 1:
        option = words.pop(0)
        if option == "--version":
            return text(f"{shape.version}\n", status=1 if shape.unknown_status == 0 else 0)
        if option.startswith("--"):
            return failure(shape.usage)
        for position, letter in enumerate(option[1:], start=1):
            if letter in "fRj":
                argument = option[position + 1 :] or (words.pop(0) if words else "")
                if letter == "f":
                    work.files.append(f"/{machine.tree.path(argument, call.cwd).relative_to(machine.root)}")
                break
            if letter == "h":
                return failure(shape.usage)
            work.flags.add(letter)
    return _perform(work, words)


def _perform(work: _Run, words: list[str]) -> Reply:
    if work.flags & {"l", "L"}:
        conf = work.conf()
        if conf.complete:
            work.list_files()
        elif "L" in work.flags:
            work.err += "".join(f"{message}\n" for message in conf.messages)
    elif work.flags & {"a", "A"}:
        work.dump(everything="A" in work.flags)
    elif not words:
        return failure(work.shape.usage)
    for word in words if not work.flags & {"a", "A", "l", "L"} else ():
        found = _OPERATION.match(word)
        if "x" in work.flags:
            work.delete(word)
        elif found is not None:
            name, operator, value = found["name"], found["operator"], found["value"]
            work.assign(name, operator, value)
        else:
            work.query(word)
        if work.err.endswith(f"{_BROKEN}\n"):
            break
    return text(work.out, stderr=work.err, status=work.status)
