"""Kernel files and modules: what kldload, kldunload and kldstat work on (sys/kern/kern_linker.c)."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field

from bsdcarp.lab.errnos import kernel_error

__all__ = ["NEEDS_OTHER_KERNEL", "KernelFile", "Linker", "module_of"]

NEEDS_OTHER_KERNEL = "needs kernel "
"""A line of a module file that begins so makes it a module of another kernel."""

_BASE = 0xFFFFFFFF80200000
_LOADED_AT = 0xFFFFFFFF80F11000


def module_of(file: str) -> str:
    """Name the module inside a file: if_carp.ko of FreeBSD 8 and 9 holds the module ``carp``."""
    stem = file.removesuffix(".ko")
    return "carp" if stem == "if_carp" else stem


@dataclass(slots=True)
class KernelFile:
    """One line of kldstat; ``modules`` maps module name -> module id."""

    ident: int
    name: str
    path: str
    address: int
    size: int
    modules: dict[str, int] = field(default_factory=dict)


class Linker:
    """The files of a running kernel.

    ``read`` returns the text of a file of the machine, or None.  A module file that says it needs another kernel does
    not load, as one that was built for another does not.  ``clash`` is the message of a module that is in the kernel
    already, as a format of ``module`` and ``file``.
    """

    def __init__(
        self,
        directory: str,
        builtin: dict[str, int],
        next_module: int,
        read: Callable[[str], str | None],
        complain: Callable[[str], None],
        clash: str,
    ) -> None:
        self.path = (f"/boot/{directory}", "/boot/modules")
        self.files = [KernelFile(1, "kernel", f"/boot/{directory}/kernel", _BASE, 0xA64AE8, dict(builtin))]
        self._next_module = next_module
        self._read = read
        self._complain = complain
        self._clash = clash

    def locate(self, name: str) -> str | None:
        """Find the path of a module file, given as ``carp``, ``carp.ko`` or a path."""
        file = name if name.endswith(".ko") else f"{name}.ko"
        candidates = (file,) if "/" in file else tuple(f"{directory}/{file}" for directory in self.path)
        return next((path for path in candidates if self._read(path) is not None), None)

    def find_file(self, name: str) -> KernelFile | None:
        """Find a loaded file by ``carp``, ``carp.ko`` or ``kernel``."""
        wanted = {name, f"{name}.ko"}
        return next((file for file in self.files if file.name in wanted), None)

    def find_module(self, module: str) -> int | None:
        """Return the id of a module, loaded or compiled in."""
        return next((file.modules[module] for file in self.files if module in file.modules), None)

    def load(self, name: str, *, by_loader: bool = False) -> KernelFile:
        """Load a module file.

        Raises ENOENT when there is no such file, EEXIST when it is loaded or its module is in the kernel, ENOEXEC when
        it needs another kernel.
        """
        if self.find_file(name.rsplit("/", 1)[-1]) is not None:
            raise kernel_error(errno.EEXIST)
        path = self.locate(name)
        if path is None:
            raise kernel_error(errno.ENOENT)
        file = path.rsplit("/", 1)[-1]
        if NEEDS_OTHER_KERNEL in (self._read(path) or ""):
            self._complain(f"KLD {file}: depends on kernel - not available or version mismatch")
            raise OSError(errno.ENOEXEC, "Exec format error")
        module = module_of(file)
        if self.find_module(module) is not None:
            self._complain(self._clash.format(module=module, file=file))
            self._complain(f"Module {module} failed to register: 17")
            raise kernel_error(errno.EEXIST)
        ident = max(each.ident for each in self.files) + 1
        loaded = KernelFile(ident, file, path, _LOADED_AT + 0x10000 * (ident - 2), 0x5E70)
        loaded.modules[module] = ident - 1 if by_loader else self._next_module
        self._next_module += 0 if by_loader else 1
        self.files.append(loaded)
        return loaded

    def unload(self, name: str) -> KernelFile:
        """Forget a file.  Raises ENOENT; whether its module may go is decided before."""
        file = self.find_file(name)
        if file is None or file.ident == 1:
            raise kernel_error(errno.ENOENT)
        self.files.remove(file)
        return file

    def references(self, file: KernelFile) -> int:
        """Return the reference count that kldstat shows: two more on the kernel for each module."""
        return 1 + 2 * (len(self.files) - 1) if file.ident == 1 else 1
