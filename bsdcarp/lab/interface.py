"""A network interface of a simulated kernel: what SIOCGIFFLAGS, SIOCGIFADDR and their kin would return."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import TYPE_CHECKING, Literal

from bsdcarp.carp import Family
from bsdcarp.lab.nic import Nic

if TYPE_CHECKING:
    from bsdcarp import carp

__all__ = ["Address", "Interface", "Kind", "Pseudo", "link_local"]

Kind = Literal["ether", "vlan", "bridge", "loop", "carp", "other"]

# net/if.h
_FLAGS = (
    (0x1, "UP"),
    (0x2, "BROADCAST"),
    (0x8, "LOOPBACK"),
    (0x40, "RUNNING"),
    (0x100, "PROMISC"),
    (0x800, "SIMPLEX"),
    (0x8000, "MULTICAST"),
    (0x1000000, "LOWER_UP"),
)


@dataclass(slots=True)
class Address:
    """One address of an interface; ``vhid`` is 0 for an address that is not under CARP."""

    ip: IPv4Address | IPv6Address
    prefixlen: int
    vhid: int = 0

    @property
    def family(self) -> Family:
        return Family.IPV4 if self.ip.version == 4 else Family.IPV6

    @property
    def network(self) -> IPv4Network | IPv6Network:
        if isinstance(self.ip, IPv4Address):
            return IPv4Interface((self.ip, self.prefixlen)).network
        return IPv6Interface((self.ip, self.prefixlen)).network


@dataclass(slots=True)
class Pseudo:
    """The CARP side of a carpN interface (FreeBSD up to 9): vhid 0 means that none was set yet."""

    vhid: int = 0
    advbase: int = 1
    advskew: int = 0
    key: bytes = field(default=b"", repr=False)
    parent: str = ""
    running: carp.Machine | None = None


@dataclass(slots=True)
class Interface:
    """``driver`` is the name at attach time, which a renamed interface still shows in its options and media.

    ``link`` is the carrier, ``announced`` that the log has told of it since the boot.  ``nic`` is the card underneath,
    also of a vlan interface (with ``tag``).  ``vhids`` are the CARP groups on it, in creation order (FreeBSD 10 and
    later).
    """

    name: str
    kind: Kind
    index: int
    driver: str = ""
    ether: str = ""
    nic: Nic | None = None
    tag: int | None = None
    parent: str = ""
    mtu: int = 1500
    up: bool = False
    link: bool = True
    ifdisabled: bool = False
    announced: bool = False
    addresses: list[Address] = field(default_factory=list)
    vhids: list[carp.Machine] = field(default_factory=list)
    pseudo: Pseudo | None = None
    peers: dict[int, tuple[str, str]] = field(default_factory=dict)

    @property
    def multicast(self) -> bool:
        return self.kind in {"ether", "vlan", "bridge", "loop"}

    @property
    def operational(self) -> bool:
        """Up, with a carrier: what CARP wants of its parent."""
        return self.up and self.link

    @property
    def promiscuous(self) -> bool:
        """CARP listens to the virtual addresses by promiscuous mode, as long as it has a vhid here."""
        return bool(self.vhids)

    def flags(self, *, promiscuous: bool, lower_up: bool) -> tuple[int, str]:
        """Return the flags as a number and as the list of names that ifconfig prints."""
        value = 0x1 if self.up else 0
        if self.kind == "loop":
            value |= 0x8 | 0x40 | 0x8000
        elif self.kind == "carp":
            value |= 0x8 | (0x40 if self.up and self.pseudo is not None and self.pseudo.running is not None else 0)
        else:
            value |= 0x2 | 0x800 | 0x8000 | (0x40 if self.up else 0)
        value |= 0x100 if promiscuous else 0
        value |= 0x1000000 if lower_up and self.operational else 0
        return value, ",".join(name for bit, name in _FLAGS if value & bit)

    def inet(self) -> Iterator[Address]:
        """Yield the IPv4 addresses in the order they were added."""
        return (address for address in self.addresses if address.ip.version == 4)

    def inet6(self) -> Iterator[Address]:
        """Yield the IPv6 addresses in the order they were added."""
        return (address for address in self.addresses if address.ip.version == 6)

    def find(self, ip: IPv4Address | IPv6Address) -> Address | None:
        return next((address for address in self.addresses if address.ip == ip), None)


def link_local(ether: str) -> IPv6Address:
    """Derive the link-local address from an Ethernet address (RFC 4291, appendix A)."""
    octets = bytes.fromhex(ether.replace(":", ""))
    return IPv6Address(b"\xfe\x80" + bytes(6) + bytes((octets[0] ^ 2, octets[1], octets[2], 0xFF, 0xFE)) + octets[3:6])
