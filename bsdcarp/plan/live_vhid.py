"""Live commands for FreeBSD 10 and later.

Adding or re-adding an address restarts its vhid (MASTER, INIT, BACKUP), changing parameters alone does not (both
recorded on FreeBSD 12.1): so parameters are set in a command of their own, and only addresses that differ are
touched.  The word ``alias`` is always there; without it ifconfig(8) takes the interface's own first address away.
"""

from __future__ import annotations

from collections.abc import Iterator

from bsdcarp.model import Secret
from bsdcarp.plan.change import LiveChange
from bsdcarp.plan.command import Command, command
from bsdcarp.platforms.desired import Desired, DesiredVhid
from bsdcarp.snapshot import InterfaceAddress, NetworkInterface, Snapshot, VhidState
from bsdcarp.textfiles.alias import parse_alias, variable_name

__all__ = ["changes"]

_GROUP, _GROUP6 = "224.0.0.18", "ff02::12"


def changes(desired: Desired, snapshot: Snapshot) -> list[LiveChange]:
    """Return the commands, removals first: an address that moves to another vhid must be free before."""
    found: list[LiveChange] = []
    for name in _interfaces(desired):
        interface = snapshot.interfaces.get(name)
        if interface is None:
            continue
        found += _removals(desired, interface)
        for vhid in desired.on(name):
            found += _vhid_changes(desired, vhid, interface, snapshot)
    return found


def _interfaces(desired: Desired) -> list[str]:
    names = [vhid.interface for vhid in desired.vhids] + [owned.interface for owned in desired.previous.vhids]
    return list(dict.fromkeys(names))


def _removals(desired: Desired, interface: NetworkInterface) -> Iterator[LiveChange]:
    wanted = {(v.vhid, a.address): a.prefixlen for v in desired.on(interface.name) for a in v.addresses}
    numbers = {v.vhid for v in desired.on(interface.name)}
    owned = {(o.vhid, a) for o in desired.previous.vhids if o.interface == interface.name for a in o.addresses}
    moving = {a.address for v in desired.on(interface.name) for a in v.addresses}
    for address in interface.addresses:
        key = (address.vhid, address.text)
        if not address.vhid or wanted.get(key) == address.interface.network.prefixlen:
            continue
        # Gone from a vhid that the inventory describes, or once put there by bsdcarp, or about to move.
        if address.vhid in numbers or key in owned or address.text in moving:
            yield _removal(interface, address)


def _removal(interface: NetworkInterface, address: InterfaceAddress) -> LiveChange:
    family = "inet" if address.interface.version == 4 else "inet6"
    state = interface.vhid(address.vhid)
    back: tuple[Command, ...] = ()
    if state:
        parameters = _parameters(state.advbase, state.advskew, state.key, _spoken(state.peer, state.peer6))
        where = f"{address.text}/{address.interface.network.prefixlen}"
        back = (command(f"ifconfig {interface.name} {family} vhid {address.vhid}", *parameters, "alias", where),)
    return LiveChange(
        f"{address.text} leaves vhid {address.vhid}",
        command(f"ifconfig {interface.name} {family} {address.text} -alias"),
        back,
        restarts=address.vhid,
    )


def _vhid_changes(
    desired: Desired, vhid: DesiredVhid, interface: NetworkInterface, snapshot: Snapshot
) -> Iterator[LiveChange]:
    state = interface.vhid(vhid.vhid)
    peers = (vhid.peer or "", vhid.peer6 or "") if desired.capabilities.unicast else ("", "")
    parameters = _parameters(vhid.advbase, vhid.advskew, vhid.password, peers)
    if state and _differs(vhid, state, peers, interface, snapshot):
        old = _parameters(state.advbase, state.advskew, state.key, _spoken(state.peer, state.peer6))
        wanted = [*parameters]
        # The plain form sends both families' defaults back, which is what a vhid without peers wants.
        yield LiveChange(
            f"parameters of vhid {vhid.vhid}",
            command(f"ifconfig {interface.name} vhid {vhid.vhid}", *wanted),
            (command(f"ifconfig {interface.name} vhid {vhid.vhid}", *old),),
        )
    there = {(a.text, a.interface.network.prefixlen) for a in interface.addresses_of(vhid.vhid)}
    if interface.inet6_disabled and any(a.family == "inet6" for a in vhid.addresses):
        yield LiveChange(
            f"IPv6 on {interface.name}",
            command(f"ifconfig {interface.name} inet6 -ifdisabled"),
            (command(f"ifconfig {interface.name} inet6 ifdisabled"),),
        )
    for address in vhid.addresses:
        if (address.address, address.prefixlen) not in there:
            yield LiveChange(
                f"{address} on vhid {vhid.vhid}",
                command(
                    f"ifconfig {interface.name} {address.family} vhid {vhid.vhid}", *parameters, "alias", str(address)
                ),
                (command(f"ifconfig {interface.name} {address.family} {address.address} -alias"),),
                restarts=vhid.vhid,
            )


def _parameters(advbase: int, advskew: int, key: Secret | None, peers: tuple[str, str]) -> tuple[str | Secret, ...]:
    words: list[str | Secret] = ["advbase", str(advbase), "advskew", str(advskew)]
    if key:
        words += ["pass", key]
    if peers[0]:
        words += ["peer", peers[0]]
    if peers[1]:
        words += ["peer6", peers[1]]
    return tuple(words)


def _spoken(peer: str, peer6: str) -> tuple[str, str]:
    """Peers as they have to be written: the multicast groups are the default and need no words."""
    return ("" if peer == _GROUP else peer, "" if peer6 == _GROUP6 else peer6)


def _differs(
    vhid: DesiredVhid, state: VhidState, peers: tuple[str, str], interface: NetworkInterface, snapshot: Snapshot
) -> bool:
    if (state.advbase, state.advskew) != (vhid.advbase, vhid.advskew):
        return True
    if (state.peer or state.peer6) and _spoken(state.peer, state.peer6) != peers:
        return True
    if state.key is not None:
        return state.key != vhid.password
    return _filed_password(vhid, interface.name, snapshot) != vhid.password.reveal()


def _filed_password(vhid: DesiredVhid, interface: str, snapshot: Snapshot) -> str | None:
    """Before 10.4 the kernel's key cannot be read: the one in rc.conf, which it came up with, stands for it."""
    start = f"ifconfig_{variable_name(interface)}_alias"
    for name, value in snapshot.rc.items():
        if name.startswith(start):
            words = parse_alias(value)
            if words.vhid == vhid.vhid and words.password is not None:
                return words.password
    return None
