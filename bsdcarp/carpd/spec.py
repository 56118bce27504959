"""What of a vhid's configuration concerns the host's interfaces and addresses."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from typing import Union

from bsdcarp.carpd.rtnl.messages import IPAddress

__all__ = ["Interface", "Spec"]

Interface = Union[IPv4Interface, IPv6Interface]  # noqa: UP007 - evaluated, and X | Y needs 3.10


@dataclass(frozen=True)
class Spec:
    """What of a vhid's configuration concerns the host."""

    vhid: int
    interface: str
    addresses: tuple[Interface, ...]
    virtual_mac: bool = True
    arpbalance: bool = False
    """ARP is answered by the daemon, and the kernel keeps silent about these addresses."""

    @property
    def label(self) -> str:
        return f"{self.vhid}@{self.interface}"

    @property
    def vips(self) -> tuple[IPAddress, ...]:
        return tuple(dict.fromkeys(interface.ip for interface in self.addresses))

    @property
    def has_ipv6(self) -> bool:
        return any(interface.version == 6 for interface in self.addresses)
