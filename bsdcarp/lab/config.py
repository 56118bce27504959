"""From an inventory to the machines of a lab, before anything has been touched: releases, cards, files.

Pure: the result says for each FreeBSD host what to build, and for each other host why it is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Interface
from types import MappingProxyType

from bsdcarp.errors import LabError
from bsdcarp.lab.addressing import Addresses, Addressing
from bsdcarp.lab.firstfiles import LOADER_CONF, csh_noise, rc_conf
from bsdcarp.lab.nic import Nic
from bsdcarp.lab.releases import Release, release_named
from bsdcarp.lab.wiring import Link, Port, links_of, management_link, plug
from bsdcarp.model import Host, IfAddress, Inventory

__all__ = ["DEFAULT_RELEASE", "MachinePlan", "Skipped", "plan_machines"]

DEFAULT_RELEASE = "14.2"
"""What a host runs whose ``os`` the inventory leaves open."""

_NOISE = "Welcome to {name}.  Authorised use only!"
_FOREIGN_FROM = 77


@dataclass(frozen=True, slots=True)
class Skipped:
    """A host of the inventory that the lab does not simulate, and why."""

    host: str
    reason: str


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """Everything needed to build one simulated machine."""

    name: str
    address: str
    """Where the inventory says that SSH goes."""
    release: Release
    nics: tuple[Nic, ...]
    rc_conf: str
    loader_conf: str
    ssh_address: IfAddress
    """The same address as ``address`` on an interface of the machine; invented if that is a name."""
    user: str = "root"
    """Who logs in."""
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """More files, by path relative to the root."""


def plan_machines(
    inventory: Inventory,
    *,
    hosts: Collection[str] | None = None,
    releases: Mapping[str, str] | None = None,
    noise: Collection[str] = (),
) -> tuple[tuple[MachinePlan, ...], tuple[Skipped, ...]]:
    """Plan one machine for each FreeBSD host, in the order of the inventory.

    ``hosts`` limits them; ``releases`` overrides what the inventory says; the login shell of hosts in ``noise``
    prints something before it does what it is told.  Raises ``LabError`` for a host that the inventory does not know,
    or for a release that is none.
    """
    releases = releases or {}
    for name in (*(hosts or ()), *releases, *noise):
        if name not in inventory.hosts:
            known = ", ".join(inventory.hosts)
            raise LabError(f"no host {name!r} in the inventory", place=inventory.path, remedy=f"there is {known}")
    chosen = [host for host in inventory.hosts.values() if hosts is None or host.name in hosts]
    skipped = tuple(
        Skipped(host.name, "the lab simulates FreeBSD only") for host in chosen if not _is_freebsd(host, releases)
    )
    simulated = [host for host in chosen if _is_freebsd(host, releases)]
    addressing = Addressing(inventory)
    addresses = {host.name: addressing.of(host) for host in simulated}
    links = {host.name: _links(addresses[host.name]) for host in simulated}
    nics = plug(inventory.groups.values(), links, _networks(addresses, links))
    versions = {host.name: _release(host, releases) for host in simulated}
    foreign = _foreign(inventory, versions, addresses, addressing)
    plans: list[MachinePlan] = []
    for host in simulated:
        own, release = addresses[host.name], versions[host.name]
        gateway = addressing.gateway(own.ssh.network)
        text = rc_conf(
            host.name,
            release.version[0],
            links[host.name],
            _all_addresses(own, links[host.name]),
            gateway=None if gateway is None else str(gateway),
            foreign=foreign.get(host.name),
        )
        files = {"root/.cshrc": csh_noise(_NOISE.format(name=host.name))} if host.name in noise else {}
        plans.append(
            MachinePlan(
                name=host.name,
                address=host.address,
                release=release,
                nics=nics[host.name],
                rc_conf=text,
                loader_conf=LOADER_CONF,
                ssh_address=own.ssh,
                user=host.user or "root",
                files=MappingProxyType(files),
            )
        )
    return tuple(plans), skipped


def _is_freebsd(host: Host, releases: Mapping[str, str]) -> bool:
    return host.name in releases or host.os is None or host.os.family == "freebsd"


def _release(host: Host, releases: Mapping[str, str]) -> Release:
    if host.name in releases:
        return release_named(releases[host.name])
    if host.os is None:
        return release_named(DEFAULT_RELEASE)
    return release_named(f"{host.os.major}.{host.os.minor}" if host.os.minor >= 0 else str(host.os.major))


def _links(own: Addresses) -> dict[str, Link]:
    links = links_of(own.by_interface)
    if own.ssh_interface is None:
        management = management_link(links)
        # First, since rc.conf of a real machine begins with the interface it was installed over.
        return {management.name: management, **links}
    return links


def _all_addresses(own: Addresses, links: Mapping[str, Link]) -> dict[str, list[IfAddress]]:
    result = {name: list(own.by_interface.get(name, ())) for name in links}
    if own.ssh_interface is None:
        result[next(iter(links))] = [own.ssh]
    return result


def _networks(addresses: Mapping[str, Addresses], links: Mapping[str, Mapping[str, Link]]) -> dict[str, list[Port]]:
    """Which interfaces lie in the same network; those for SSH alone are all on one."""
    networks: dict[str, list[Port]] = {}
    management: list[Port] = []
    for host, own in addresses.items():
        for interface, known in _all_addresses(own, links[host]).items():
            if own.ssh_interface is None and known == [own.ssh]:
                management.append((host, interface))
                continue
            for address in known:
                networks.setdefault(f"net {address.network}", []).append((host, interface))
    return {"management": management, **networks}


def _foreign(
    inventory: Inventory,
    versions: Mapping[str, Release],
    addresses: Mapping[str, Addresses],
    addressing: Addressing,
) -> dict[str, tuple[str, IPv4Interface]]:
    """One host, the last with CARP aliases if there is any, already has an alias of its own."""
    members = [name for name in versions if inventory.groups_of(name)]
    for name in reversed([name for name in members if versions[name].era == "vhid"] or members):
        carrying = {member.interface for group in inventory.groups_of(name) if (member := group.member(name))}
        for interface in sorted(carrying):
            own = addresses[name].by_interface[interface]
            first = next((address for address in own if isinstance(address, IPv4Interface)), None)
            if first is None:
                continue
            invented = addressing.invent(first.network, _FOREIGN_FROM)
            if isinstance(invented, IPv4Interface):
                return {name: (interface, IPv4Interface(f"{invented.ip}/32"))}
    return {}
