"""Which shared addresses a reboot concerns, and whether asking them from here would mean anything."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import field
from ipaddress import ip_address
from typing import Self

from bsdcarp.dataclass import dataclass
from bsdcarp.fleet.hosts import Options
from bsdcarp.fleet.probe import Losses, Probe
from bsdcarp.model import Inventory
from bsdcarp.ssh import resolve

__all__ = ["VipReport", "VipWatch"]


@dataclass(frozen=True, slots=True)
class VipReport:
    """One shared address during the whole of it, and during each host's turn."""

    address: str
    groups: tuple[str, ...]
    why: str = ""
    """Why nothing is known about it; empty when something is."""
    losses: Losses = field(default_factory=lambda: Losses(""))
    by_host: Mapping[str, Losses] = field(default_factory=dict)


class VipWatch:
    """Asks the addresses of some hosts' groups while the block runs."""

    def __init__(self, inventory: Inventory, options: Options, hosts: Iterable[str], *, silent: bool = False) -> None:
        chosen = set(hosts)
        self._groups: dict[str, tuple[str, ...]] = {}
        self._why: dict[str, str] = {}
        for group in inventory.groups.values():
            members = [member.host for member in group.members]
            if not chosen & set(members):
                continue
            why = "not asked for" if silent else _elsewhere(inventory, options, members)
            for vip in group.addresses:
                self._groups[vip.address] = (*self._groups.get(vip.address, ()), group.name)
                local = "link-local" if ip_address(vip.address).is_link_local else ""
                self._why[vip.address] = why or local
        self._probe = Probe(address for address, why in self._why.items() if not why)

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        self._probe.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._probe.stop()

    def report(self, spans: Mapping[str, tuple[float, float]]) -> tuple[VipReport, ...]:
        """Return what became of each address, in all and in each host's span; call it when the block has ended."""
        whole = self._probe.losses(self._begun)
        parts = {host: self._probe.losses(*span) for host, span in spans.items()}
        found = []
        for address, groups in self._groups.items():
            losses = whole.get(address, Losses(""))
            why = self._why[address] or ("" if losses.via else "not reachable from here")
            by_host = {} if why else {host: part[address] for host, part in parts.items() if part[address].sent}
            found.append(VipReport(address, groups, why, losses, by_host))
        return tuple(found)


def _elsewhere(inventory: Inventory, options: Options, members: Iterable[str]) -> str:
    """Hosts that are reached over this machine itself are a lab's, or behind a tunnel: their addresses are not here."""
    for name in members:
        host = inventory.hosts[name]
        target = resolve(name, host.address, user=host.user, port=host.port, ssh_config=options.ssh_config)
        if target.jumps or target.proxy_command or not _loopback(target.hostname) or _loopback(host.address):
            return ""
    return "nothing to ask: its hosts are reached through this machine's loopback (a lab, or a tunnel)"


def _loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
