"""The Linux daemon as one file that any Python from 3.8 on runs, made from the modules that are installed here.

The bytes depend on nothing but those modules: names are sorted, dates are fixed, and the contents are stored, since
what a compressor makes of them differs between builds of zlib.  A plan can therefore compare the file on a host with
this one.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from zipfile import ZIP_STORED, ZipFile, ZipInfo

__all__ = ["carpd_zipapp"]

_SHEBANG = b"#!/usr/bin/env python3\n"
_MAIN = """\
import sys

if sys.version_info < (3, 8):
    sys.exit("carpd: needs Python 3.8 or newer")

from bsdcarp.carpd.app import main

sys.exit(main())
"""
_PACKAGES = ("carp", "carpd")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date a zip file can have
_UNIX = 3
_MODE = 0o100644 << 16


def carpd_zipapp() -> bytes:
    """Return the program: a zip file with a first line for execve(2), to be installed with mode 0755."""
    root = files("bsdcarp")
    contents = {"__main__.py": _MAIN.encode("ascii"), "bsdcarp/__init__.py": (root / "__init__.py").read_bytes()}
    for package in _PACKAGES:
        contents.update(_modules(root / package, f"bsdcarp/{package}"))
    made = io.BytesIO()
    made.write(_SHEBANG)
    with ZipFile(made, "a", ZIP_STORED) as archive:
        for name, content in sorted(contents.items()):
            entry = ZipInfo(name, _EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _MODE
            archive.writestr(entry, content)
    return made.getvalue()


def _modules(directory: Traversable, name: str) -> Iterator[tuple[str, bytes]]:
    for entry in directory.iterdir():
        stem, dot, suffix = entry.name.partition(".")
        if entry.is_dir() and stem != "__pycache__":
            yield from _modules(entry, f"{name}/{entry.name}")
        elif dot and suffix == "py" and stem.isidentifier():
            yield f"{name}/{entry.name}", entry.read_bytes()
