"""Adding and removing addresses in a simulated kernel (in_control and in6_control of sys/netinet and sys/netinet6)."""

from __future__ import annotations

import errno
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from bsdcarp.lab.errnos import kernel_error
from bsdcarp.lab.interface import Address, Interface, link_local

if TYPE_CHECKING:
    from bsdcarp.lab.kernel import Kernel

__all__ = ["Addressing", "classful_prefix"]


def classful_prefix(ip: IPv4Address) -> int:
    """Return the prefix length that an IPv4 address without a mask gets: that of its class."""
    first = int(ip) >> 24
    return 8 if first < 128 else 16 if first < 192 else 24


class Addressing:
    """SIOCAIFADDR and SIOCDIFADDR for one kernel.  Failures are OSError with FreeBSD's errno and text."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def add(self, interface: Interface, address: Address) -> None:
        """Add an address, replacing the same one, and set the interface up."""
        kernel = self._kernel
        if address.vhid and kernel.vhids is None:
            raise kernel_error(errno.EPROTONOSUPPORT)
        present = interface.find(address.ip)
        if interface.kind == "carp":
            self._add_to_pseudo(interface, address, present)
            return
        if present is not None:
            if present == address and kernel.release.readd_keeps_role:
                return
            stays = present.vhid == address.vhid or kernel.release.orphan_vhid_stays
            self._remove(interface, present, keep=stays and not kernel.release.readd_loses_vhid)
        interface.addresses.append(address)
        if address.vhid and kernel.vhids is not None:
            try:
                kernel.vhids.attach(interface, address)
            except OSError:
                interface.addresses.remove(address)
                raise
        if not interface.up:
            kernel.set_up(interface, up=True)

    def delete(self, interface: Interface, ip: IPv4Address | IPv6Address) -> None:
        """Remove an address; EADDRNOTAVAIL when it is not there."""
        present = interface.find(ip)
        if present is None:
            raise kernel_error(errno.EADDRNOTAVAIL)
        self._remove(interface, present, keep=False)

    def delete_first(self, interface: Interface, version: int) -> None:
        """Remove the first address of a family, as ifconfig without the word alias does; EADDRNOTAVAIL without any."""
        first = next((each for each in interface.addresses if each.ip.version == version), None)
        if first is None:
            raise kernel_error(errno.EADDRNOTAVAIL)
        self._remove(interface, first, keep=False)

    def interface_came_up(self, interface: Interface) -> None:
        """Give an interface that was just set up its link-local address, where the release does."""
        rc = self._kernel.release.rc
        wanted = self._kernel.auto_linklocal and (rc.link_local_anyway or not interface.ifdisabled)
        if interface.kind == "loop":
            for ip, prefixlen in ((IPv6Address("::1"), 128), (IPv6Address("fe80::1"), 64)):
                if interface.find(ip) is None:
                    interface.addresses.insert(0 if prefixlen == 128 else 1, Address(ip, prefixlen))
        elif interface.ether and wanted:
            ip = link_local(interface.ether)
            if interface.find(ip) is None:
                interface.addresses.append(Address(ip, 64))

    def _remove(self, interface: Interface, address: Address, *, keep: bool) -> None:
        interface.addresses.remove(address)
        route = self._kernel.default_route
        if route is not None and not address.vhid and route in address.network:
            self._kernel.default_route = None
        if self._kernel.pseudo is not None and interface.kind == "carp":
            self._kernel.pseudo.detach(interface)
        elif address.vhid and self._kernel.vhids is not None:
            self._kernel.vhids.detach(interface, address.vhid, keep=keep)

    def _add_to_pseudo(self, interface: Interface, address: Address, present: Address | None) -> None:
        if self._kernel.pseudo is None:
            raise kernel_error(errno.ENXIO)
        if present is not None:
            interface.addresses.remove(present)
        self._kernel.pseudo.attach(interface, address)
