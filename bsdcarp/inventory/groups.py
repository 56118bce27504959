"""Reads ``groups:``; hosts must have been read before, for interfaces and peers."""

from __future__ import annotations

from collections.abc import Mapping as ReadMapping

from bsdcarp.inventory.hosts import OwnAddresses
from bsdcarp.inventory.nodes import Mapping, Node, Scalar
from bsdcarp.inventory.peers import Peers, fill_peers, read_peer_pair, read_peers
from bsdcarp.inventory.reader import Path, Reader
from bsdcarp.inventory.rules.registry import UNREAD_VHID
from bsdcarp.inventory.settings import read_password, read_sysctl
from bsdcarp.model import Group, Host, Member, PasswordSource, SysctlWish, Vip

__all__ = ["default_advskews", "read_group"]

_GROUP = ("vhid", "password", "addresses", "members", "advbase", "peer", "sysctl", "protocol", "segment")
_MEMBER = ("host", "advskew", "interface", "peer", "peer6")
_BELONGS_TO_MEMBER = {
    "advskew": "advskew belongs to a member: members: [{host: NAME, advskew: 50}]",
    "interface": "interface belongs to a host or to a member: members: [{host: NAME, interface: em1}]",
    "address": "write addresses: [ADDRESS/LENGTH]",
    "vip": "write addresses: [ADDRESS/LENGTH]",
    "pass": "write password",
    "hosts": "write members",
    "peer6": "write peer, it takes both families",
}


_UNREAD_PASSWORD = PasswordSource("env", "")


def default_advskews(count: int) -> tuple[int, ...]:
    """Return the advskew of each of ``count`` members: 0, 100, 200, and evenly spread up to 240 from four on.

    The first member answers first.  240 is the highest skew that is told apart on the wire (CARP_MAXSKEW in
    sys/netinet/ip_carp.c), so more than 241 members get equal ones, which a rule then refuses.
    """
    if count <= 3:
        return (0, 100, 200)[:count]
    return tuple(index * 240 // (count - 1) for index in range(count))


def read_group(
    reader: Reader, key: Scalar, node: Node, hosts: ReadMapping[str, Host], own: ReadMapping[str, OwnAddresses]
) -> Group | None:
    """Read one entry of ``groups:``; None when it is no mapping.

    A part that could not be read is left empty, so that rules can judge the others; findings say that it is unusable.
    """
    path = ("groups", key.text)
    required = ("vhid", "password", "addresses", "members")
    fields = reader.fields(node, path, _GROUP, required=required, elsewhere=_BELONGS_TO_MEMBER)
    if fields is None:
        return None
    vhid = reader.integer(fields["vhid"], (*path, "vhid")) if "vhid" in fields else None
    password = read_password(reader, fields["password"], (*path, "password")) if "password" in fields else None
    addresses = _read_addresses(reader, fields["addresses"], (*path, "addresses")) if "addresses" in fields else ()
    peers = read_peers(reader, fields["peer"], (*path, "peer")) if "peer" in fields else Peers()
    members = _read_members(reader, fields["members"], (*path, "members"), hosts) if "members" in fields else ()
    advbase = reader.integer(fields["advbase"], (*path, "advbase")) if "advbase" in fields else 1
    sysctl = read_sysctl(reader, fields["sysctl"], (*path, "sysctl")) if "sysctl" in fields else SysctlWish()
    segment = reader.text(fields["segment"], (*path, "segment")) if "segment" in fields else ""
    if "protocol" in fields:
        reader.choice(fields["protocol"], (*path, "protocol"), ("carp",))
    members = fill_peers(reader, path, peers, members, addresses, hosts, own)
    return Group(
        name=key.text,
        vhid=UNREAD_VHID if vhid is None else vhid,
        password=password or _UNREAD_PASSWORD,
        addresses=addresses,
        members=members,
        advbase=1 if advbase is None else advbase,
        sysctl=sysctl,
        segment=segment or "",
        place=key.place,
    )


def _read_addresses(reader: Reader, node: Node, path: Path) -> tuple[Vip, ...]:
    if isinstance(node, Scalar) and node.kind == "text":
        reader.wrong(node, path, "a list of addresses", "write it in brackets: [192.0.2.1/24]")
        return ()
    items = reader.items(node, path, "addresses")
    if items is not None and not items:
        _report_empty(reader, node, path, "an address", "[192.0.2.1/24]")
    read = [(item, reader.interface_address(item, path)) for item in items or ()]
    return tuple(Vip(address, item.place) for item, address in read if address is not None)


def _read_members(reader: Reader, node: Node, path: Path, hosts: ReadMapping[str, Host]) -> tuple[Member, ...]:
    items = reader.items(node, path, "hosts")
    if items is not None and not items:
        _report_empty(reader, node, path, "a host", "[server1, server2]")
    skews = default_advskews(len(items or ()))
    read = (_read_member(reader, item, path, skew, hosts) for item, skew in zip(items or (), skews, strict=True))
    return tuple(member for member in read if member is not None)


def _report_empty(reader: Reader, node: Node, path: Path, what: str, example: str) -> None:
    message = f"{path[-1]} of group {path[1]} is empty"
    reader.report("missing-key", node.place, message, f"name {what}: {path[-1]}: {example}", path=path)


def _read_member(reader: Reader, node: Node, path: Path, skew: int, hosts: ReadMapping[str, Host]) -> Member | None:
    """Read ``server1`` or ``{host: server1, advskew: 50, interface: em1, peer: 192.0.2.3}``."""
    if not isinstance(node, Mapping):
        name = reader.text(node, path, "the name of a host, or {host: NAME, advskew: 50}")
        host = hosts.get(name or "")
        return Member(name, skew, (host.interface if host else None) or "", place=node.place) if name else None
    fields = reader.fields(node, path, _MEMBER, required=("host",))
    if fields is None or "host" not in fields:
        return None
    name = reader.text(fields["host"], (*path, "host"))
    given = reader.integer(fields["advskew"], (*path, "advskew")) if "advskew" in fields else None
    interface = reader.text(fields["interface"], (*path, "interface")) if "interface" in fields else None
    peer, peer6 = read_peer_pair(reader, fields, path)
    if name is None:
        return None
    host = hosts.get(name)
    return Member(
        host=name,
        advskew=skew if given is None else given,
        interface=interface or (host.interface if host else None) or "",
        peer=peer,
        peer6=peer6,
        place=node.place,
        advskew_given=given is not None,
    )
