"""Whether a vhid can work on an interface, and if not, why and what to do instead.  Pure but for ``is_wireless``."""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from bsdcarp.carpd.errors import Refused
from bsdcarp.carpd.rtnl.messages import Address, Link

__all__ = ["ALIAS", "alias_of", "device_name", "is_wireless", "objection", "written_mac"]

ALIAS = "bsdcarp vhid "
_ETHERNET = 1
_SIOCGIWNAME = 0x8B01
_MACVLANS = ("macvlan", "macvtap")


def alias_of(vhid: int, interface: str) -> str:
    """The mark of a macvlan that is ours."""
    return f"{ALIAS}{vhid} on {interface}"


def device_name(vhid: int, parent: int) -> str:
    """The name of the macvlan: at most 15 bytes, and the same after each restart."""
    return f"carp{vhid}.{parent % 10_000_000}"


def written_mac(mac: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in mac)


def is_wireless(interface: str) -> bool:
    """Whether it is a radio: by the wireless extensions, or by what sysfs says of a driver without them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            name = interface.encode("utf-8", "surrogateescape")
            fcntl.ioctl(sock, _SIOCGIWNAME, struct.pack("16s16x", name))
        except OSError:
            return Path("/sys/class/net", interface, "phy80211").exists()
        return True


def objection(
    parent: Link,
    *,
    vhid: int,
    mac: bytes | None,
    vips: Collection[IPv4Address | IPv6Address],
    links: Iterable[Link],
    addresses: Iterable[Address],
    wireless: bool = False,
) -> Refused | None:
    """Why this vhid cannot work on ``parent``, or None.  ``mac`` is the virtual MAC, None without one."""
    name = parent.name
    known = {link.index: link for link in links}
    if parent.arptype != _ETHERNET:
        return Refused("not an Ethernet interface", place=name, remedy="CARP needs an Ethernet segment")
    if parent.master is not None:
        master = known.get(parent.master)
        called = master.name if master else f"interface {parent.master}"
        return Refused(
            f"is a port of {called}",
            place=name,
            remedy=f"give vhid {vhid} the interface {called}, which has the traffic",
        )
    if mac is not None:
        if wireless:
            return Refused(
                "is wireless, and access points drop frames from a virtual MAC",
                place=name,
                remedy="set virtual_mac to false for this vhid",
            )
        rival = _rival(parent, mac, vhid, known.values())
        if rival:
            return Refused(
                f"{rival} has the MAC {written_mac(mac)} of vhid {vhid} already",
                place=name,
                remedy="keepalived or VRRP with the same id? Use another vhid, or set virtual_mac to false",
            )
    for address in addresses:
        link = known.get(address.index)
        if address.ip in vips and not (link and link.alias.startswith(ALIAS)):
            called = link.name if link else f"interface {address.index}"
            return Refused(
                f"{address.ip} of vhid {vhid} is configured on {called} already",
                place=name,
                remedy="remove it there: carpd adds it while this host is MASTER",
            )
    return None


def _rival(parent: Link, mac: bytes, vhid: int, links: Iterable[Link]) -> str:
    """The name of another interface on the same parent with this MAC; two cannot be up at the same time."""
    if parent.mac == mac:
        return parent.name
    ours = alias_of(vhid, parent.name)
    for link in links:
        if link.kind in _MACVLANS and link.parent == parent.index and link.mac == mac and link.alias != ours:
            return link.name
    return ""
