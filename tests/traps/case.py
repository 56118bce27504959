"""What a boot trap is, as data: the host it is set on, what is done to its files, what persist says, what boots."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = [
    "APPLY",
    "BACK",
    "LOADER",
    "RC",
    "SYSCTL",
    "Edit",
    "Says",
    "Trap",
    "append",
    "copy",
    "cut",
    "error",
    "info",
    "link",
    "live",
    "remove",
    "swap",
    "warning",
    "write",
]

RC, LOADER, SYSCTL = "/etc/rc.conf", "/boot/loader.conf", "/etc/sysctl.conf"


@dataclass(frozen=True)
class Edit:
    """One change to the files of a host, as a hand (or a program that is not ours) makes it."""

    how: Literal["write", "append", "swap", "remove", "copy", "link", "live", "apply", "back"]
    path: str = ""
    text: str = ""
    """The whole text, what is appended, what comes instead of ``old``, where a link leads, what is copied, a command."""
    old: str = ""

    def make(self, root: Path) -> None:
        """Change the file below ``root``."""
        path = root / self.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        match self.how:
            case "append":
                with path.open("a", encoding="utf-8") as file:
                    file.write(self.text)
            case "swap":
                text = path.read_text(encoding="utf-8")
                assert self.old in text, f"{self.path} does not say {self.old!r}:\n{text}"
                path.write_text(text.replace(self.old, self.text), encoding="utf-8")
            case "remove":
                path.unlink()
            case "copy":
                shutil.copy2(root / self.text.lstrip("/"), path)
                os.utime(path)
            case "link":
                path.unlink(missing_ok=True)
                path.symlink_to(self.text)
            case "write":
                path.write_text(self.text, encoding="utf-8")
            case _:
                raise AssertionError(f"{self.how} is no change to a file")


def write(path: str, text: str) -> Edit:
    return Edit("write", path, text)


def append(path: str, text: str) -> Edit:
    return Edit("append", path, text)


def swap(path: str, old: str, new: str) -> Edit:
    """Put ``new`` wherever ``old`` stands; it must stand there."""
    return Edit("swap", path, new, old)


def cut(path: str, text: str) -> Edit:
    return Edit("swap", path, "", text)


def remove(path: str) -> Edit:
    return Edit("remove", path)


def copy(source: str, path: str) -> Edit:
    """Copy a file; the copy is as new as one that was just installed."""
    return Edit("copy", path, source)


def link(path: str, target: str) -> Edit:
    return Edit("link", path, target)


def live(command: str) -> Edit:
    """Run a command on the host, which no file will repeat."""
    return Edit("live", text=command)


APPLY = Edit("apply")
"""Run `bsdcarp apply`."""
BACK = Edit("back")
"""Take back by hand what was done to the files, as persist advises where a line is not bsdcarp's own."""


@dataclass(frozen=True)
class Says:
    """What persist must say before the boot: the rule, how bad it is, the file, and text of the line it points at."""

    severity: Literal["error", "warning", "info"]
    rule: str
    path: str
    line: str = ""
    """Empty where it points at the file as a whole."""


def error(rule: str, path: str, line: str = "") -> Says:
    return Says("error", rule, path, line)


def warning(rule: str, path: str, line: str = "") -> Says:
    return Says("warning", rule, path, line)


def info(rule: str, path: str, line: str = "") -> Says:
    return Says("info", rule, path, line)


@dataclass(frozen=True)
class Trap:
    """One case.  ``site`` names the host (``traps.sites``), ``edits`` set the trap.

    ``shows`` is everything that is not as it was once the host has booted, in the words of ``traps.seen``; empty for a
    remark.  ``cure`` is what makes persist content again, before the boot: `bsdcarp apply` where that can do it.
    """

    name: str
    site: str
    edits: tuple[Edit, ...]
    says: Says
    shows: tuple[str, ...] = ()
    cure: tuple[Edit, ...] = (APPLY,)
