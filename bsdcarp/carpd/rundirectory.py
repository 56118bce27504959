"""The daemon's own directory, for its socket and its journal.  The journal's lock keeps a second daemon out."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bsdcarp.carpd.errors import CarpdError

__all__ = ["DEFAULT", "prepare"]

DEFAULT = "/run/bsdcarp"


def prepare(path: str) -> None:
    """Make the directory if need be, for nobody but its owner.  Raise ``CarpdError``."""
    try:
        Path(path).mkdir(0o700, parents=True, exist_ok=True)
        found = Path(path).lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise CarpdError("not a directory", place=path)
        if found.st_uid != os.geteuid():
            raise CarpdError(f"belongs to uid {found.st_uid}", place=path, remedy="remove it or name another one")
        if stat.S_IMODE(found.st_mode) != 0o700:
            Path(path).chmod(0o700)
    except OSError as error:
        raise CarpdError(error.strerror or str(error), place=path) from None
