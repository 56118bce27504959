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
from bsdcarp.platforms.freebsd_vhid import IPV6_ONLY, ipv6_variable
from bsdcarp.snapshot import InterfaceAddress, NetworkInterface, Snapshot, VhidState
from bsdcarp.textfiles.alias import parse_alias, variable_name

__all__ = ["changes"]

_GROUP, _GROUP6 = "224.0.0.18", "ff02::12"


def changes(desired: Desired, snapshot: Snapshot) -> list[LiveChange]:
    """Return the commands, on every interface what goes first: an address that moves must be free before."""
    names = [vhid.interface for vhid in desired.vhids] + [owned.interface for owned in desired.previous.vhids]
    interfaces = [snapshot.interfaces[name] for name in dict.fromkeys(names) if name in snapshot.interfaces]
    found: list[LiveChange] = []
    for interface in interfaces:
        found += _removals(desired, interface, snapshot)
        found += _leftovers(desired, interface, snapshot)
        found += _inet6_ends(desired, interface, snapshot)
    for interface in interfaces:
        here = desired.on(interface.name)
        if interface.inet6_disabled and any(a.family == "inet6" for vhid in here for a in vhid.addresses):
            # As rc does where ifconfig_IF_ipv6 says "inet6 auto_linklocal".
            yes = command(f"ifconfig {interface.name} inet6 -ifdisabled auto_linklocal")
            found.append(
                LiveChange(f"IPv6 on {interface.name}", yes, (command(f"ifconfig {interface.name} inet6 ifdisabled"),))
            )
        for vhid in here:
            found += _vhid_changes(desired, vhid, interface, snapshot)
    return found


def _leaving(desired: Desired, interface: NetworkInterface) -> list[InterfaceAddress]:
    """Return the addresses that go.

    Those are the ones in a vhid that the inventory describes, the ones that are to be in another vhid, and the ones
    that bsdcarp once put there: all where they do not belong, or with another prefix length.
    """
    here = desired.on(interface.name)
    wanted = {(v.vhid, a.address): a.prefixlen for v in here for a in v.addresses}
    numbers = {v.vhid for v in here}
    known = {a.address for v in desired.vhids for a in v.addresses} | desired.previous.addresses(interface.name)
    return [
        address
        for address in interface.addresses
        if address.vhid
        and wanted.get((address.vhid, address.text)) != address.interface.network.prefixlen
        and (address.vhid in numbers or address.text in known)
    ]


def _removals(desired: Desired, interface: NetworkInterface, snapshot: Snapshot) -> Iterator[LiveChange]:
    for address in _leaving(desired, interface):
        family = _family(address)
        state = interface.vhid(address.vhid)
        back: tuple[Command, ...] = ()
        if state:
            where = f"{address.text}/{address.interface.network.prefixlen}"
            words = f"ifconfig {interface.name} {family} vhid {address.vhid}"
            back = (command(words, *_of_state(state, interface, snapshot), "alias", where),)
        yield LiveChange(
            f"{address.text} leaves vhid {address.vhid}",
            command(f"ifconfig {interface.name} {family} {address.text} -alias"),
            back,
            restarts=(address.vhid,),
        )


def _inet6_ends(desired: Desired, interface: NetworkInterface, snapshot: Snapshot) -> Iterator[LiveChange]:
    """Disable IPv6 again where only a line of bsdcarp's enabled it, and that line goes: as at the next boot.

    The link-local address came with it, and would stay (recorded on FreeBSD 10.4 and 12.1).
    """
    variable = ipv6_variable(interface.name)
    ours = any(name == variable for _, name in desired.previous.lines) and snapshot.rc.get(variable) == IPV6_ONLY
    needed = any(a.family == "inet6" for vhid in desired.on(interface.name) for a in vhid.addresses)
    if not ours or needed or interface.inet6_disabled:
        return
    leaving = _leaving(desired, interface)
    rest = [a for a in interface.addresses if a.interface.version == 6 and a not in leaving]
    if any(a.vhid or not a.interface.ip.is_link_local for a in rest):
        return  # somebody else uses it by now
    for address in rest:
        words = f"ifconfig {interface.name} inet6 {address.text}%{interface.name}"
        back = command(f"{words} prefixlen {address.interface.network.prefixlen} alias")
        yield LiveChange(f"{address.text} goes with IPv6", command(f"{words} -alias"), (back,))
    yield LiveChange(
        f"no IPv6 on {interface.name}",
        command(f"ifconfig {interface.name} inet6 ifdisabled"),
        (command(f"ifconfig {interface.name} inet6 -ifdisabled auto_linklocal"),),
    )


