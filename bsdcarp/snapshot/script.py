"""The script that reads a host, completed with its marker and the files that only some hosts have."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from bsdcarp.hostlock import waits_program
from bsdcarp.shellwords import quote

__all__ = ["read_script"]


@cache
def _body() -> str:
    return waits_program() + (files("bsdcarp.snapshot") / "read_host.sh").read_text(encoding="utf-8")


def read_script(token: str, more_files: Iterable[str] = ()) -> bytes:
    """Return the script for /bin/sh -s.  ``token`` (hexadecimal digits) marks the sections of its answer.

    ``more_files`` are absolute paths without blanks, read beside the usual ones: the kernel configuration and
    bsdcarp's own record on that host.
    """
    listed = " ".join(more_files)
    return f"T={quote(token)}\nFILES={quote(listed)}\n{_body()}\nread_host </dev/null\n".encode()
