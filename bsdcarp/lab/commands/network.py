"""netstat(1) and arp(8): the routing table, the CARP counters and the permanent ARP entries."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from bsdcarp.carp import State
from bsdcarp.lab.interface import Address, Interface
from bsdcarp.lab.reply import Call, Reply, failure, text

if TYPE_CHECKING:
    from bsdcarp.lab.kernel import Kernel
    from bsdcarp.lab.machine import Machine

__all__ = ["arp", "netstat"]

_Route = tuple[int, int, str, str, str, str]  # sort keys, destination, gateway, flags, interface


def netstat(machine: Machine, call: Call) -> Reply:
    letters = {letter for word in call.args if word.startswith("-") for letter in word[1:]}
    if "s" in letters:
        if "carp" not in call.args or machine.kernel.carp is None:
            return text()
        return text("".join(f"{line}\n" for line in machine.kernel.carp.node.statistics.netstat()))
    if "r" in letters:
        family = call.args[call.args.index("-f") + 1] if "-f" in call.args else "inet"
        return text(_routes(machine) if family == "inet" else "Routing tables\n")
    return failure("usage: netstat -s -p protocol | netstat -rn [-f address_family]")


def _routes(machine: Machine) -> str:
    wide = machine.release.wide_routes
    head = f"{'Destination':<18} {'Gateway':<18} "
    head += "Flags    Refs      Use  Netif Expire" if wide else "Flags     Netif Expire"
    lines = ["Routing tables\n", "Internet:", head]
    for _first, _second, destination, gateway, flags, name in sorted(_table(machine.kernel)):
        counters = f"{flags:<6} {0:6d} {0:8d} {name:>6}" if wide else f"{flags:<6} {name:>8}"
        lines.append(f"{destination:<18} {gateway:<18} {counters}")
    return "\n".join(lines) + "\n"


def _table(kernel: Kernel) -> Iterator[_Route]:
    if kernel.default_route is not None:
        out = _interface_towards(kernel, kernel.default_route)
        yield (-1, 0, "default", str(kernel.default_route), "UGS", out)
    for interface in kernel.interfaces.values():
        link = f"link#{interface.index}"
        if not interface.up:
            continue
        for address in interface.inet():
            if isinstance(address.ip, IPv4Address):
                yield from _routes_of(kernel, interface, address, address.ip, link)


def _routes_of(kernel: Kernel, interface: Interface, address: Address, ip: IPv4Address, link: str) -> Iterator[_Route]:
    number = int(ip)
    if interface.kind == "loop":
        by_name = kernel.loopback_route_by_name
        yield (number, 0, str(ip), "lo0" if by_name else link, "UHS" if by_name else "UH", "lo0")
        return
    if interface.kind == "carp":
        pseudo = interface.pseudo
        if pseudo is not None and pseudo.running is not None and pseudo.running.state is State.MASTER:
            yield (number, 0, str(ip), link, "UH", interface.name)
        return
    if address.vhid and not _is_master(interface, address.vhid):
        return
    yield (number, 0, str(ip), link, "UHS", "lo0")
    network = address.network
    shared = any(other is not address and other.network == network and not other.vhid for other in interface.addresses)
    if isinstance(network, IPv4Network) and not (address.vhid and shared):
        destination = f"{network.network_address}/{network.prefixlen}"
        yield (
            int(network.network_address),
            1 if network.prefixlen == 32 else -1,
            destination,
            link,
            "U",
            interface.name,
        )


def _is_master(interface: Interface, vhid: int) -> bool:
    return any(each.config.vhid == vhid and each.state is State.MASTER for each in interface.vhids)


def _interface_towards(kernel: Kernel, ip: IPv4Address) -> str:
    for interface in kernel.interfaces.values():
        if any(ip in address.network for address in interface.inet()):
            return interface.name
    return "lo0"


def arp(machine: Machine, call: Call) -> Reply:
    """Print the host's own addresses, which are permanent entries; what it learned from others is not kept."""
    if not any(word.startswith("-") and "a" in word for word in call.args):
        return failure("usage: arp [-n] [-i interface] hostname\n       arp [-n] [-i interface] -a")
    lines: list[str] = []
    for interface in machine.kernel.interfaces.values():
        if interface.kind in {"ether", "vlan"}:
            lines.extend(
                f"? ({address.ip}) at {interface.ether} on {interface.name} permanent [ethernet]\n"
                for address in interface.inet()
                if not address.vhid
            )
    return text("".join(lines))