def _leftovers(desired: Desired, interface: NetworkInterface, snapshot: Snapshot) -> Iterator[LiveChange]:
    """Clean up vhids of ours that have no address.

    A command that the kernel refused in part leaves one behind, and nothing takes it away but adding an address to it
    and deleting that again (recorded on FreeBSD 12.1).
    """
    wanted = {v.vhid for v in desired.on(interface.name)}
    used = {a.text for other in snapshot.interfaces.values() for a in other.addresses}
    for owned in desired.previous.vhids:
        empty = interface.vhid(owned.vhid) and not interface.addresses_of(owned.vhid)
        if owned.interface != interface.name or owned.vhid in wanted or not empty:
            continue
        address = next((a for a in owned.addresses if a not in used and ":" not in a), None)
        if address:
            remove = command(f"ifconfig {interface.name} inet {address} -alias")
            add = command(f"ifconfig {interface.name} inet vhid {owned.vhid} alias {address}/32")
            yield LiveChange(f"vhid {owned.vhid} is empty: an address for it", add, (remove,))
            yield LiveChange(f"vhid {owned.vhid} goes with that address", remove, (add,))


def _vhid_changes(
    desired: Desired, vhid: DesiredVhid, interface: NetworkInterface, snapshot: Snapshot
) -> Iterator[LiveChange]:
    state = interface.vhid(vhid.vhid)
    peers = (vhid.peer or "", vhid.peer6 or "") if desired.capabilities.unicast else ("", "")
    parameters = _parameters(vhid.advbase, vhid.advskew, vhid.password, peers)
    gone = _leaving(desired, interface)
    present = interface.addresses_of(vhid.vhid)
    # With its last address the vhid itself goes, and the first new address brings the parameters with it.
    stays = state and (not present or any(address not in gone for address in present))
    if state and stays and _differs(vhid, state, peers, interface, snapshot):
        # The plain form sends both families' defaults back, which is what a vhid without peers wants.
        yield LiveChange(
            f"parameters of vhid {vhid.vhid}",
            command(f"ifconfig {interface.name} vhid {vhid.vhid}", *parameters),
            (command(f"ifconfig {interface.name} vhid {vhid.vhid}", *_of_state(state, interface, snapshot)),),
        )
    there = {(a.text, a.interface.network.prefixlen) for a in present}
    for address in vhid.addresses:
        if (address.address, address.prefixlen) not in there:
            words = f"ifconfig {interface.name} {address.family} vhid {vhid.vhid}"
            yield LiveChange(
                f"{address} on vhid {vhid.vhid}",
                command(words, *parameters, "alias", str(address)),
                (command(f"ifconfig {interface.name} {address.family} {address.address} -alias"),),
                restarts=(vhid.vhid,),
            )


def _family(address: InterfaceAddress) -> str:
    return "inet" if address.interface.version == 4 else "inet6"


def _of_state(state: VhidState, interface: NetworkInterface, snapshot: Snapshot) -> tuple[str | Secret, ...]:
    """Return the words that bring a vhid back to how it is."""
    filed = _filed_password(state.vhid, interface.name, snapshot) if state.key is None else None
    key = Secret(filed) if filed else state.key
    return _parameters(state.advbase, state.advskew, key, _spoken(state.peer, state.peer6))


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
    return _filed_password(vhid.vhid, interface.name, snapshot) != vhid.password.reveal()


def _filed_password(vhid: int, interface: str, snapshot: Snapshot) -> str | None:
    """Before 10.4 the kernel's key cannot be read: the one in rc.conf, which it came up with, stands for it."""
    start = f"ifconfig_{variable_name(interface)}_alias"
    for name, value in snapshot.rc.items():
        if name.startswith(start):
            words = parse_alias(value)
            if words.vhid == vhid and words.password is not None:
                return words.password
    return None
