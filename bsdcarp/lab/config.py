"""From an inventory to the machines of a lab, before anything has been touched: releases, cards, files.

Pure: the result says for each host what to build.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface
from types import MappingProxyType

from bsdcarp.errors import LabError
from bsdcarp.lab.addressing import Addresses, Addressing
from bsdcarp.lab.firstfiles import LOADER_CONF, csh_noise, rc_conf
from bsdcarp.lab.linux.firstfiles import interfaces_file
from bsdcarp.lab.linux.releases import LinuxRelease, linux_release_named
from bsdcarp.lab.nic import Nic
from bsdcarp.lab.releases import Release, release_named
from bsdcarp.lab.wiring import Link, Port, links_of, management_link, plug
from bsdcarp.model import Host, IfAddress, Inventory

__all__ = ["DEFAULT_RELEASE", "MachinePlan", "plan_machines"]

DEFAULT_RELEASE = "14.2"
"""What a host runs whose ``os`` the inventory leaves open."""

_NOISE = "Welcome to {name}.  Authorised use only!"
_FOREIGN_FROM = 77
FREEBSD = re.compile(r"(?i)(freebsd|[0-9])")
"""What a release has to begin with to be one of FreeBSD's."""


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """Everything needed to build one simulated machine."""

    name: str
    address: str
    """Where the inventory says that SSH goes."""
    release: Release | LinuxRelease
    nics: tuple[Nic, ...]
    ssh_address: IfAddress
    """The same address as ``address`` on an interface of the machine; invented if that is a name."""
    user: str = "root"
    """Who logs in."""
    rc_conf: str = ""
    loader_conf: str = ""
    interfaces: str = ""
    """/etc/network/interfaces of a Linux host."""
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """More files, by path relative to the root."""


def plan_machines(
    inventory: Inventory,
    *,
    hosts: Collection[str] | None = None,
    releases: Mapping[str, str] | None = None,
    noise: Collection[str] = (),
) -> tuple[MachinePlan, ...]:
    """Plan one machine for each host, in the order of the inventory.

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
    addressing = Addressing(inventory)
    addresses = {host.name: addressing.of(host) for host in chosen}
    versions = {host.name: _release(host, releases) for host in chosen}
    links = {host.name: _links(addresses[host.name], versions[host.name].family) for host in chosen}
    nics = plug(inventory.groups.values(), links, _networks(addresses, links))
    foreign = _foreign(inventory, {k: v for k, v in versions.items() if isinstance(v, Release)}, addresses, addressing)
    plans: list[MachinePlan] = []
    for host in chosen:
        own, release = addresses[host.name], versions[host.name]
        gateway = addressing.gateway(own.ssh.network)
        router = None if gateway is None else str(gateway)
        all_addresses = _all_addresses(own, links[host.name])
        plan = MachinePlan(
            name=host.name,
            address=host.address,
            release=release,
            nics=nics[host.name],
            ssh_address=own.ssh,
            user=host.user or "root",
        )
        if isinstance(release, Release):
            major, alias = release.version[0], foreign.get(host.name)
            plan = replace(
                plan,
                rc_conf=rc_conf(host.name, major, links[host.name], all_addresses, gateway=router, foreign=alias),
                loader_conf=LOADER_CONF,
            )
        else:
            plan = replace(plan, interfaces=interfaces_file(links[host.name], all_addresses, router))
        if host.name in noise:
            plan = replace(plan, files=MappingProxyType(_noise(host.name, release)))
        plans.append(plan)
    return tuple(plans)


def _noise(name: str, release: Release | LinuxRelease) -> dict[str, str]:
    greeting = csh_noise(_NOISE.format(name=name))
    return {"root/.cshrc": greeting} if isinstance(release, Release) else {"root/.ssh/rc": greeting}


def _release(host: Host, releases: Mapping[str, str]) -> Release | LinuxRelease:
    if host.name in releases:
        wanted = releases[host.name]
        return release_named(wanted) if FREEBSD.match(wanted) else linux_release_named(wanted)
    if host.os is None:
        return release_named(DEFAULT_RELEASE)
    if host.os.family == "linux":
        return linux_release_named(str(host.os))
    return release_named(f"{host.os.major}.{host.os.minor}" if host.os.minor >= 0 else str(host.os.major))


def _links(own: Addresses, family: str) -> dict[str, Link]:
    links = links_of(own.by_interface, renames=family == "freebsd")
    if own.ssh_interface is None:
        management = management_link(links, "em" if family == "freebsd" else "eth")
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
