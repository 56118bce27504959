"""rc.d/netif for one host: from variables to addresses and vhids, for both eras.

Every ifconfig call is followed in rc's order.  From FreeBSD 10 on a call with ``vhid N`` creates or changes that vhid
and attaches its address; up to 9 the vhid belongs to carpN, and its address needs a real interface in its subnet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from types import MappingProxyType

from bsdcarp.dataclass import dataclass
from bsdcarp.judge.bootaliases import Call, alias_calls
from bsdcarp.judge.bootifs import UNIT
from bsdcarp.judge.bootstate import BootVhid
from bsdcarp.judge.ifargs import Entry, cut, read_entry
from bsdcarp.judge.notes import Notes
from bsdcarp.judge.rcvalues import RcValues
from bsdcarp.model import IfAddress, Place
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.snapshot import Snapshot
from bsdcarp.textfiles.alias import variable_name

__all__ = ["Network", "boot_network", "own_addresses"]

_PSEUDO_ARGUMENTS = frozenset({"DHCP", "SYNCDHCP", "NOSYNCDHCP", "WPA", "HOSTAP", "NOAUTO"})
_DHCP = frozenset({"DHCP", "SYNCDHCP", "NOSYNCDHCP"})


@dataclass(slots=True)
class Network:
    """What netif has configured so far."""

    vhids: dict[tuple[str, int], BootVhid] = field(default_factory=dict)
    own: dict[str, tuple[IfAddress, ...]] = field(default_factory=dict)
    dynamic: set[str] = field(default_factory=set)
    bare: set[str] = field(default_factory=set)
    """Interfaces for which no variable says anything but VIPs."""


def own_addresses(snapshot: Snapshot, interface: str) -> tuple[IfAddress, ...]:
    """Return the addresses of ``interface`` as it runs now that belong to no vhid, link-local ones left out."""
    found = snapshot.interfaces.get(interface)
    return tuple(a.interface for a in found.addresses_of(0) if not a.interface.is_link_local) if found else ()


def boot_network(
    snapshot: Snapshot,
    can: Capabilities,
    rc: RcValues,
    interfaces: tuple[str, ...],
    notes: Notes,
    *,
    carp: bool,
) -> Network:
    """Configure ``interfaces`` (real ones first, carpN last) as rc would; without ``carp`` every vhid is refused."""
    netif = _Netif(snapshot, can, rc, notes, carp=carp)
    for interface in interfaces:
        netif.start(interface)
    return netif.network


class _Netif:
    def __init__(self, snapshot: Snapshot, can: Capabilities, rc: RcValues, notes: Notes, *, carp: bool) -> None:
        self.snapshot = snapshot
        self.can = can
        self.rc = rc
        self.notes = notes
        self.carp = carp
        self.network = Network()
        self.parents: dict[tuple[str, int], str] = {}

    def start(self, interface: str) -> None:
        """ifn_start(): the interface itself, its IPv6 line, then the aliases of both families."""
        variable = variable_name(interface)
        unit = self.can.syntax == "pseudo" and bool(UNIT.fullmatch(interface))
        self._main(interface, f"ifconfig_{variable}", unit=unit)
        if self.can.ipv6:
            self._main(interface, f"ifconfig_{variable}_ipv6", unit=unit)
        inet, inet6 = alias_calls(interface, self.can, self.rc, self.notes)
        if not self._ipv6_on(variable):
            self._without_ipv6(interface, inet6)
            inet6 = []
        for call in (*inet, *inet6):
            self._run(interface, call, unit=unit)

    def _main(self, interface: str, name: str, *, unit: bool) -> None:
        value = self.rc.get(name)
        source = name
        if value is None and not unit and name == f"ifconfig_{variable_name(interface)}":
            value, source = self.rc.get("ifconfig_DEFAULT"), "ifconfig_DEFAULT"
            if value is None:
                self.network.bare.add(interface)
        words = (value or "").split()
        if _DHCP & {word.upper() for word in words}:
            self.network.dynamic.add(interface)
        kept = " ".join(word for word in words if word.upper() not in _PSEUDO_ARGUMENTS)
        default = "inet6" if name.endswith("_ipv6") else "inet"
        for component in cut(kept, default):
            if component[0] in ("inet", "inet6"):
                self._run(interface, Call(component, source, self.rc.origin(source)), unit=unit)

    def _ipv6_on(self, variable: str) -> bool:
        """ipv6if(): without one of these variables rc passes over every inet6 alias."""
        chosen = self.rc.get("ipv6_network_interfaces")
        if not self.can.ipv6 or (chosen is not None and chosen.strip().lower() not in ("auto", variable)):
            return False
        names = (f"ifconfig_{variable}_ipv6", f"ipv6_prefix_{variable}", f"ipv6_ifconfig_{variable}")
        return any(self.rc.get(name) for name in names)

    def _without_ipv6(self, interface: str, skipped: list[Call]) -> None:
        if skipped:
            variable = f"ifconfig_{variable_name(interface)}_ipv6"
            self.notes.error(
                "persist-ipv6-variable",
                f"{skipped[0].variable} and every other inet6 alias of {interface} is ignored, because {variable} is "
                "not set",
                f'write {variable}="inet6 auto_linklocal" into /etc/rc.conf',
                self._at(skipped[0]),
                interface=interface,
            )

    def _at(self, call: Call) -> Place:
        return self.notes.place(call.origin.path, call.origin.line)

    def _run(self, interface: str, call: Call, *, unit: bool) -> None:
        entry = read_entry(call.words, unicast=self.can.unicast, ordered=self.can.syntax == "vhid")
        if entry.vhid is not None and not unit and self.can.syntax == "pseudo":
            self.notes.warning(
                "persist-ifconfig-refused",
                f"ifconfig will refuse {call.variable}: this release knows vhid on carpN only",
                "move it to a carpN of its own, or remove it",
                self._at(call),
                interface=interface,
            )
        elif entry.wrong:
            self.notes.error(
                "persist-ifconfig-refused",
                f"ifconfig will refuse {call.variable}: {entry.wrong}",
                "correct the value",
                self._at(call),
                interface=interface,
            )
        elif unit:
            self._unit(interface, entry, call)
        elif entry.vhid is not None:
            self._vhid(interface, entry, call)
        elif entry.address:
            self._add_own(interface, entry.address, call)

    def _add_own(self, interface: str, address: IfAddress, call: Call) -> None:
        holder = self._holder(interface, address)
        if holder:
            self._conflict(holder, address, call)
        self.network.own[interface] = (*self.network.own.get(interface, ()), address)

    def _vhid(self, interface: str, entry: Entry, call: Call) -> None:
        """FreeBSD 10 and later: the vhid first, then the address (sbin/ifconfig/carp.c)."""
        if not self.carp or entry.vhid is None:
            return
        key = (interface, entry.vhid)
        vhid = self._changed(self.network.vhids.get(key), key, entry, call)
        if self.can.unicast:
            # A call without peer sets the vhid back to multicast.
            said = MappingProxyType({**vhid.said, "peer": self._at(call), "peer6": self._at(call)})
            vhid = replace(vhid, peer=entry.peer, peer6=entry.peer6, said=said)
        self.network.vhids[key] = vhid
        if entry.address:
            self._attach(key, entry.address, call)

    def _changed(self, vhid: BootVhid | None, key: tuple[str, int], entry: Entry, call: Call) -> BootVhid:
        vhid = vhid or BootVhid(key[0], key[1], place=self._at(call))
        named = ("advbase", entry.advbase), ("advskew", entry.advskew), ("password", entry.password)
        said = {name: self._at(call) for name, value in named if value is not None}
        return replace(
            vhid,
            advbase=vhid.advbase if entry.advbase is None else entry.advbase,
            advskew=vhid.advskew if entry.advskew is None else entry.advskew,
            password=entry.password or vhid.password,
            said=MappingProxyType({**vhid.said, **said}),
        )

    def _holder(self, interface: str, address: IfAddress) -> BootVhid | None:
        here = (v for v in self.network.vhids.values() if v.interface == interface)
        return next((v for v in here if any(a.ip == address.ip for a in v.addresses)), None)

    def _attach(self, key: tuple[str, int], address: IfAddress, call: Call) -> None:
        holder = self._holder(key[0], address)
        if holder and (holder.interface, holder.vhid) == key:
            self._again(holder, address, call)
            return
        if holder:
            self._conflict(holder, address, call)
        elif any(own.ip == address.ip for own in self.network.own.get(key[0], ())):
            self.network.own[key[0]] = tuple(a for a in self.network.own[key[0]] if a.ip != address.ip)
        vhid = self.network.vhids[key]
        places = MappingProxyType({**vhid.address_places, str(address.ip): self._at(call)})
        self.network.vhids[key] = replace(vhid, addresses=(*vhid.addresses, address), address_places=places)

    def _again(self, vhid: BootVhid, address: IfAddress, call: Call) -> None:
        say, what = self.notes.warning, "restarts the vhid"
        if self.can.readd_destroys and len(vhid.addresses) == 1:
            say, what = self.notes.error, "destroys the vhid on this release"
            del self.network.vhids[vhid.interface, vhid.vhid]
        say(
            "persist-alias-duplicate",
            f"{address.ip} is attached to vhid {vhid.vhid} a second time by {call.variable}, which {what}",
            "remove one of the two lines",
            self._at(call),
            interface=vhid.interface,
        )

    def _conflict(self, holder: BootVhid, address: IfAddress, call: Call) -> None:
        """The later line wins; the vhid that loses its last address stays behind in INIT (recorded on 12.1)."""
        self.notes.error(
            "persist-alias-conflict",
            f"{call.variable} takes {address.ip} away from vhid {holder.vhid}",
            "keep one line per address",
            self._at(call),
            interface=holder.interface,
        )
        kept = tuple(a for a in holder.addresses if a.ip != address.ip)
        self.network.vhids[holder.interface, holder.vhid] = replace(holder, addresses=kept)

    def _unit(self, unit: str, entry: Entry, call: Call) -> None:
        """Up to FreeBSD 9: carpN carries one vhid, and every address needs a parent."""
        if not self.carp:
            return
        before = next((v for v in self.network.vhids.values() if v.interface == unit), None)
        number = entry.vhid or (before.vhid if before else 0)
        if before and number != before.vhid:
            del self.network.vhids[unit, before.vhid]
            before = replace(before, vhid=number)
        if not number:
            return
        key = (unit, number)
        self.network.vhids[key] = self._changed(before, key, entry, call)
        if entry.address and self._has_parent(unit, number, entry.address, call):
            self._attach(key, entry.address, call)
            self._owner(key, entry.address, call)

    def _has_parent(self, unit: str, number: int, address: IfAddress, call: Call) -> bool:
        parent = next((name for name, own in self._networks().items() if any(_covers(o, address) for o in own)), "")
        if not parent:
            self.notes.error(
                "persist-parent-address",
                f"no interface has an address in {address.network} at boot, so {unit} cannot take {address.ip}",
                "give the real interface its own address in that network",
                self._at(call),
                interface=unit,
            )
            return False
        other = self.parents.setdefault((parent, number), unit)
        if other != unit:
            self.notes.error(
                "persist-vhid-duplicate",
                f"{unit} and {other} both use vhid {number} on {parent}; the kernel refuses the second",
                "give every carpN its own vhid",
                self._at(call),
                interface=unit,
            )
            return False
        return True

    def _networks(self) -> Mapping[str, tuple[IfAddress, ...]]:
        """DHCP's address is in no file; today's is the best guess."""
        known = {name: own for name, own in self.network.own.items() if own}
        for name in self.network.dynamic:
            known[name] = (*known.get(name, ()), *own_addresses(self.snapshot, name))
        return known

    def _owner(self, key: tuple[str, int], address: IfAddress, call: Call) -> None:
        if not self.can.owner_advskew_zero or not self.network.vhids[key].advskew:
            return
        owner = next((n for n, own in self._networks().items() if any(o.ip == address.ip for o in own)), "")
        if owner:
            self.notes.warning(
                "persist-owner",
                f"{address.ip} is {owner}'s own address too, so the kernel silently sets advskew 0 on {key[0]}",
                "use an address that no host owns",
                self._at(call),
                interface=key[0],
            )
            self.network.vhids[key] = replace(self.network.vhids[key], advskew=0)


def _covers(own: IfAddress, address: IfAddress) -> bool:
    return own.version == address.version and address.ip in own.network
