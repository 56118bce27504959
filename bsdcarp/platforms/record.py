"""bsdcarp's own record on a host: what it once put there, so that it can take exactly that away again.

A small text file, one fact a line, without any password.  What is not in it is foreign: reported, never touched.

    vhid em0 7 192.0.2.10,2001:db8::10      an address list attached to a vhid (FreeBSD >= 10, Linux)
    vhid carp1 1 192.168.90.1               the same on a pseudo-interface (FreeBSD <= 9)
    line /etc/sysctl.conf net.inet.carp.preempt
    line /etc/rc.conf ifconfig_carp1
    file /usr/src/sys/amd64/conf/CARP       a file that is bsdcarp's as a whole
"""

from __future__ import annotations

from collections.abc import Iterable

from bsdcarp.dataclass import dataclass

__all__ = ["OwnedVhid", "Record", "parse_record"]

_HEAD = "# What bsdcarp put on this host.  bsdcarp reads this to know what it may take away; do not edit.\n"


@dataclass(frozen=True, slots=True, order=True)
class OwnedVhid:
    """A vhid that bsdcarp configured, with the addresses it attached."""

    interface: str
    vhid: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """Everything bsdcarp owns on one host."""

    vhids: tuple[OwnedVhid, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
    """(path, name) of assignments inside shared files."""
    files: tuple[str, ...] = ()
    """Paths of files that are wholly bsdcarp's."""

    def __bool__(self) -> bool:
        return bool(self.vhids or self.lines or self.files)

    def names(self, path: str) -> frozenset[str]:
        """Return the names that bsdcarp assigned in ``path``."""
        return frozenset(name for owner, name in self.lines if owner == path)

    def addresses(self, interface: str) -> frozenset[str]:
        """Return the shared addresses bsdcarp put on ``interface``, of all vhids."""
        return frozenset(a for owned in self.vhids if owned.interface == interface for a in owned.addresses)

    @property
    def text(self) -> str:
        """The record as it is written to the host."""
        rows = [f"vhid {o.interface} {o.vhid} {','.join(o.addresses)}" for o in sorted(self.vhids)]
        rows += [f"line {path} {name}" for path, name in sorted(self.lines)]
        rows += [f"file {path}" for path in sorted(self.files)]
        return _HEAD + "".join(f"{row}\n" for row in rows)


def parse_record(text: str) -> Record:
    """Read a record; lines that make no sense are ignored, so a damaged record only forgets."""
    vhids: list[OwnedVhid] = []
    lines: list[tuple[str, str]] = []
    owned_files: list[str] = []
    for row in _rows(text):
        match row:
            case ["vhid", interface, number, addresses] if number.isascii() and number.isdecimal():
                vhids.append(OwnedVhid(interface, int(number), tuple(filter(None, addresses.split(",")))))
            case ["line", path, name]:
                lines.append((path, name))
            case ["file", path]:
                owned_files.append(path)
    return Record(tuple(sorted(vhids)), tuple(sorted(lines)), tuple(sorted(owned_files)))


def _rows(text: str) -> Iterable[list[str]]:
    return (line.split(" ") for line in text.splitlines() if line and not line.startswith("#"))
