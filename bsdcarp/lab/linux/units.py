"""Unit files as systemd reads them: where they are, what is in them, and which are enabled (systemd.unit(5))."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bsdcarp.lab.filetree import FileTree

__all__ = ["PLACES", "Unit", "UnitFiles"]

_ADMIN = "/etc/systemd/system"
PLACES = (
    "/etc/systemd/system.control",
    _ADMIN,
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
)
"""First wins (systemd.unit(5))."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as it was read: ``settings`` has all values by section and key, in order."""

    name: str
    path: str
    dropins: tuple[str, ...]
    text: str
    settings: Mapping[tuple[str, str], tuple[str, ...]]

    def last(self, section: str, key: str, default: str = "") -> str:
        values = self.settings.get((section, key), ())
        return values[-1] if values else default

    @property
    def title(self) -> str:
        """How messages call it: name and description."""
        description = self.last("Unit", "Description")
        return f"{self.name} - {description}" if description else self.name


class UnitFiles:
    """The unit files of one machine."""

    def __init__(self, tree: FileTree) -> None:
        self._tree = tree

    def read(self, name: str) -> Unit | None:
        """Read a unit with its drop-ins; None when there is no file, or it is masked."""
        path = self.find(name)
        if path is None or self.masked(name):
            return None
        dropins = tuple(self._dropins(name))
        texts = [self._tree.read(each) or "" for each in (path, *dropins)]
        return Unit(name, path, dropins, "\0".join(texts), _settings("\n".join(texts)))

    def find(self, name: str) -> str | None:
        """The path of the unit's file, inside the machine."""
        return next((f"{place}/{name}" for place in PLACES if _there(self._tree.path(f"{place}/{name}"))), None)

    def masked(self, name: str) -> bool:
        path = self.find(name)
        if path is None:
            return False
        real = self._tree.path(path)
        return real.is_symlink() and str(real.readlink()) == "/dev/null"

    def state(self, name: str) -> str:
        """``enabled``, ``disabled``, ``static`` or ``masked``; empty when there is no such file."""
        if self.find(name) is None:
            return ""
        if self.masked(name):
            return "masked"
        if any(_there(link) for link, _target in self._links(name)):
            return "enabled"
        return "disabled" if self.wanted_by(name) else "static"

    def wanted_by(self, name: str) -> tuple[str, ...]:
        """The targets that [Install] names."""
        unit = self.read(name)
        return () if unit is None else unit.settings.get(("Install", "WantedBy"), ())

    def enable(self, name: str) -> list[tuple[str, str]]:
        """Make the links of [Install]; return those that are new, as (link, target)."""
        made: list[tuple[str, str]] = []
        for link, target in self._links(name):
            if not _there(link):
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(target)
                made.append((f"/{link.relative_to(self._tree.root)}", target))
        return made

    def disable(self, name: str) -> list[str]:
        """Remove every link to a unit, whatever target it is in; return what went."""
        gone: list[str] = []
        for link in sorted(folder / name for folder in self._tree.path(_ADMIN).glob("*.wants")):
            if not _there(link):
                continue
            link.unlink()
            gone.append(f"/{link.relative_to(self._tree.root)}")
        return gone

    def mask(self, name: str) -> str | None:
        """Link a unit to /dev/null; None when a file is in the way."""
        link = self._tree.path(f"{_ADMIN}/{name}")
        if _there(link):
            return None
        link.symlink_to("/dev/null")
        return f"{_ADMIN}/{name}"

    def unmask(self, name: str) -> str | None:
        if not self.masked(name):
            return None
        self._tree.path(f"{_ADMIN}/{name}").unlink()
        return f"{_ADMIN}/{name}"

    def enabled(self, target: str = "multi-user.target") -> list[str]:
        """The units that ``target`` wants, in order of their names."""
        found = {link.name for place in PLACES for link in self._tree.path(place).glob(f"{target}.wants/*")}
        return sorted(name for name in found if self.find(name) is not None)

    def _links(self, name: str) -> Iterator[tuple[Path, str]]:
        path = self.find(name) or ""
        for target in self.wanted_by(name):
            yield self._tree.path(f"{_ADMIN}/{target}.wants/{name}"), path

    def _dropins(self, name: str) -> Iterator[str]:
        seen: dict[str, str] = {}
        for place in reversed(PLACES):
            folder = self._tree.path(f"{place}/{name}.d")
            for path in sorted(folder.glob("*.conf")) if folder.is_dir() else ():
                seen[path.name] = f"{place}/{name}.d/{path.name}"
        return (seen[key] for key in sorted(seen))


def _there(path: Path) -> bool:
    # A link to /usr/lib/... points out of the tree, so exists() would look on the wrong machine.
    return path.is_symlink() or path.is_file()


def _settings(text: str) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    section = ""
    for line in text.replace("\\\n", " ").splitlines():
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        if stripped.startswith("["):
            section = stripped.strip("[]")
            continue
        key, _, value = stripped.partition("=")
        where = (section, key.strip())
        values = value.split() if where == ("Install", "WantedBy") else [value.strip()]
        # An empty assignment forgets what was there (systemd.syntax(7)).
        found[where] = (*found.get(where, ()), *values) if value.strip() else ()
    return found
