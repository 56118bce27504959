"""Lines of ssh_config and known_hosts files, read once however many hosts ask for them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from bsdcarp.errors import SshError

__all__ = ["read_lines"]


def read_lines(path: Path) -> tuple[str, ...] | None:
    """Return the lines of ``path`` without their ends, or None if there is no such file.

    Bytes that are not UTF-8 survive as surrogates.  Raises ``SshError`` for a file that is there but unreadable.
    """
    try:
        stamp = path.stat()
        return _cached(path, stamp.st_mtime_ns, stamp.st_size, stamp.st_ino)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SshError(
            f"cannot be read: {error.strerror}", place=str(path), remedy="check its type, owner and mode"
        ) from error


@lru_cache(maxsize=64)
def _cached(path: Path, _mtime: int, _size: int, _inode: int) -> tuple[str, ...]:
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    # Not splitlines(): a form feed or U+2028 does not end a line for OpenSSH.
    return tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))
