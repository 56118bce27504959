"""kldload(8), kldunload(8) and kldstat(8), as recorded on FreeBSD 9.3, 10.4 and 12.1."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from bsdcarp.lab.linker import KernelFile
from bsdcarp.lab.reply import Call, Reply, failure, text

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine

__all__ = ["kldload", "kldstat", "kldunload", "kldxref"]

_NOT_EXECUTABLE = "an error occurred while loading the module. Please check dmesg(8) for more details."


def _options(call: Call, known: str) -> tuple[set[str], list[str]]:
    flags: set[str] = set()
    words = list(call.args)
    while words and words[0].startswith("-"):
        flags |= set(words.pop(0)[1:]) & set(known)
    return flags, words


def kldload(machine: Machine, call: Call) -> Reply:
    flags, names = _options(call, "nvq")
    if not names:
        return failure("usage: kldload [-nqv] file ...", 64)
    out, err, status = "", "", 0
    for name in names:
        try:
            if not call.is_root:
                raise PermissionError(1, "Operation not permitted")
            if machine.kernel.securelevel > 0:
                raise PermissionError(1, "Operation not permitted")
            machine.kernel.load_module(name)
        except FileExistsError:
            if "n" in flags:
                out += f"{name} is already loaded\n" if "v" in flags else ""
                continue
            err += f"kldload: can't load {name}: module already loaded or in kernel\n"
            status = 1
        except OSError as error:
            known = f"can't load {name}: {error.strerror}"
            err += f"kldload: {_NOT_EXECUTABLE if error.errno == errno.ENOEXEC else known}\n"
            status = 1
        else:
            file = machine.kernel.linker.find_file(name.rsplit("/", 1)[-1])
            if "v" in flags and file is not None:
                out += f"Loaded {name}, id={file.ident}\n"
    return text(out, stderr=err, status=status)


def kldunload(machine: Machine, call: Call) -> Reply:
    _flags, names = _options(call, "fvin")
    if not names:
        return failure("usage: kldunload [-fv] [-n] name ...", 64)
    for name in names:
        file = machine.kernel.linker.find_file(name)
        if file is None:
            return failure(f"kldunload: can't find file {name}")
        if not call.is_root:
            return failure("kldunload: can't unload file: Operation not permitted")
        try:
            machine.kernel.unload_module(name)
        except OSError as error:
            return failure(f"kldunload: can't unload file: {error.strerror}")
    return text()


def kldstat(machine: Machine, call: Call) -> Reply:
    linker, shape = machine.kernel.linker, machine.release.kld
    quiet = any(word.startswith("-") and "q" in word for word in call.args)
    verbose = any(word.startswith("-") and "v" in word for word in call.args)
    words = list(call.args)
    for option, what in (("m", "module"), ("n", "file")):
        at = next((i for i, word in enumerate(words) if word.startswith("-") and word.endswith(option)), None)
        if at is None or at + 1 >= len(words):
            continue
        name = words[at + 1]
        if what == "module":
            number = linker.find_module(name)
            if quiet:
                return Reply(status=0 if number is not None else 1)
            if number is None:
                return failure(f"kldstat: can't find module {name}: No such file or directory")
            return text(f"Id  Refs Name\n{number:3d}    1 {name}\n")
        file = linker.find_file(name)
        if quiet and shape.quiet_file:
            return Reply(status=0 if file is not None else 1)
        if file is None:
            return failure(f"kldstat: can't find file {name}: No such file or directory")
        return text(f"{shape.header}\n{_row(machine, file, verbose=verbose)}")
    return text(f"{shape.header}\n" + "".join(_row(machine, file, verbose=verbose) for file in linker.files))


def _row(machine: Machine, file: KernelFile, *, verbose: bool) -> str:
    shape = machine.release.kld
    row = shape.row.format(
        id=file.ident,
        refs=machine.kernel.linker.references(file),
        address=f"0x{file.address:x}",
        size=file.size,
        name=file.name,
    )
    if not verbose:
        return f"{row}\n"
    modules = "".join(shape.module_row.format(id=number, name=name) + "\n" for name, number in file.modules.items())
    return f"{row} ({file.path})\n\tContains modules:\n\t\t Id Name\n{modules}"


def kldxref(machine: Machine, call: Call) -> Reply:
    """Write linker.hints; the lab's loader finds modules without it."""
    for name in (word for word in call.args if not word.startswith("-")):
        if not machine.tree.path(name, call.cwd).is_dir():
            return failure(f"kldxref: {name}: No such file or directory")
        machine.tree.write(f"{name}/linker.hints", "", call.cwd)
    return text()
