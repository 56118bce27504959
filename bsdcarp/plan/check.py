"""What only the host can tell about an inventory: whether its interfaces and networks fit the groups."""

from __future__ import annotations

from collections.abc import Iterator

from bsdcarp.model import Finding, Severity, Vip
from bsdcarp.plaintext import printable
from bsdcarp.platforms.desired import Desired, DesiredVhid
from bsdcarp.snapshot import NetworkInterface, Snapshot

__all__ = ["check"]


def check(desired: Desired, snapshot: Snapshot) -> list[Finding]:
    """Return every reason why ``desired`` cannot work on this host; all of them are errors."""
    return [
        Finding(rule, Severity.ERROR, message, remedy, host=desired.host, group=vhid.group)
        for vhid in desired.vhids
        for rule, message, remedy in _problems(desired, vhid, snapshot)
    ]


def _problems(desired: Desired, vhid: DesiredVhid, snapshot: Snapshot) -> Iterator[tuple[str, str, str]]:
    interface = snapshot.interfaces.get(vhid.interface)
    if interface is None:
        there = ", ".join(sorted(map(printable, snapshot.interfaces))) or "none"
        yield (
            "host-interface-missing",
            f"there is no interface {vhid.interface}; the host has {there}",
            "correct `interface:`, or configure the interface first",
        )
        return
    if "MULTICAST" not in interface.flags:
        yield (
            "host-interface-multicast",
            f"{vhid.interface} cannot do multicast, so it cannot carry a vhid",
            "use an Ethernet, VLAN, bridge or lagg interface",
        )
    for vip in vhid.addresses:
        yield from _address_problems(desired, vhid, vip, interface, snapshot)


def _address_problems(
    desired: Desired, vhid: DesiredVhid, vip: Vip, interface: NetworkInterface, snapshot: Snapshot
) -> Iterator[tuple[str, str, str]]:
    for other in snapshot.interfaces.values():
        if other.vhids and desired.capabilities.syntax == "pseudo":
            continue  # carpN: the address is there because it is shared
        if any(a.vhid == 0 and a.text == vip.address for a in other.addresses):
            yield (
                "host-address-taken",
                f"{vip.address} is the host's own address on {other.name}",
                "a shared address must not be any member's own; take it off the interface or choose another",
            )
    own = [a.interface for a in interface.addresses if a.vhid == 0 and a.interface.version == vip.interface.version]
    if vip.interface.ip.is_link_local or any(vip.interface.ip in network.network for network in own):
        if desired.capabilities.syntax == "pseudo":
            yield from _parent_problems(vhid, vip, snapshot)
        return
    if own or desired.capabilities.syntax == "pseudo" or vip.prefixlen == vip.interface.max_prefixlen:
        networks = ", ".join(str(network.network) for network in own) or "no address of that family"
        yield (
            "host-address-outside",
            f"{vip} lies outside the networks of {vhid.interface} ({networks})",
            "give the interface an address in that network, or correct the address",
        )


def _parent_problems(vhid: DesiredVhid, vip: Vip, snapshot: Snapshot) -> Iterator[tuple[str, str, str]]:
    """Up to FreeBSD 9 the kernel takes the first multicast interface whose subnet holds the address."""
    for name, candidate in snapshot.interfaces.items():
        if "MULTICAST" not in candidate.flags or candidate.vhids:
            continue
        if any(
            a.interface.version == vip.interface.version and vip.interface.ip in a.interface.network
            for a in candidate.addresses
        ):
            if name != vhid.interface:
                yield (
                    "host-other-parent",
                    f"the kernel would put {vip.address} on {name}, not on {vhid.interface}: both hold its network",
                    "keep the network on one interface, or name that one in the inventory",
                )
            return
