"""make(1) in /usr/src: buildkernel and installkernel, without a compiler.

A build writes its log line by line, as long as ``Machine.compiler`` says, and leaves a kernel in /usr/obj; an
installation takes it from there.  The words are those of Makefile.inc1 of FreeBSD 12.1.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bsdcarp.errors import LabError
from bsdcarp.lab.kernconf import expand, kernel_file
from bsdcarp.lab.reply import Call, Reply, failure, text

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine

__all__ = ["Compiler", "make"]

_TARGETS = frozenset({"buildkernel", "installkernel", "kernel"})
_STAGES = (
    ">>> stage 1: configuring the kernel",
    ">>> stage 2.1: cleaning up the object tree",
    ">>> stage 2.2: rebuilding the object tree",
    ">>> stage 2.3: build tools",
    ">>> stage 3.1: building everything",
)
_MODULES = ("bridgestp", "carp", "if_bridge", "if_epair", "if_lagg", "nullfs", "pf", "pflog", "pfsync")


@dataclass(slots=True)
class Compiler:
    """How the compiler of a machine behaves."""

    pause: float = 0.0
    """Seconds between the lines of a log."""
    error: str = ""
    """What a build stops with, instead of ending well."""


def make(machine: Machine, call: Call) -> Reply:
    """Build and install a kernel; the plain installkernel moves /boot/kernel to /boot/kernel.old first."""
    words = list(call.args)
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    targets = [word for word in words if "=" not in word and not word.startswith("-")]
    if "-C" in words and words.index("-C") + 1 < len(words):
        targets.remove(words[words.index("-C") + 1])
    unknown = [target for target in targets if target not in _TARGETS]
    if unknown or not targets:
        return failure(f"make: don't know how to make {unknown[0] if unknown else 'all'}. Stop", 2)
    configuration = settings.get("KERNCONF", "GENERIC")
    try:
        config = expand(configuration, machine.tree.read, machine.tree.configurations)
    except LabError as error:
        return failure(f"ERROR: Missing kernel configuration file(s) ({configuration}). {error.cause}", 2)
    built = f"/usr/obj/usr/src/sys/{configuration}/kernel"
    installs = bool({"installkernel", "kernel"} & set(targets))
    if targets == ["buildkernel"]:
        return _build(machine, configuration, built, config)
    if "buildkernel" in targets or "kernel" in targets:
        machine.tree.write(built, kernel_file(config))
    if not installs:
        return text()
    if not call.is_root:
        return failure("install: /boot: Permission denied", 71)
    if not machine.tree.exists(built):
        return failure(f'ERROR: No kernel "{configuration}" to install.\n*** Error code 1\n\nStop.', 1)
    _install(machine, configuration, settings)
    return text(f">>> Kernel {' '.join(targets)} for {configuration} completed\n")


def _build(machine: Machine, configuration: str, built: str, config: str) -> Reply:
    """Let the caller's shell write the log, so that a slow build outlives nothing but what started it."""
    lines = [*_STAGES]
    for module in _MODULES:
        lines += [f"===> {module} (all)", f"cc -c -O2 -pipe {module}.c", f"Building /usr/obj/usr/src/{module}.ko"]
    compiler = machine.compiler
    if compiler.error:
        lines = [*lines[: len(lines) // 2], *compiler.error.splitlines(), "*** Error code 1", "", "Stop."]
    else:
        lines.append(f">>> Kernel build for {configuration} completed")
    step = f"\nsleep {compiler.pause}\n" if compiler.pause else "\n"
    script = step.join(f"echo {shlex.quote(line)}" for line in lines)
    if compiler.error:
        return Reply(script=f"{script}\nexit 2")
    target = machine.tree.path(built)
    done = f"mkdir -p {shlex.quote(str(target.parent))}\nprintf %s {shlex.quote(kernel_file(config))} >"
    return Reply(script=f"{script}\n{done}{shlex.quote(str(target))}")


def _install(machine: Machine, configuration: str, settings: dict[str, str]) -> None:
    """Install where KODIR says, or below /boot as INSTKERNNAME says; DESTDIR comes before either."""
    tree = machine.tree
    directory = settings.get("KODIR") or f"/boot/{settings.get('INSTKERNNAME', 'kernel')}"
    place = tree.path(f"{settings.get('DESTDIR', '')}{directory}")
    if directory == "/boot/kernel" and place.is_dir():
        old = place.with_name("kernel.old")
        _remove(old)
        place.rename(old)
    else:
        _remove(place)
    tree.install_kernel(configuration, directory, below=settings.get("DESTDIR", ""))


def _remove(directory: Path) -> None:
    for leftover in directory.glob("*") if directory.is_dir() else ():
        leftover.unlink()
    if directory.is_dir():
        directory.rmdir()
