"""What one look at a host tells: plain frozen data, comparable, and free of judgement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.model import IfAddress, Release, Secret
from bsdcarp.snapshot.linuxfacts import LinuxFacts

__all__ = [
    "CarpSource",
    "FileState",
    "InterfaceAddress",
    "KernelDirectory",
    "NetworkInterface",
    "Snapshot",
    "VhidState",
]

CarpSource = Literal["static", "module", "absent"]
"""Where the running kernel has carp from."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was read; its text keeps any byte (UTF-8 with surrogateescape)."""

    text: str = field(repr=False)
    writable: bool = True


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """One address of an interface; ``vhid`` is 0 where none is attached (always, up to FreeBSD 9)."""

    interface: IfAddress
    vhid: int = 0

    @property
    def text(self) -> str:
        """Without prefix length and scope."""
        return str(self.interface.ip).partition("%")[0]


@dataclass(frozen=True, slots=True)
class VhidState:
    """One ``carp:`` line of ifconfig(8)."""

    vhid: int
    state: str
    advbase: int
    advskew: int
    key: Secret | None = None
    """Only where ifconfig prints keys (10.4 and later, as root)."""
    peer: str = ""
    peer6: str = ""
    digest: str = ""
    """``Secret.digest`` of the key, where that is what the host shows (carpd)."""

    @property
    def fingerprint(self) -> str:
        """What stands for the key when members are compared; empty where nobody can tell."""
        return self.key.digest if self.key is not None else self.digest


@dataclass(frozen=True, slots=True)
class NetworkInterface:
    """One interface as ifconfig(8) or ip(8) shows it."""

    name: str
    flags: frozenset[str]
    addresses: tuple[InterfaceAddress, ...] = ()
    vhids: tuple[VhidState, ...] = ()
    ether: str = ""
    status: str = ""
    """``active``, ``no carrier`` or empty."""
    inet6_disabled: bool = False
    """IFDISABLED among its nd6 options: IPv6 addresses do not work."""
    kind: str = ""
    """Linux: ``bridge``, ``vlan``, ``bond``, ``macvlan`` ..., empty for a plain one."""
    port_of: str = ""
    """Linux: ``bridge`` or ``bond`` where it is a port of one; its master's name is ``master``."""
    master: str = ""

    def vhid(self, number: int) -> VhidState | None:
        """Return the state of vhid ``number`` on this interface, or None."""
        return next((state for state in self.vhids if state.vhid == number), None)

    def addresses_of(self, vhid: int) -> tuple[InterfaceAddress, ...]:
        """Return the addresses attached to ``vhid``; with 0, the interface's own."""
        return tuple(address for address in self.addresses if address.vhid == vhid)


@dataclass(frozen=True, slots=True)
class KernelDirectory:
    """A directory under /boot that holds a kernel, and the carp module beside it: ``carp``, ``if_carp`` or ``""``."""

    name: str
    module: str = ""
    newer: Literal["", "static", "plain", "unknown"] = ""
    """Set where the kernel was installed after the boot: whether carp is compiled in, as config(8) finds it there."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A host at one moment.  Every field is what the host said; nothing is filled in from the inventory."""

    release: Release
    osreldate: int = 0
    hostname: str = ""
    machine: str = ""
    uid: int = 0
    appliance: str = ""
    """``OPNsense``, ``pfSense`` or ``TrueNAS`` where one of them owns the configuration."""
    boottime: int = 0
    """Seconds since 1970, from kern.boottime or /proc/stat."""
    securelevel: int = -1
    ident: str = ""
    bootfile: str = ""
    carp: CarpSource = "absent"
    sysctls: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Leaves of net.inet.carp by name: ``preempt`` and so on; on Linux the daemon's settings of these names."""
    interfaces: Mapping[str, NetworkInterface] = field(default_factory=lambda: MappingProxyType({}))
    files: Mapping[str, FileState] = field(default_factory=lambda: MappingProxyType({}))
    """By absolute path as on the host itself; a file that does not exist is not there."""
    unwritable: frozenset[str] = frozenset()
    """Directories that bsdcarp would write to and cannot."""
    rc: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """rc.conf variables as sh evaluates them, over all files in rc's order."""
    rc_error: str = ""
    """What sh said when an rc.conf file did not parse; then ``rc`` is empty."""
    kernels: tuple[KernelDirectory, ...] = ()
    boot_on_zfs: bool = False
    """Whether /boot lies on ZFS; only asked where nextboot(8) has been used."""
    sources: bool = False
    """Whether /usr/src/sys/ARCH/conf/GENERIC is there."""
    pending: str = ""
    """The transaction that waits for its confirmation, or for being taken back; empty when none does."""
    boot_id: str = ""
    """Linux: another text after every boot, also in a container."""
    linux: LinuxFacts | None = None
    """What only a Linux host has."""

    def text(self, path: str) -> str:
        """Return the text of ``path``, empty when it does not exist."""
        state = self.files.get(path)
        return state.text if state else ""
