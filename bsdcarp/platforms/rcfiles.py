"""The rc.conf family as one thing: several files read in order, the last assignment wins.

An edit goes where the variable already is (as sysrc(8) does), otherwise into /etc/rc.conf, so that what bsdcarp
writes is what rc will read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from types import MappingProxyType

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import TextFileError
from bsdcarp.snapshot import Snapshot
from bsdcarp.textfiles.rcconf import RcConf

__all__ = ["RC_CONF", "RcFiles", "read_rc_files"]

RC_CONF = "/etc/rc.conf"
_ORDER = (RC_CONF, "/etc/rc.conf.local", "/etc/rc.conf.d/network", "/usr/local/etc/rc.conf.d/network")
_ORDER_WITH_NETIF = (
    RC_CONF,
    "/etc/rc.conf.local",
    "/etc/rc.conf.d/network",
    "/usr/local/etc/rc.conf.d/network",
    "/etc/rc.conf.d/netif",
    "/usr/local/etc/rc.conf.d/netif",
)


@dataclass(frozen=True, slots=True)
class RcFiles:
    """The files by path, in the order rc reads them; /etc/rc.conf is always there, empty if it has to be."""

    files: Mapping[str, RcConf]
    evaluated: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """What sh made of all of them, and of files that only sh found, when the host was read."""

    def home(self, name: str) -> str:
        """Return the path of the last file that assigns ``name`` or may do so, or /etc/rc.conf."""
        return next((path for path in reversed([*self.files]) if self.files[path].line_of(name)), RC_CONF)

    def get(self, name: str) -> str | None:
        """Return the last statically known value of ``name``, or None."""
        return self.files[self.home(name)].get(name)

    def value(self, name: str) -> str | None:
        """Return what ``name`` will be at boot: its known value, or else what sh made of it on the host."""
        known = self.get(name)
        return self.evaluated.get(name) if known is None else known

    def known(self, name: str) -> bool:
        """Whether one of these files assigns ``name`` or may do so."""
        return any(conf.line_of(name) for conf in self.files.values())

    def names(self, pattern: str) -> frozenset[str]:
        """Return the names that are assigned here and match ``pattern`` as a whole."""
        full = re.compile(pattern)
        return frozenset(
            assignment.name
            for conf in self.files.values()
            for assignment in conf.assignments
            if full.fullmatch(assignment.name)
        )

    def edit(self, path: str, change: Callable[[RcConf], RcConf]) -> RcFiles:
        """Return these files with ``change`` made to one.  Raises ``TextFileError`` that names the file."""
        try:
            conf = change(self.files[path])
        except TextFileError as error:
            place = f"{path}, {error.place}" if error.place else path
            raise TextFileError(error.cause, place=place, remedy=error.remedy) from error
        return RcFiles(MappingProxyType({**self.files, path: conf}), self.evaluated)

    def set(self, name: str, value: str, after: str | None = None) -> RcFiles:
        """Return these files with ``name`` set where it lives, a new one behind ``after``.

        Raises ``TextFileError``.
        """
        return self.edit(self.home(name), lambda conf: conf.add(name, value, after))

    def unset(self, name: str) -> RcFiles:
        """Return these files without any assignment of ``name``.  Raises ``TextFileError``."""
        found = self
        for path, conf in self.files.items():
            if conf.line_of(name):
                found = found.unset_in(path, name)
        return found

    def unset_in(self, path: str, name: str) -> RcFiles:
        """Return these files without any assignment of ``name`` in ``path``.  Raises ``TextFileError``."""
        return self.edit(path, lambda conf: conf.unset(name))


def read_rc_files(snapshot: Snapshot | None, *, netif: bool = True) -> RcFiles:
    """Read the rc.conf family out of a snapshot; ``netif`` says whether the release reads rc.conf.d/netif."""
    found = {RC_CONF: RcConf.parse("")}
    files = snapshot.files if snapshot else {}
    for start in _ORDER_WITH_NETIF if netif else _ORDER:
        for path in sorted(p for p in files if p == start or p.startswith(f"{start}/")):
            found[path] = RcConf.parse(files[path].text)
    return RcFiles(MappingProxyType(found), snapshot.rc if snapshot else MappingProxyType({}))
