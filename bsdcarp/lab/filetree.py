"""A directory that is the root of a simulated machine: every path given here is one of the machine's."""

from __future__ import annotations

import posixpath
from pathlib import Path

__all__ = ["FileTree"]


class FileTree:
    """Access to the files below ``root``.  Text is decoded so that any bytes survive a round trip."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str, cwd: str = "/") -> Path:
        """Turn a path inside the machine into one of the lab's host; ``..`` cannot leave the root."""
        base = str(self.root)
        if name == base or name.startswith(base + "/"):
            name = name.removeprefix(base) or "/"
        inside = posixpath.normpath(posixpath.join("/", cwd, name)).lstrip("/")
        return self.root / inside

    def read(self, name: str, cwd: str = "/") -> str | None:
        """Return the text of a file, or None when it cannot be read."""
        try:
            return self.path(name, cwd).read_bytes().decode("utf-8", "surrogateescape")
        except OSError:
            return None

    def write(self, name: str, text: str, cwd: str = "/") -> None:
        """Replace the text of a file, keeping its mode, and making its directories."""
        path = self.path(name, cwd)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8", "surrogateescape"))

    def append(self, name: str, text: str) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(text.encode("utf-8", "surrogateescape"))

    def exists(self, name: str) -> bool:
        return self.path(name).exists()
