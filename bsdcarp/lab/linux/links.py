"""A network interface of a simulated Linux kernel, and how ``ip`` shows it (recorded with iproute2 6.1.0)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_interface
from typing import Any, Literal

from bsdcarp.lab.nic import Nic

__all__ = ["InterfaceIp", "Link", "as_json", "as_text"]

_FOREVER = 4294967295
InterfaceIp = IPv4Interface | IPv6Interface


@dataclass(slots=True)
class Link:
    """``link`` is the carrier.  ``parent`` is the interface below a VLAN or a macvlan.

    ``nodad`` are the addresses that were added without duplicate address detection.
    """

    name: str
    index: int
    kind: Literal["ether", "loopback", "vlan", "macvlan"]
    ether: str = "00:00:00:00:00:00"
    nic: Nic | None = None
    tag: int | None = None
    parent: str = ""
    alias: str = ""
    up: bool = False
    link: bool = True
    mtu: int = 1500
    addresses: list[InterfaceIp] = field(default_factory=list)
    nodad: set[IPv4Address | IPv6Address] = field(default_factory=set)

    @property
    def operational(self) -> bool:
        """Up, with a carrier: what carpd wants of a parent."""
        return self.up and self.link

    @property
    def title(self) -> str:
        return f"{self.name}@{self.parent}" if self.parent else self.name

    def find(self, ip: IPv4Address | IPv6Address) -> InterfaceIp | None:
        return next((each for each in self.addresses if each.ip == ip), None)

    def flags(self) -> list[str]:
        """The flags in the order that ip(8) prints them."""
        names = ["LOOPBACK"] if self.kind == "loopback" else ["BROADCAST", "MULTICAST"]
        if self.up and not self.link:
            names.insert(0, "NO-CARRIER")
        return [*names, *(["UP"] if self.up else []), *(["LOWER_UP"] if self.operational else [])]

    @property
    def operstate(self) -> str:
        if self.kind == "loopback":
            return "UNKNOWN" if self.up else "DOWN"
        return "UP" if self.operational else "DOWN"

    @property
    def qdisc(self) -> str:
        if not self.up:
            return "noop"
        return "noqueue" if self.kind != "ether" else "fq_codel"


def _scope(address: InterfaceIp) -> str:
    if address.ip.is_loopback:
        return "host"
    return "link" if address.ip.version == 6 and address.ip.is_link_local else "global"


def _ordered(link: Link) -> list[InterfaceIp]:
    return sorted(link.addresses, key=lambda address: address.version)


def _family(link: Link, version: int) -> Iterator[InterfaceIp]:
    return (address for address in _ordered(link) if version in (0, address.version))


def as_json(link: Link, *, addresses: bool, details: bool, version: int = 0) -> dict[str, Any]:
    """Return one element of ``ip -j [-d] addr show`` or, without ``addresses``, of ``ip -j link show``."""
    shown: dict[str, Any] = {"ifindex": link.index}
    if link.parent:
        shown["link"] = link.parent
    shown |= {
        "ifname": link.name,
        "flags": link.flags(),
        "mtu": link.mtu,
        "qdisc": link.qdisc,
        "operstate": link.operstate,
    }
    if not addresses:
        shown["linkmode"] = "DEFAULT"
    shown |= {
        "group": "default",
        "txqlen": 1000,
        "link_type": "loopback" if link.kind == "loopback" else "ether",
        "address": link.ether,
        "broadcast": link.ether if link.kind == "loopback" else "ff:ff:ff:ff:ff:ff",
    }
    if details:
        shown["promiscuity"] = 0
        if link.kind == "macvlan":
            shown["linkinfo"] = {"info_kind": "macvlan", "info_data": {"mode": "private"}}
        elif link.kind == "vlan":
            shown["linkinfo"] = {"info_kind": "vlan", "info_data": {"protocol": "802.1Q", "id": link.tag}}
    if link.alias:
        shown["ifalias"] = link.alias
    if addresses:
        shown["addr_info"] = [_address_json(link, address) for address in _family(link, version)]
    return shown


def _address_json(link: Link, address: InterfaceIp) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "family": "inet" if address.version == 4 else "inet6",
        "local": str(address.ip),
        "prefixlen": address.network.prefixlen,
        "scope": _scope(address),
    }
    if address.version == 4:
        shown["label"] = link.name
    elif address.ip in link.nodad:
        shown["nodad"] = True
    return shown | {"valid_life_time": _FOREVER, "preferred_life_time": _FOREVER}


def as_text(link: Link, *, addresses: bool, version: int = 0, details: bool = False) -> str:
    """Return what ``ip addr show`` or ``ip link show`` prints about one interface."""
    mode = "" if addresses else " mode DEFAULT"
    head = f"{link.index}: {link.title}: <{','.join(link.flags())}> mtu {link.mtu} qdisc {link.qdisc} "
    lines = [f"{head}state {link.operstate}{mode} group default qlen 1000"]
    if version == 0 or not addresses:
        name = "loopback" if link.kind == "loopback" else "ether"
        broadcast = link.ether if link.kind == "loopback" else "ff:ff:ff:ff:ff:ff"
        lines.append(f"    link/{name} {link.ether} brd {broadcast}{' promiscuity 0' if details else ''}")
        if details and link.kind == "macvlan":
            lines.append("    macvlan mode private")
        if link.alias and not addresses:
            lines.append(f"    alias {link.alias}")
    if addresses:
        for address in _family(link, version):
            lines.append(f"    {address_text(link, address)}")
            lines.append("       valid_lft forever preferred_lft forever")
    return "".join(f"{line}\n" for line in lines)


def address_text(link: Link, address: InterfaceIp) -> str:
    """Return ``inet 192.0.2.1/24 scope global eth0``."""
    if address.version == 4:
        return f"inet {address.ip}/{address.network.prefixlen} scope {_scope(address)} {link.name}"
    nodad = "nodad " if address.ip in link.nodad else ""
    return f"inet6 {address.ip}/{address.network.prefixlen} scope {_scope(address)} {nodad}"


def read_interface_ip(text: str) -> InterfaceIp:
    """Read ``192.0.2.1/24``; ValueError when it is none."""
    return ip_interface(text)
