"""sysctl(8) of procps, and the files that systemd-sysctl applies at boot (recorded with procps 4.0.2)."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bsdcarp.lab.reply import Call, Reply, text

if TYPE_CHECKING:
    from bsdcarp.lab.filetree import FileTree
    from bsdcarp.lab.linux.machine import LinuxMachine
    from bsdcarp.lab.linux.proc import Proc

__all__ = ["apply_files", "run"]

_PLACES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d")
_SWAP = str.maketrans("./", "/.")


def path_of(name: str) -> str:
    """Turn net.ipv4.ip_forward or net/ipv4/ip_forward into the latter; the first separator says which it is."""
    first = next((character for character in name if character in "./"), "/")
    return name.translate(_SWAP) if first == "." else name


def name_of(path: str) -> str:
    return path.translate(_SWAP)


def settings_of(content: str) -> Iterable[tuple[str, str, bool]]:
    """Yield (path, value, whether failures are ignored) for each line of a sysctl.d(5) file."""
    for line in content.splitlines():
        stripped = line.strip()
        if not stripped or stripped[0] in "#;" or "=" not in stripped:
            continue
        key, _, value = stripped.partition("=")
        yield path_of(key.strip().removeprefix("-").strip()), value.strip(), key.strip().startswith("-")


def files_in_order(tree: FileTree) -> list[str]:
    """The files of sysctl.d(5) as they are applied: by name, the first place that has a name counting."""
    found: dict[str, str] = {}
    for place in reversed(_PLACES):
        folder = tree.path(place)
        names = sorted(each.name for each in folder.glob("*.conf")) if folder.is_dir() else []
        found |= {name: f"{place}/{name}" for name in names}
    return [found[name] for name in sorted(found)]


def apply_files(tree: FileTree, proc: Proc, *, prefix: str = "") -> list[str]:
    """Do what systemd-sysctl does, for names that begin with ``prefix``; return its complaints."""
    complaints: list[str] = []
    for path in files_in_order(tree):
        for key, value, ignored in settings_of(tree.read(path) or ""):
            targets = [each for each in proc.all() if fnmatch.fnmatchcase(each, key)] if "*" in key else [key]
            for target in targets:
                if not target.startswith(prefix):
                    continue
                try:
                    proc.set(target, value)
                except FileNotFoundError:
                    continue  # of an interface that is not there yet, or never will be
                except (PermissionError, ValueError):
                    if not ignored:
                        complaints.append(f"Couldn't write '{value}' to '{target}': Invalid argument")
    return complaints


@dataclass(slots=True)
class _Run:
    machine: LinuxMachine
    is_root: bool
    flags: set[str] = field(default_factory=set)
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    status: int = 0

    def complain(self, line: str) -> None:
        self.err.append(f"sysctl: {line}\n")
        self.status = 1

    def missing(self, path: str) -> None:
        if "e" not in self.flags:
            self.complain(f"cannot stat /proc/sys/{path}: No such file or directory")

    def show(self, word: str) -> None:
        path = path_of(word)
        proc = self.machine.proc
        below = [each for each in proc.all() if each.startswith(f"{path}/")] if proc.is_directory(path) else [path]
        for each in below:
            value = proc.get(each)
            if value is None:
                self.missing(each)
            else:
                self.print(each, value)

    def print(self, path: str, value: str) -> None:
        if "N" in self.flags:
            self.out.append(f"{name_of(path)}\n")
        elif "n" in self.flags:
            self.out.append(f"{value}\n")
        elif "b" in self.flags:
            self.out.append(value)
        else:
            self.out.append(f"{name_of(path)} = {value}\n")

    def write(self, path: str, value: str, *, ignored: bool = False) -> None:
        if not self.is_root and self.machine.proc.get(path) is not None:
            self.complain(f'permission denied on key "{name_of(path)}"')
            return
        try:
            self.machine.proc.set(path, value)
        except FileNotFoundError:
            self.missing(path)
        except PermissionError:
            if not ignored:
                self.complain(f'permission denied on key "{name_of(path)}"')
        except ValueError:
            if not ignored:
                self.complain(f'setting key "{name_of(path)}": Invalid argument')
        else:
            if "q" not in self.flags:
                self.print(path, value)

    def load(self, path: str) -> None:
        content = self.machine.read(path)
        if content is None:
            self.complain(f'cannot open "{path}": No such file or directory')
            return
        for line in content.splitlines():
            stripped = line.strip()
            if stripped and stripped[0] not in "#;" and "=" not in stripped:
                self.err.append(f"sysctl: {path}(5): invalid syntax, continuing...\n")
        for key, value, ignored in settings_of(content):
            self.write(key, value, ignored=ignored)


_USAGE = "\nUsage:\n sysctl [options] [variable[=value] ...]\n\nFor more details see sysctl(8).\n"
_LONG = {
    "--all": "a", "--ignore": "e", "--names": "N", "--values": "n", "--load": "p", "--system": "S", "--quiet": "q",
    "--write": "w", "--binary": "b",
}  # fmt: skip


def run(machine: LinuxMachine, call: Call) -> Reply:
    """Run sysctl."""
    work = _Run(machine, call.is_root)
    words: list[str] = []
    for word in call.args:
        name, _, value = word.partition("=")
        if name in _LONG:
            work.flags.add(_LONG[name])
            words += [value] if value else []
        elif word.startswith("--"):
            return text(stderr=f"sysctl: unrecognized option '{word}'\n{_USAGE}", status=1)
        elif word.startswith("-") and len(word) > 1:
            if unknown := set(word[1:]) - set("aAXbeNnpfqwoxSr"):
                return text(stderr=f"sysctl: invalid option -- '{min(unknown)}'\n{_USAGE}", status=1)
            work.flags |= set(word[1:])
        else:
            words.append(word)
    if work.flags & {"S"}:
        for path in [*files_in_order(machine.tree), "/etc/sysctl.conf"]:
            work.out.append(f"* Applying {path} ...\n")
            work.load(path)
    elif work.flags & {"p", "f"}:
        for path in words or ["/etc/sysctl.conf"]:
            work.load(path)
    elif work.flags & {"a", "A", "X"}:
        for path in machine.proc.all():
            work.print(path, machine.proc.get(path) or "")
    elif not words:
        return text(stderr=_USAGE, status=1)
    for word in [] if work.flags & {"p", "f", "S"} else words:
        name, assigns, value = word.partition("=")
        if assigns:
            work.write(path_of(name.strip()), value.strip())
        elif "w" in work.flags:
            work.complain("command line(0): invalid syntax, continuing...")
        else:
            work.show(word)
    return text("".join(work.out), stderr="".join(work.err), status=work.status)
