"""A desired host as a directory tree, for review, for images and for mounted boot environments."""

from __future__ import annotations

import os
from pathlib import Path

from bsdcarp.errors import BsdcarpError
from bsdcarp.platforms.desired import Desired

__all__ = ["write_tree"]


def write_tree(desired: Desired, out: Path) -> list[Path]:
    """Write every file of ``desired`` under ``out``/HOST and return the paths.

    Files that hold passwords are readable by their owner alone.  Raises ``BsdcarpError`` when ``out`` cannot be
    written.
    """
    written: list[Path] = []
    contents = {
        path: (file.text.encode("utf-8", "surrogateescape"), 0o600 if file.secret else file.mode)
        for path, file in desired.files.items()
        if file.text is not None
    }
    contents |= {path: (program.data, program.mode) for path, program in desired.programs.items() if program.data}
    for path, (data, mode) in contents.items():
        target = out / desired.host / path.lstrip("/")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.{os.getpid()}")
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
            partial.replace(target)
        except OSError as error:
            raise BsdcarpError(
                f"cannot write: {error.strerror}", place=str(target), remedy="choose another directory with --out"
            ) from error
        written.append(target)
    return written
