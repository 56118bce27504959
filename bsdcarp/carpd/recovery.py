"""What a carpd that died has left behind, found by its marks and by its journal, and removed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import ip_address

from bsdcarp.carpd.journal import Journal
from bsdcarp.carpd.parent import ALIAS
from bsdcarp.carpd.rtnl import requests
from bsdcarp.carpd.rtnl.messages import Address, Link
from bsdcarp.carpd.rtnl.requests import MARK
from bsdcarp.carpd.rtnl.route import Route
from bsdcarp.carpd.sysctls import Sysctls
from bsdcarp.carpd.traffic import is_ours

__all__ = ["delete_links", "recover"]

_ANY_TABLE = 0
_MANY = 100_000
# A group of interfaces that nobody else uses: 112, and the process.
_GROUP = 0x70000000


def recover(route: Route, journal: Journal, sysctls: Sysctls) -> tuple[str, ...]:
    """Remove macvlans, addresses, rules and routes of a dead carpd, and restore the sysctls it had changed.

    Call it with the journal's lock held, before anything is prepared: whatever is marked as ours is then stale.
    Returns one line for the log per thing removed.
    """
    links = {link.index: link for link in route.links()}
    work = [
        (f"removed stale address {address.ip} from {name}", requests.delete_address(address.ip, address.index))
        for address, name in _stale_addresses(route, journal, links)
    ]
    work += [
        (f"removed stale rule into table {rule.table}", requests.delete_rule(rule))
        for rule in route.rules()
        if is_ours(rule.table, rule.protocol)
    ]
    errors = route.attempt([request for _, request in work])
    said = [line for (line, _), code in zip(work, errors) if not code]  # noqa: B905 - strict= needs 3.10
    macvlans = [link for link in links.values() if _is_ours(link)]
    delete_links(route, [link.index for link in macvlans])
    said += [f"removed stale interface {link.name}" for link in macvlans]
    # Routes over a macvlan went with it; what is left are throw routes.
    stale = [r for r in route.routes(_ANY_TABLE, limit=_MANY, protocol=MARK) or () if is_ours(r.table, r.protocol)]
    if stale:
        route.attempt([requests.delete_route(each) for each in stale])
        said.append(f"removed {len(stale)} stale routes")
    said += [f"restored {path}" for path in sysctls.release_all()]
    for label in tuple(journal.presences):
        journal.note(label, None)
    return tuple(said)


def delete_links(route: Route, indexes: Sequence[int]) -> None:
    """Delete interfaces in one pass of the kernel: one by one, each waits for an RCU grace period, some 20 ms."""
    group = _GROUP | os.getpid() & 0xFFFFFF
    route.attempt([requests.set_group(index, group) for index in indexes])
    if indexes:
        route.attempt([requests.delete_group(group)])


def _is_ours(link: Link) -> bool:
    return link.kind == "macvlan" and link.alias.startswith(ALIAS)


def _stale_addresses(route: Route, journal: Journal, links: dict[int, Link]) -> list[tuple[Address, str]]:
    """The VIPs on interfaces that are not ours.  Before Linux 5.18 they bear no mark; then the journal knows them."""
    listed = {
        (each.parent, each.device, ip_address(text))
        for each in journal.presences.values()
        if not each.virtual_mac
        for text in each.addresses
    }
    found = []
    for address in route.addresses():
        link = links.get(address.index)
        if link is None or address.prefix != address.ip.max_prefixlen or _is_ours(link):
            continue
        if address.protocol == MARK or (address.index, link.name, address.ip) in listed:
            found.append((address, link.name))
    return found
