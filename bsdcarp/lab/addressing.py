"""Every host's own addresses: what the inventory says, and something plausible where it says nothing.

A vhid wants an address of its own in the network of its shared addresses (carp(4)), so a simulated host gets one on
each interface for each network, as a real one would have been given long before CARP came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface, ip_network
from itertools import islice

from bsdcarp.model import Host, IfAddress, Inventory, Vip

__all__ = ["Addresses", "Addressing", "client_of"]

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network
_FIRST_INVENTED = 11
_MANAGEMENT = ip_network("198.18.0.0/16")
"""For hosts that the inventory knows by name only; RFC 2544 sets these addresses aside for test beds."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """A host's own addresses by interface, in the order they are configured, and where SSH reaches it.

    ``ssh_interface`` is None if the address SSH goes to lies on none of the interfaces that the groups use.
    """

    by_interface: dict[str, list[IfAddress]]
    ssh: IfAddress
    ssh_interface: str | None


class Addressing:
    """Hands out addresses for one inventory and never the same one twice."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._used: set[_Address] = set()
        for group in inventory.groups.values():
            self._used |= {vip.interface.ip for vip in group.addresses}
        for host in inventory.hosts.values():
            self._used |= {given.ip for addresses in host.interfaces.values() for given in addresses}
            if (address := _literal(host.address)) is not None:
                self._used.add(address)

    def of(self, host: Host) -> Addresses:
        """Work out the addresses of ``host``."""
        networks = self._networks(host)
        ssh = _literal(host.address)
        own: dict[str, list[IfAddress]] = {}
        place = next((name for name, given in host.interfaces.items() if any(own.ip == ssh for own in given)), None)
        for interface, nets in networks.items():
            addresses: list[IfAddress] = list(host.interfaces.get(interface, ()))
            for network in nets:
                if any(known.ip in network for known in addresses):
                    continue
                if ssh is not None and place is None and ssh in network:
                    addresses.append(ip_interface(f"{ssh}/{network.prefixlen}"))
                    place = interface
                elif (invented := self.invent(network)) is not None:
                    addresses.append(invented)
            own[interface] = addresses
        return Addresses(own, self._ssh(host, ssh, own, place), place)

    def invent(self, network: _Network, first: int = _FIRST_INVENTED) -> IfAddress | None:
        """Return an unused address of ``network`` from its ``first`` on; None if every one is taken."""
        for address in _candidates(network, first):
            if address not in self._used:
                self._used.add(address)
                return ip_interface(f"{address}/{network.prefixlen}")
        return None

    def gateway(self, network: _Network) -> _Address | None:
        """Return the last address of ``network`` for a router that nobody ever sees; None if it is taken or IPv6."""
        if isinstance(network, IPv6Network) or network.num_addresses < 4:
            return None
        last = network.broadcast_address - 1
        return None if last in self._used else last

    def _networks(self, host: Host) -> dict[str, list[_Network]]:
        names = [name for name in (host.interface, *host.interfaces) if name]
        networks: dict[str, list[_Network]] = {name: [] for name in names}
        for interface, given in host.interfaces.items():
            networks[interface] += [address.network for address in given]
        for group in self._inventory.groups_of(host.name):
            member = group.member(host.name)
            here = networks.setdefault(member.interface, []) if member else []
            # The longest network last: a /32 lies in the network of the address beside it.
            for vip in sorted(group.addresses, key=_host_route):
                if not any(vip.interface.ip in network for network in here):
                    here.append(_network(vip))
        return networks

    def _ssh(self, host: Host, ssh: _Address | None, own: dict[str, list[IfAddress]], place: str | None) -> IfAddress:
        if ssh is not None and place is not None:
            return next(known for known in own[place] if known.ip == ssh)
        if ssh is not None:
            return ip_interface(f"{ssh}/{24 if ssh.version == 4 else 64}")
        number = list(self._inventory.hosts).index(host.name)
        return ip_interface(f"{_MANAGEMENT[_FIRST_INVENTED + number]}/{_MANAGEMENT.prefixlen}")


def _candidates(network: _Network, first: int) -> Iterator[_Address]:
    usable: Iterable[_Address] = islice(network.hosts(), 1024)
    low: list[_Address] = []
    for address in usable:
        if int(address) - int(network.network_address) >= first:
            yield address
        else:
            low.append(address)
    yield from low


def _host_route(vip: Vip) -> bool:
    return vip.prefixlen == vip.interface.max_prefixlen


def _network(vip: Vip) -> _Network:
    if not _host_route(vip):
        return vip.interface.network
    return ip_network(f"{vip.address}/{24 if vip.family == 'inet' else 64}", strict=False)


def _literal(address: str) -> _Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None


def client_of(server: IfAddress) -> str:
    """Where the operator seems to come from, as the host sees it in ``SSH_CONNECTION``: a neighbour of ``server``."""
    network = server.network
    if network.num_addresses < 16:
        return "192.0.2.250" if server.version == 4 else "2001:db8::250"
    return str(network[-6])
