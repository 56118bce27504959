"""The script that reads a host, completed with its marker and the files that only some hosts have."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from bsdcarp.hostlock import waits_program
from bsdcarp.shellwords import bare, quote

__all__ = ["read_script", "salt"]


@cache
def _body() -> str:
    return waits_program() + bare((files("bsdcarp.snapshot") / "read_host.sh").read_text(encoding="utf-8"))


def read_script(token: str, more_files: Iterable[str] = ()) -> bytes:
    """Return the script for /bin/sh -s.  ``token`` (hexadecimal digits) marks the sections of its answer.

    ``more_files`` are absolute paths without blanks, read beside the usual ones: the kernel configuration and
    bsdcarp's own record on that host.
    """
    listed = " ".join(more_files)
    head = f"T={quote(token)}\nSALT={quote(salt(token))}\nFILES={quote(listed)}\n"
    return f"{head}{_body()}\nread_host </dev/null\n".encode()


def salt(token: str) -> str:
    """Return a way to say ``/`` that nobody guesses: 64 bits of ``token``, each ``/.`` or ``//.``."""
    return f"{int(token[:16], 16):064b}".replace("1", "//.").replace("0", "/.")
