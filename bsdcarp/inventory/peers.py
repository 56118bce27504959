"""Unicast peers: ``peer: auto``, one address for all, or one per member, worked out to an address per member.

ifconfig takes one IPv4 and one IPv6 destination for a vhid (``peer``, ``peer6``; sbin/ifconfig/carp.c of FreeBSD 14.0),
so a member has at most one of each.
"""

from __future__ import annotations

from collections.abc import Mapping as ReadMapping
from contextlib import suppress
from dataclasses import field, replace
from ipaddress import ip_address

from bsdcarp.dataclass import dataclass
from bsdcarp.inventory.hosts import OwnAddresses
from bsdcarp.inventory.nodes import Mapping, Node, Scalar, Sequence
from bsdcarp.inventory.reader import Path, Reader, did_you_mean, in_words
from bsdcarp.model import Host, Member, Place, Vip

__all__ = ["Pair", "Peers", "fill_peers", "read_peer_pair", "read_peers"]

Pair = tuple[str | None, str | None]
"""An IPv4 and an IPv6 peer, either may be missing."""

_NOBODY: Pair = (None, None)


@dataclass(frozen=True, slots=True)
class Peers:
    """What ``peer:`` of a group says."""

    auto: bool = False
    everyone: Pair = _NOBODY
    each: ReadMapping[str, Pair] = field(default_factory=dict)
    places: ReadMapping[str, Place] = field(default_factory=dict)
    """Where each member of ``each`` is named."""
    place: Place = field(default_factory=Place)


def read_peers(reader: Reader, node: Node, path: Path) -> Peers:
    """Read ``auto``, an address, a list of one address per family, or a mapping from member to these."""
    if isinstance(node, Mapping):
        entries = reader.entries(node, path)
        each = {key.text: _read_pair(reader, value, (*path, key.text)) for key, value in entries}
        return Peers(each=each, places={key.text: key.place for key, _ in entries}, place=node.place)
    if isinstance(node, Scalar) and node.text == "auto":
        return Peers(auto=True, place=node.place)
    return Peers(everyone=_read_pair(reader, node, path), place=node.place)


def read_peer_pair(reader: Reader, fields: ReadMapping[str, Node], path: Path) -> Pair:
    """Read ``peer`` and ``peer6`` of one member."""
    pair: list[str | None] = []
    for key, version in (("peer", 4), ("peer6", 6)):
        address = reader.bare_address(fields[key], (*path, key)) if key in fields else None
        if address is not None and address.version != version:
            other = "peer6" if key == "peer" else "peer"
            message = f"{key} is an IPv{version} address, {address} is not"
            reader.report("wrong-value", fields[key].place, message, f"write {other}: {address}", path=path)
            address = None
        pair.append(None if address is None else str(address))
    return pair[0], pair[1]


def _read_pair(reader: Reader, node: Node, path: Path) -> Pair:
    found: dict[int, str] = {}
    if isinstance(node, Sequence) and not node.items:
        reader.report(
            "missing-key", node.place, f"{in_words(path)} is empty", "name an address, or drop peer", path=path
        )
    for item in node.items if isinstance(node, Sequence) else (node,):
        address = reader.bare_address(item, path)
        if address is None:
            continue
        if address.version in found:
            message = f"a second IPv{address.version} peer; a vhid sends to one address of each family"
            reader.report("wrong-value", item.place, message, "keep one of each family", path=path)
        found.setdefault(address.version, str(address))
    return found.get(4), found.get(6)


def fill_peers(
    reader: Reader,
    path: Path,
    peers: Peers,
    members: tuple[Member, ...],
    addresses: tuple[Vip, ...],
    hosts: ReadMapping[str, Host],
    own: ReadMapping[str, OwnAddresses],
) -> tuple[Member, ...]:
    """Return ``members`` with the group's peers put in where a member has none of its own."""
    for name in peers.each:
        if not any(member.host == name for member in members):
            message = f"peer names {name}, which is not a member of group {path[1]}"
            remedy = did_you_mean(name, (member.host for member in members)) or "name a member"
            reader.report("wrong-value", peers.places[name], message, remedy, path=path)
    if peers.auto and len(members) != 2:
        message = f"peer: auto needs exactly two members, group {path[1]} has {len(members)}"
        remedy = "a vhid sends to one peer only; drop peer, multicast reaches all"
        reader.report("peer-unresolved", peers.place, message, remedy, path=path)
        return members
    filled = []
    for index, member in enumerate(members):
        pair = peers.each.get(member.host, peers.everyone)
        if peers.auto:
            pair = _other_end(reader, path, peers, members[1 - index], addresses, hosts, own)
        filled.append(replace(member, peer=member.peer or pair[0], peer6=member.peer6 or pair[1]))
    return tuple(filled)


def _other_end(
    reader: Reader,
    path: Path,
    peers: Peers,
    other: Member,
    addresses: tuple[Vip, ...],
    hosts: ReadMapping[str, Host],
    own: ReadMapping[str, OwnAddresses],
) -> Pair:
    """Return where ``other`` can be reached: its own addresses on the interface, else the address that SSH uses."""
    if other.host not in hosts:
        return _NOBODY  # the rule about unknown hosts speaks of it
    known = [address.ip for address in own.get(other.host, {}).get(other.interface, ())]
    with suppress(ValueError):  # a name is left out: what it resolves to here need not be what the other member reaches
        known.append(ip_address(hosts[other.host].address))
    pair = []
    for version in (4, 6):
        wanted = any(vip.interface.version == version for vip in addresses)
        found = next((str(address) for address in known if address.version == version), None)
        if wanted and found is None:
            message = f"the inventory gives no own IPv{version} address of {other.host}"
            example = f"interfaces: {{{other.interface or 'IF'}: ADDRESS/LENGTH}}"
            remedy = f"add {example} to host {other.host}, or write the peers"
            reader.report("peer-unresolved", peers.place, message, remedy, path=path)
        pair.append(found if wanted else None)
    return pair[0], pair[1]
