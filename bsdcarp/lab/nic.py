"""A network card of a simulated machine, as the person who racks it would describe it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Nic", "driver_of"]


@dataclass(frozen=True, slots=True)
class Nic:
    """``name`` as the kernel calls it (em0), ``ether`` its address, ``segment`` the name of the broadcast domain.

    ``vlan`` is the VLAN of an access port: frames the machine sends untagged travel in that VLAN of the segment.
    ``None`` is the native VLAN.  Frames of vlan interfaces on top of this card travel with their own tag.
    """

    name: str
    ether: str
    segment: str = "lan"
    vlan: int | None = None


@dataclass(frozen=True, slots=True)
class Driver:
    """What ``ifconfig`` prints for a card of this driver."""

    options: str
    media: str


# vtnet as recorded on FreeBSD 9.3, 10.4 and 12.1; em from em(4) of the same releases.
_DRIVERS = {
    "vtnet": Driver("80028<VLAN_MTU,JUMBO_MTU,LINKSTATE>", "Ethernet 10Gbase-T <full-duplex>"),
    "em": Driver(
        "9b<RXCSUM,TXCSUM,VLAN_MTU,VLAN_HWTAGGING,VLAN_HWCSUM>", "Ethernet autoselect (1000baseT <full-duplex>)"
    ),
}
_OTHER = Driver("8<VLAN_MTU>", "Ethernet autoselect (1000baseT <full-duplex>)")


def driver_of(interface: str) -> Driver:
    """Look up the driver by the letters of the interface's name."""
    return _DRIVERS.get(interface.rstrip("0123456789"), _OTHER)
