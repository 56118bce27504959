"""What a host would come up with at its next boot, as data; built by ``bootorder``, compared by ``persist``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.judge.notes import Trouble
from bsdcarp.judge.rcvalues import RcValues
from bsdcarp.model import NOWHERE, IfAddress, Place, Secret

__all__ = ["BootCarp", "BootState", "BootVhid", "CarpAtBoot"]

CarpAtBoot = Literal["static", "loader", "kld", "autoload", "absent"]
"""Where carp comes from: in the kernel, loader.conf, kld_list, loaded by ifconfig(8) when carpN is created, nowhere."""


@dataclass(frozen=True, slots=True)
class BootCarp:
    """The kernel that will boot, and carp in it."""

    source: CarpAtBoot
    directory: str = "kernel"
    """Name below /boot."""
    place: Place = NOWHERE
    """The line that brings carp, where there is one."""

    @property
    def before_sysctl(self) -> bool:
        """Whether carp is there when rc.d/sysctl reads sysctl.conf for the first time."""
        return self.source in ("static", "loader")


@dataclass(frozen=True, slots=True)
class BootVhid:
    """A vhid as rc.d/netif would leave it."""

    interface: str
    """The real interface from FreeBSD 10 on, carpN before."""
    vhid: int
    advbase: int = 1
    advskew: int = 0
    password: Secret | None = None
    addresses: tuple[IfAddress, ...] = ()
    peer: str = ""
    peer6: str = ""
    place: Place = NOWHERE
    """The line that creates it."""
    address_places: Mapping[str, Place] = field(default_factory=lambda: MappingProxyType({}))
    """By address without prefix length."""
    said: Mapping[str, Place] = field(default_factory=lambda: MappingProxyType({}))
    """The line that decides each parameter (``advskew`` and so on), where one names it."""


@dataclass(frozen=True, slots=True)
class BootState:
    """The end of the boot, and what went wrong on the way."""

    carp: BootCarp
    sysctls_at_netif: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Leaves of net.inet.carp when rc.d/netif creates the vhids."""
    sysctls: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """The same after the last pass over sysctl.conf."""
    sysctl_places: Mapping[str, Place] = field(default_factory=lambda: MappingProxyType({}))
    """The line that decides each value, where there is one."""
    sysctl_overridden: Mapping[str, tuple[tuple[Place, int], ...]] = field(default_factory=lambda: MappingProxyType({}))
    """By leaf: all lines that set it, in order, where they disagree."""
    vhids: tuple[BootVhid, ...] = ()
    """In the order they are created."""
    interfaces: tuple[str, ...] = ()
    """Every interface that rc configures."""
    own: Mapping[str, tuple[IfAddress, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Addresses without vhid by interface."""
    dynamic: frozenset[str] = frozenset()
    """Interfaces whose address comes from DHCP, so no file knows it."""
    rc: RcValues | None = None
    """The variables all this came from; None when sh cannot read them."""
    troubles: tuple[Trouble, ...] = ()

    @property
    def fatal(self) -> bool:
        return any(trouble.fatal for trouble in self.troubles)

    def vhid(self, interface: str, number: int) -> BootVhid | None:
        """Return vhid ``number`` on ``interface`` (or carpN), or None."""
        return next((v for v in self.vhids if v.interface == interface and v.vhid == number), None)
