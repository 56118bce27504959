"""sysctl(8), as recorded on FreeBSD 9.3, 10.4 and 12.1."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bsdcarp.lab.reply import Call, Reply
from bsdcarp.lab.sysctls import CARP, Oid, leaves

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine

__all__ = ["SysctlRun", "run"]

_NODES = {CARP: "CARP", "kern": "High kernel, proc, limits &c", "net": "Network, (see socket.h)", "hw": "hardware"}
_NUMBER = re.compile(r"\s*[+-]?(0[xX][0-9a-fA-F]+|[0-9]+)\Z")


@dataclass(slots=True)
class SysctlRun:
    """One invocation; also used by the boot, which reads sysctl.conf the same way."""

    machine: Machine
    flags: frozenset[str] = frozenset()
    is_root: bool = True
    out: bytearray = field(default_factory=bytearray)
    err: list[str] = field(default_factory=list)
    status: int = 0
    _oids: list[Oid] = field(default_factory=list)

    @property
    def oids(self) -> list[Oid]:
        """The leaves of the kernel, looked up once for a whole invocation."""
        if not self._oids:
            self._oids = leaves(self.machine.kernel)
        return self._oids

    def complain(self, text: str, line: int = 0) -> None:
        at = f" at line {line}" if line else ""
        self.err.append(f"sysctl: {text}{at}\n")
        self.status = 1

    def say(self, text: str) -> None:
        self.out += text.encode("utf-8", "surrogateescape")

    def one(self, word: str, line: int = 0) -> None:
        """Handle one ``name`` or ``name=value``."""
        name, assigns, value = word.partition("=")
        name = name.rstrip() if line else name
        below = [oid for oid in self.oids if oid.name == name or oid.name.startswith(f"{name}.")]
        if not below or not name:
            if "i" not in self.flags:
                if "q" not in self.flags:
                    self.complain(f"unknown oid '{name}'", line)
                self.status = 1
            return
        if assigns:
            self.assign(below, name, value.strip() if line else value, line)
        else:
            self.show(below, name)

    def assign(self, below: list[Oid], name: str, value: str, line: int) -> None:
        oid = below[0]
        if oid.name != name:
            self.complain(f"oid '{name}' isn't a leaf node", line)
            return
        if oid.write is None:
            self.complain(f"oid '{name}' is read only", line)
            return
        if oid.kind == "integer" and not _NUMBER.match(value):
            self.complain(f"invalid integer '{value}'", line)
            return
        before = oid.read()
        number = 0 if oid.opaque else int(value, 0) if not re.match(r"\s*[+-]?0\d", value) else int(value, 8)
        if not self.is_root:
            self.refuse(oid, name, value, "Operation not permitted", line)
            return
        try:
            oid.write(number)
        except OSError as error:
            self.refuse(oid, name, value, str(error.strerror), line)
            return
        if not oid.opaque and "q" not in self.flags:
            self.say(f"{self._head(oid)}{before} -> {oid.read()}\n")

    def refuse(self, oid: Oid, name: str, value: str, why: str, line: int) -> None:
        self.say(f"{self._head(oid)}{oid.read()}\n")
        self.complain(f"{name}={value}: {why}", line)

    def show(self, below: list[Oid], name: str) -> None:
        if "d" in self.flags and name in _NODES and "n" not in self.flags:
            self.say(f"{name}: {_NODES[name]}\n")
        for oid in below:
            self.show_leaf(oid, alone=oid.name == name)

    def show_leaf(self, oid: Oid, *, alone: bool) -> None:
        if "N" in self.flags:
            self.say(f"{oid.name}\n")
        elif "d" in self.flags:
            self.say(f"{self._head(oid)}{oid.text}\n")
        elif "t" in self.flags:
            self.say(f"{self._head(oid)}{oid.kind}\n")
        elif "b" in self.flags:
            self.out += self._raw(oid)
        elif not oid.opaque or alone:
            self.say(f"{self._head(oid)}{oid.read()}\n")

    def _head(self, oid: Oid) -> str:
        separator = "=" if "e" in self.flags else ": "
        return "" if "n" in self.flags else f"{oid.name}{separator}"

    @staticmethod
    def _raw(oid: Oid) -> bytes:
        if oid.raw is not None:
            return oid.raw()
        return struct.pack("<i", int(oid.read())) if oid.kind == "integer" else oid.read().encode() + b"\0"

    def file(self, path: str) -> None:
        """Apply a sysctl.conf (-f, FreeBSD 10 and later)."""
        text = self.machine.read(path)
        if text is None:
            self.err.append(f"sysctl: {path}: No such file or directory\n")
            self.status = 1
            return
        for number, line in enumerate(text.split("\n"), start=1):
            stripped = line.split("#", 1)[0].strip()
            if stripped:
                name, colon, value = stripped.partition(":")
                pair = stripped if "=" in stripped or not colon else f"{name}={value}"
                key, equals, raw = pair.partition("=")
                raw = raw.strip()
                unquoted = raw[1:-1] if len(raw) > 1 and raw[0] == raw[-1] and raw[0] in "\"'" else raw
                self.one(f"{key.strip()}{equals}{unquoted}", number)

    def reply(self) -> Reply:
        return Reply(bytes(self.out), "".join(self.err).encode("utf-8", "surrogateescape"), self.status)


def run(machine: Machine, call: Call) -> Reply:
    """Run sysctl."""
    release = machine.release
    words = list(call.args)
    flags: set[str] = set()
    files: list[str] = []
    while words and words[0].startswith("-") and len(words[0]) > 1 and not words[0][1].isdigit():
        option = words.pop(0)
        if option == "--":
            break
        for position, letter in enumerate(option[1:], start=1):
            if letter not in release.sysctl_options:
                usage = [f"sysctl: illegal option -- {letter}", *release.sysctl_usage]
                return Reply(stderr=("\n".join(usage) + "\n").encode(), status=1)
            if letter in "fB":
                argument = option[position + 1 :] or (words.pop(0) if words else "")
                if letter == "f":
                    files.append(argument)
                break
            flags.add(letter)
    work = SysctlRun(machine, frozenset(flags), call.is_root)
    if not words and not files and not flags & {"a", "A", "X"}:
        return Reply(stderr=("\n".join(release.sysctl_usage) + "\n").encode(), status=1)
    for path in files:
        work.file(path)
    if flags & {"a", "A", "X"}:
        for oid in work.oids:
            work.show_leaf(oid, alone=False)
    else:
        for word in words:
            work.one(word)
            if work.status and release.sysctl_stops:
                break
    return work.reply()
