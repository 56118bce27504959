"""What only the host can tell about an inventory: whether its interfaces and networks fit the groups."""

from __future__ import annotations

from collections.abc import Iterator

from bsdcarp.model import Finding, IfAddress, Severity, Vip
from bsdcarp.plaintext import printable
from bsdcarp.plan.check_linux import Problem, host_problems, interface_problems
from bsdcarp.platforms.desired import Desired, DesiredVhid
from bsdcarp.snapshot import NetworkInterface, Snapshot
from bsdcarp.textfiles.aliases import empty_aliases, numbered
from bsdcarp.textfiles.rcconf import RcConf

__all__ = ["check"]


def check(desired: Desired, snapshot: Snapshot) -> list[Finding]:
    """Return every reason why ``desired`` cannot work on this host; all of them are errors."""
    found = [
        Finding(rule, Severity.ERROR, message, remedy, host=desired.host)
        for rule, message, remedy in (*_kernel_problems(desired, snapshot), *host_problems(desired, snapshot))
    ]
    for vhid in desired.vhids:
        problems = dict.fromkeys(_problems(desired, vhid, snapshot))
        found += [Finding(*_told(problem), host=desired.host, group=vhid.group) for problem in problems]
    return found


def _told(problem: Problem) -> tuple[str, Severity, str, str]:
    rule, message, remedy = problem
    return rule, Severity.ERROR, message, remedy


def _kernel_problems(desired: Desired, snapshot: Snapshot) -> Iterator[Problem]:
    if desired.kernel == "module" and snapshot.securelevel > 0:
        yield (
            "host-securelevel",
            f"the securelevel is {snapshot.securelevel}, so the kernel loads no module",
            f'write {desired.module}_load="YES" into /boot/loader.conf and reboot, then apply again',
        )


def _problems(desired: Desired, vhid: DesiredVhid, snapshot: Snapshot) -> Iterator[Problem]:
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
    yield from interface_problems(vhid, interface, snapshot)
    yield from _hidden_aliases(desired, vhid.unit or vhid.interface)
    pseudo = desired.capabilities.syntax == "pseudo"
    if pseudo:
        yield from _other_unit(desired, vhid, interface, snapshot)
    for vip in vhid.addresses:
        yield from _taken(desired, vip, snapshot)
        own = [a for a in _own(interface) if a.version == vip.interface.version]
        if _covers(own, vip):
            if pseudo:
                yield from _parent_problems(vhid, vip, snapshot)
        # Up to FreeBSD 9 the interface is found by its network; from 10 on it may have the shared address alone.
        elif own or pseudo or vip.prefixlen == vip.interface.max_prefixlen:
            networks = ", ".join(str(network.network) for network in own) or "no address of that family"
            yield (
                "host-address-outside",
                f"{vip} lies outside the networks of {vhid.interface} ({networks})",
                "give the interface an address in that network, or correct the address",
            )


def _hidden_aliases(desired: Desired, interface: str) -> Iterator[Problem]:
    """An alias without a value ends rc's list (network.subr), so what is written behind it never comes up."""
    for path, file in desired.files.items():
        if "/rc.conf" not in path or not file.text:
            continue
        conf = RcConf.parse(file.text)
        highest = max((n for n, value in numbered(conf, interface).items() if value), default=-1)
        for name, line in empty_aliases(conf, interface):
            number = name.rpartition("alias")[2]
            if number.isdecimal() and int(number) < highest:
                yield (
                    "host-alias-empty",
                    f"{name} in line {line} of {path} is empty, which hides alias{highest} and all others behind it",
                    "delete that line, then apply again",
                )


def _own(interface: NetworkInterface) -> list[IfAddress]:
    """Return the interface's own addresses; a link-local one, which every IPv6 interface has, says nothing."""
    return [a.interface for a in interface.addresses if a.vhid == 0 and not _link_local(a.interface)]


def _link_local(address: IfAddress) -> bool:
    return address.version == 6 and address.ip.is_link_local


def _covers(own: list[IfAddress], vip: Vip) -> bool:
    return _link_local(vip.interface) or any(vip.interface.ip in address.network for address in own)


def _taken(desired: Desired, vip: Vip, snapshot: Snapshot) -> Iterator[Problem]:
    syntax = desired.capabilities.syntax
    ours = {(o.interface, a) for o in desired.previous.vhids for a in o.addresses} if syntax == "linux" else set()
    touched = {v.interface for v in desired.vhids} | {owned.interface for owned in desired.previous.vhids}
    for other in snapshot.interfaces.values():
        found = next((a for a in other.addresses if a.text == vip.address), None)
        if found is None or (syntax == "pseudo" and other.vhids):
            continue  # on carpN it is there because it is shared
        if (other.name, vip.address) in ours:
            continue  # a daemon on Linux puts it there while it is MASTER, and may have been killed as one
        # A link-local address is unique to its link only.
        if _link_local(vip.interface) and other.name not in touched:
            continue
        if not found.vhid:
            yield (
                "host-address-taken",
                f"{vip.address} is the host's own address on {printable(other.name)}",
                "a shared address must not be any member's own; take it off the interface or choose another",
            )
        elif other.name not in touched:
            yield (
                "host-address-elsewhere",
                f"{vip.address} is in vhid {found.vhid} on {printable(other.name)}, where bsdcarp did not put it",
                "take it off there by hand, or correct `interface:`",
            )


def _other_unit(desired: Desired, vhid: DesiredVhid, parent: NetworkInterface, snapshot: Snapshot) -> Iterator[Problem]:
    """Up to FreeBSD 9 a vhid can be there once per real interface; a second carpN is refused with EEXIST."""
    ours = {v.unit for v in desired.vhids} | {owned.interface for owned in desired.previous.vhids}
    for other in snapshot.interfaces.values():
        if other.name in ours or not other.vhid(vhid.vhid):
            continue
        if any(a.interface.ip in own.network for a in other.addresses for own in _own(parent)):
            yield (
                "host-vhid-taken",
                f"{printable(other.name)} already has vhid {vhid.vhid} on {vhid.interface}, with other addresses",
                "destroy it by hand, or choose another vhid",
            )


def _parent_problems(vhid: DesiredVhid, vip: Vip, snapshot: Snapshot) -> Iterator[Problem]:
    """Up to FreeBSD 9 the kernel takes the first multicast interface whose subnet holds the address."""
    for name, candidate in snapshot.interfaces.items():
        if "MULTICAST" not in candidate.flags or candidate.vhids:
            continue
        if any(a.version == vip.interface.version and vip.interface.ip in a.network for a in _own(candidate)):
            if name != vhid.interface:
                yield (
                    "host-other-parent",
                    f"the kernel would put {vip.address} on {printable(name)}, which also holds its network",
                    "keep the network on one interface, or name that one in the inventory",
                )
            return
