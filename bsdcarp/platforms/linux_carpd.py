"""carpd on a Linux host: its configuration, the program, what starts it, and what the kernel has to be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import cache
from types import MappingProxyType

from bsdcarp import __version__
from bsdcarp.dataclass import dataclass
from bsdcarp.model import Host
from bsdcarp.platforms.desired import DesiredFile, DesiredProgram, DesiredService, DesiredVhid
from bsdcarp.platforms.linux_services import INITS
from bsdcarp.platforms.paths import CARPD_CONFIG, CARPD_PROGRAM, LINUX_SYSCTL_PATH
from bsdcarp.platforms.templates import plain, render
from bsdcarp.platforms.zipapp import carpd_zipapp
from bsdcarp.snapshot import InitSystem

__all__ = ["CARPD", "Part", "carpd_part", "carpd_settings", "parent_sysctls"]

CARPD = "bsdcarp-carpd"
_PARENT = {"arp_ignore": 1, "arp_announce": 2}
"""What carpd itself raises on a real interface when it starts, so that the interface does not answer for a shared
address with its own MAC; a higher value does as well (Documentation/networking/ip-sysctl.rst of Linux)."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one backend puts on a host."""

    files: Mapping[str, DesiredFile]
    programs: Mapping[str, DesiredProgram] = field(default_factory=dict)
    services: tuple[DesiredService, ...] = ()
    settings: Mapping[str, int] = field(default_factory=dict)
    parents: Mapping[str, int] = field(default_factory=dict)


def carpd_part(host: Host, vhids: tuple[DesiredVhid, ...], settings: Mapping[str, int], init: InitSystem) -> Part:
    """Return carpd's part for these vhids."""
    if not vhids:
        return Part({})
    table = INITS[init]
    parents = parent_sysctls(vhids)
    files = {
        CARPD_CONFIG: DesiredFile(
            render("linux/carpd.json.j2", settings=settings, vhids=vhids, notify=host.notify), mode=0o600, secret=True
        ),
        table.path: DesiredFile(plain(table.template), mode=table.mode),
    }
    if parents:
        files[LINUX_SYSCTL_PATH] = DesiredFile(render("linux/sysctl.conf.j2", sysctls=parents))
    service = DesiredService(
        CARPD,
        vhids=tuple(v.vhid for v in vhids),
        described_by=table.path,
        restarted_by=(table.path, CARPD_PROGRAM),
        reloaded_by=(CARPD_CONFIG,),
    )
    return Part(
        files=MappingProxyType(files),
        programs=MappingProxyType({CARPD_PROGRAM: _program()}),
        services=(service,),
        settings=MappingProxyType(dict(settings)),
        parents=MappingProxyType(parents),
    )


def carpd_settings(host: Host, *, shared: bool) -> dict[str, int]:
    """Return the daemon's settings; ``shared`` says that groups share an address, for ``arpbalance: auto``."""
    wish = host.sysctl
    arpbalance = int(shared) if wish.arpbalance in (None, "auto") else int(wish.arpbalance)
    return {
        "allow": 1 if wish.allow is None else wish.allow,
        "preempt": 0 if wish.preempt is None else wish.preempt,
        "log": 1 if wish.log is None else wish.log,
        "arpbalance": arpbalance,
    }


def parent_sysctls(vhids: Iterable[DesiredVhid]) -> dict[str, int]:
    """Return what the real interfaces need, by path below /proc/sys: names with dots (VLANs) keep them there."""
    names = dict.fromkeys(v.interface for v in vhids if v.virtual_mac)
    return {f"net/ipv4/conf/{name}/{leaf}": value for name in names for leaf, value in _PARENT.items()}


@cache
def _program() -> DesiredProgram:
    return DesiredProgram(carpd_zipapp(), title=f"carpd.pyz {__version__}")
