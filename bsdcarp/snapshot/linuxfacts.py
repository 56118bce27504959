"""What a look at a Linux host tells beyond what every host has: its init system, its services, the daemon itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Literal

from bsdcarp.dataclass import dataclass

__all__ = ["CarpdFinding", "CarpdStatus", "CarpdVhid", "Foreign", "InitSystem", "LinuxFacts", "ServiceState"]

InitSystem = Literal["systemd", "openrc", "sh"]
"""What starts services: systemd, OpenRC, or nothing better than a shell script."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A service as the init system sees it."""

    active: str = "absent"
    """``active``, ``inactive``, ``failed``, ``activating``, or ``absent`` where there is no such service."""
    enabled: bool = False
    masked: bool = False
    stale: bool = False
    """systemd: the unit's file changed and nobody told systemd (NeedDaemonReload)."""
    dropins: tuple[str, ...] = ()
    """systemd: files that change the unit."""
    fragment: str = ""
    """systemd: the unit's file that counts."""

    @property
    def running(self) -> bool:
        """Whether it runs, or is about to."""
        return self.active in ("active", "activating", "reloading")


@dataclass(frozen=True, slots=True)
class CarpdVhid:
    """One vhid as carpd shows it."""

    group: str
    vhid: int
    interface: str
    state: str
    advbase: int
    advskew: int
    peer: str = ""
    peer6: str = ""
    addresses: tuple[str, ...] = ()
    """With prefix length."""
    virtual_mac: bool = True
    digest: str = ""
    """First 12 hexadecimal digits of the password's SHA-256."""
    failover: bool = False
    """Someone sent it away by hand (``carpd ctl failover``), and it stays so."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CarpdFinding:
    """What the daemon itself found wrong."""

    vhid: int
    interface: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class CarpdStatus:
    """The answer of ``carpd ctl status --json``."""

    version: str = ""
    demotion: int = 0
    settings: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """allow, preempt, log, arpbalance."""
    vhids: tuple[CarpdVhid, ...] = ()
    findings: tuple[CarpdFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class Foreign:
    """A vhid (or VRRP router id) that another program on this host speaks for."""

    program: str
    """``ucarp`` or ``keepalived``."""
    interface: str
    vhid: int
    running: bool = True


@dataclass(frozen=True, slots=True)
class LinuxFacts:
    """What only a Linux host has."""

    init: InitSystem = "systemd"
    services: Mapping[str, ServiceState] = field(default_factory=lambda: MappingProxyType({}))
    """By name without ``.service``; one that was asked for and is not there is there as ``absent``."""
    python: tuple[int, ...] = ()
    """Version of python3; empty where there is none."""
    program: str = ""
    """cksum(1) of carpd.pyz, empty where there is none."""
    carpd: CarpdStatus | None = None
    """None where no daemon answered."""
    sysctls: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """arp_ignore and arp_announce by path: ``net/ipv4/conf/eth0/arp_ignore``."""
    held: frozenset[str] = frozenset()
    """Every address that any interface has now, carpd's own ones included."""
    ucarp: str = ""
    """Path of the program, empty where it is not installed."""
    foreign: tuple[Foreign, ...] = ()
    executable: frozenset[str] = frozenset()
    """Those of the boot hooks that init would run."""

    def service(self, name: str) -> ServiceState:
        """Return the state of service ``name``."""
        return self.services.get(name, ServiceState())
