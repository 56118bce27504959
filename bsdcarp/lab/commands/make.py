"""make(1) in /usr/src: buildkernel and installkernel, at once and without a compiler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bsdcarp.errors import LabError
from bsdcarp.lab.kernconf import expand
from bsdcarp.lab.reply import Call, Reply, failure, text

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine

__all__ = ["make"]


def make(machine: Machine, call: Call) -> Reply:
    """Build and install a kernel; the plain installkernel moves /boot/kernel to /boot/kernel.old first."""
    words = list(call.args)
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    targets = [word for word in words if "=" not in word and not word.startswith("-")]
    if "-C" in words and words.index("-C") + 1 < len(words):
        targets.remove(words[words.index("-C") + 1])
    unknown = [target for target in targets if target not in {"buildkernel", "installkernel", "kernel"}]
    if unknown or not targets:
        return failure(f"make: don't know how to make {unknown[0] if unknown else 'all'}. Stop", 2)
    configuration = settings.get("KERNCONF", "GENERIC")
    tree = machine.tree
    try:
        expand(configuration, tree.read, tree.configurations)
    except LabError as error:
        return failure(f"ERROR: Missing kernel configuration file(s) ({configuration}). {error.cause}", 2)
    if "installkernel" in targets or "kernel" in targets:
        if not call.is_root:
            return failure("install: /boot: Permission denied", 71)
        directory = settings.get("INSTKERNNAME", "kernel")
        old = tree.path("/boot/kernel.old")
        if directory == "kernel" and tree.exists("/boot/kernel"):
            for leftover in old.glob("*") if old.is_dir() else ():
                leftover.unlink()
            if old.is_dir():
                old.rmdir()
            tree.path("/boot/kernel").rename(old)
        tree.install_kernel(configuration, directory)
    return text(f">>> Kernel {' '.join(targets)} for {configuration} completed\n")
