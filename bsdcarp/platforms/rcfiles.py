"""The rc.conf family as one thing: several files read in order, the last assignment wins.

An edit goes where the variable already is (as sysrc(8) does), otherwise into /etc/rc.conf, so that what bsdcarp
writes is what rc will read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bsdcarp.snapshot import FileState
from bsdcarp.textfiles.rcconf import RcConf

__all__ = ["RC_CONF", "RcFiles", "read_rc_files"]

RC_CONF = "/etc/rc.conf"
_ORDER = (
    RC_CONF,
    "/etc/rc.conf.local",
    "/etc/rc.conf.d/network",
    "/etc/rc.conf.d/netif",
    "/usr/local/etc/rc.conf.d/network",
    "/usr/local/etc/rc.conf.d/netif",
)


@dataclass(frozen=True, slots=True)
class RcFiles:
    """The files by path, in the order rc reads them; /etc/rc.conf is always there, empty if it has to be."""

    files: Mapping[str, RcConf]

    def home(self, name: str) -> str:
        """Return the path whose assignment of ``name`` wins, or /etc/rc.conf."""
        return next((path for path in reversed(self.files) if self.files[path].get(name) is not None), RC_CONF)

    def get(self, name: str) -> str | None:
        """Return the last statically known value of ``name``, or None."""
        return self.files[self.home(name)].get(name)

    def put(self, path: str, conf: RcConf) -> RcFiles:
        """Return these files with ``path`` replaced."""
        return RcFiles(MappingProxyType({**self.files, path: conf}))

    def set(self, name: str, value: str) -> RcFiles:
        """Return these files with ``name`` set where it lives.  Raises ``TextFileError``."""
        path = self.home(name)
        return self.put(path, self.files[path].set(name, value))

    def unset(self, name: str) -> RcFiles:
        """Return these files without any assignment of ``name``."""
        return RcFiles(MappingProxyType({path: conf.unset(name) for path, conf in self.files.items()}))


def read_rc_files(files: Mapping[str, FileState]) -> RcFiles:
    """Read the rc.conf family out of a snapshot's files."""
    found = {RC_CONF: RcConf.parse("")}
    for start in _ORDER:
        for path in sorted(p for p in files if p == start or p.startswith(f"{start}/")):
            found[path] = RcConf.parse(files[path].text)
    return RcFiles(MappingProxyType(found))
