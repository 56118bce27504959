"""What a Linux host's files say about its next boot: sysctl.d, Debian's interfaces(5), systemd.network(5).

Only what can be known is told: an interface that none of these files mentions may be brought up by something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from fnmatch import fnmatchcase

from bsdcarp.dataclass import dataclass

__all__ = ["Assignment", "Idle", "assignments", "deciding", "idle_interface"]

_DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d")
"""sysctl.d(5): of files with one name, the one in the earlier directory counts."""
_LAST = "/etc/sysctl.conf"
"""``sysctl --system`` reads it last, and Debian links it as 99-sysctl.conf."""
_INTERFACES = "/etc/network/interfaces"
_NETWORKD = "/etc/systemd/network/"
_KEPT_DOWN = frozenset({"manual", "down", "always-down"})


@dataclass(frozen=True, slots=True)
class Assignment:
    """One line of a sysctl file; ``name`` is a path below /proc/sys, maybe with a pattern in it."""

    name: str
    value: str
    path: str
    line: int


def assignments(files: Mapping[str, str]) -> list[Assignment]:
    """Return the lines of all sysctl files in the order in which they are applied."""
    chosen: dict[str, str] = {}
    for directory in reversed(_DIRECTORIES):
        for path in files:
            if path.rpartition("/")[0] == directory:
                chosen[path.rpartition("/")[2]] = path
    paths = [chosen[name] for name in sorted(chosen)] + [_LAST] * (_LAST in files)
    return [entry for path in paths for entry in _lines(path, files[path])]


def _lines(path: str, text: str) -> Iterator[Assignment]:
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, value = line.strip().partition("=")
        if equals and name[:1] not in ("#", ";"):
            yield Assignment(_slashed(name.strip().removeprefix("-")), value.strip(), path, number)


def _slashed(name: str) -> str:
    """Return a name in slash form: the first separator says which of the two it is in (sysctl.d(5))."""
    first = next((ch for ch in name if ch in "./"), "/")
    return name.translate(str.maketrans("./", "/.")) if first == "." else name


def deciding(name: str, entries: list[Assignment]) -> Assignment | None:
    """Return the line that decides ``name``: the last that names it, or else the last whose pattern matches."""
    plain = [entry for entry in entries if entry.name == name]
    matching = [entry for entry in entries if fnmatchcase(name, entry.name)]
    return next(reversed(plain or matching), None)


@dataclass(frozen=True, slots=True)
class Idle:
    """Why an interface would not be brought up, and the file and line that say so."""

    reason: str
    remedy: str
    path: str
    line: int = 0


@dataclass(slots=True)
class _IfUpDown:
    started: list[str] = field(default_factory=list)
    """Names and patterns after ``auto`` and ``allow-hotplug``."""
    stanzas: dict[str, tuple[str, int]] = field(default_factory=dict)


def idle_interface(name: str, files: Mapping[str, str]) -> Idle | None:
    """Return why ``name`` would not come up by itself; None where it would, or nobody can know."""
    return _ifupdown(name, files) or _networkd(name, files)


def _ifupdown(name: str, files: Mapping[str, str]) -> Idle | None:
    found = _IfUpDown()
    for path in sorted(path for path in files if path.startswith(_INTERFACES)):
        for number, line in enumerate(files[path].replace("\\\n", " ").splitlines(), 1):
            words = line.split()
            if words[:1] == ["auto"] or (words and words[0].startswith("allow-") and words[0] != "allow-manual"):
                found.started += words[1:]
            elif words[:1] == ["iface"] and len(words) > 1:
                found.stanzas.setdefault(words[1], (path, number))
    if name not in found.stanzas or any(name == p or fnmatchcase(name, p.lstrip("/")) for p in found.started):
        return None
    return Idle("no auto or allow-hotplug names it", f"write auto {name}", *found.stanzas[name])


def _networkd(name: str, files: Mapping[str, str]) -> Idle | None:
    """The first file in order of names whose [Match] fits is the one that counts."""
    for path in sorted(path for path in files if path.startswith(_NETWORKD)):
        keys = dict(_unit_keys(files[path]))
        patterns, _ = keys.get("Match.Name", ("", 0))
        if not any(fnmatchcase(name, pattern) for pattern in patterns.split()):
            continue
        policy, line = keys.get("Link.ActivationPolicy", ("", 0))
        if policy in _KEPT_DOWN:
            return Idle(f"ActivationPolicy={policy}", "drop that line", path, line)
        unmanaged, line = keys.get("Link.Unmanaged", ("", 0))
        if unmanaged in ("yes", "true", "1", "on"):
            return Idle("Unmanaged=yes, so systemd-networkd leaves it down", "drop that line", path, line)
        return None
    return None


def _unit_keys(text: str) -> Iterator[tuple[str, tuple[str, int]]]:
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        if bare.startswith("[") and bare.endswith("]"):
            section = bare[1:-1]
        elif "=" in bare and bare[0] not in "#;":
            key, _, value = bare.partition("=")
            yield f"{section}.{key.strip()}", (value.strip(), number)
