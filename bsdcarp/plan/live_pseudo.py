"""Live commands for FreeBSD up to 9.x: carpN interfaces, created in ascending vhid order.

The kernel never tells a key, so the password in rc.conf, which carpN came up with, stands for it.
"""

from __future__ import annotations

from collections.abc import Iterator

from bsdcarp.model import Secret
from bsdcarp.plan.change import LiveChange
from bsdcarp.plan.command import Command, command
from bsdcarp.platforms.carpunits import is_unit
from bsdcarp.platforms.desired import Desired, DesiredVhid
from bsdcarp.snapshot import InterfaceAddress, NetworkInterface, Snapshot
from bsdcarp.textfiles.alias import parse_alias

__all__ = ["changes"]


def changes(desired: Desired, snapshot: Snapshot) -> list[LiveChange]:
    """Return the commands: what goes away first, then what is there in part and what is new, ascending."""
    units = {v.unit for v in desired.vhids}
    stale = {o.interface for o in desired.previous.vhids if is_unit(o.interface) and o.interface not in units}
    rebuild = _to_rebuild(desired, snapshot)
    going = [i for name, i in snapshot.interfaces.items() if name in stale | rebuild]
    # Highest first, so that taking this back creates them in ascending order again.
    found = [_destroy(interface, snapshot) for interface in sorted(going, key=_vhid, reverse=True)]
    if found and snapshot.sysctls.get("arpbalance"):
        found[-1] = _in_order(found[-1], min(map(_vhid, going)), units - rebuild, snapshot)
    for v in desired.vhids:
        interface = snapshot.interfaces.get(v.unit)
        if interface is None or v.unit in rebuild:
            found += _create(v)
        else:
            found += _adjust(v, interface, snapshot)
    return found


def _vhid(interface: NetworkInterface) -> int:
    return interface.vhids[0].vhid if interface.vhids else 0


def _to_rebuild(desired: Desired, snapshot: Snapshot) -> set[str]:
    """Units that cannot be changed in place.

    A carpN with another vhid, or one that would lose all its addresses of a family meanwhile.  And when ARP is
    balanced, every unit there is, if a lower vhid has to be created or they were created in another order: the kernel
    appends a vhid that is lower than all others behind them, and this host would map clients differently from its
    peers (ip_carp.c, carp_set_addr; recorded on FreeBSD 9.3).
    """
    here = {v.unit: snapshot.interfaces[v.unit] for v in desired.vhids if v.unit in snapshot.interfaces}
    rebuild = {v.unit for v in desired.vhids if v.unit in here and not _adjustable(v, here[v.unit])}
    if desired.sysctls.get("arpbalance"):
        new = [v.vhid for v in desired.vhids if v.unit in rebuild or v.unit not in here]
        kept = [v.vhid for v in desired.vhids if v.unit in here and v.unit not in rebuild]
        booted = [word for word in snapshot.rc.get("cloned_interfaces", "").split() if word in here]
        disordered = booted != [v.unit for v in desired.vhids if v.unit in booted]
        if disordered or (kept and new and min(new) < min(kept)):
            rebuild |= set(here)
    return rebuild


def _adjustable(v: DesiredVhid, interface: NetworkInterface) -> bool:
    """Without its last address of either family, a carpN forgets its vhid (ip_carp.c, carp_del_addr)."""
    if _vhid(interface) != v.vhid:
        return False
    wanted = {a.address: (a.family, a.prefixlen) for a in v.addresses}
    there = {a.text: (_family(a), a.interface.network.prefixlen) for a in _shared(interface, v)}
    kept = {family for text, (family, length) in there.items() if wanted.get(text) == (family, length)}
    # A changed prefix length would need the address to be gone for a moment.
    same_lengths = all(wanted[text] == now for text, now in there.items() if text in wanted)
    return bool(kept) and same_lengths and kept >= {family for family, _ in there.values()}


def _shared(interface: NetworkInterface, v: DesiredVhid | None = None) -> list[InterfaceAddress]:
    """Return the addresses of a carpN that somebody gave it; a link-local one may be the kernel's own."""
    wanted = {a.address for a in v.addresses} if v else set()
    return [
        a
        for a in interface.addresses
        if a.text in wanted or not (a.interface.version == 6 and a.interface.ip.is_link_local)
    ]


def _family(address: InterfaceAddress) -> str:
    return "inet" if address.interface.version == 4 else "inet6"


def _create(v: DesiredVhid) -> Iterator[LiveChange]:
    yield LiveChange(
        f"{v.unit} for vhid {v.vhid}", command(f"ifconfig {v.unit} create"), (command(f"ifconfig {v.unit} destroy"),)
    )
    inet = [a for a in v.addresses if a.family == "inet"]
    first = str(inet[0]) if inet else "up"
    # Only the first command has an undo: with the interface everything else is gone as well.
    yield LiveChange(
        f"{v.unit}: vhid {v.vhid}" + (f", {first}" if inet else ""),
        command(f"ifconfig {v.unit}", "vhid", str(v.vhid), *_parameters(v.advbase, v.advskew, v.password), first),
        restarts=(v.vhid,),
    )
    for address in v.addresses:
        if not inet or address is not inet[0]:
            yield LiveChange(
                f"{address} on {v.unit}",
                _add(v.unit, address.family, address.address, address.prefixlen),
                restarts=(v.vhid,),
            )


def _parameters(advbase: int, advskew: int, password: Secret | None) -> tuple[str | Secret, ...]:
    """Each word is a system call of its own, and advbase and advskew must never both be 0."""
    pairs = [("advbase", str(advbase)), ("advskew", str(advskew))]
    words: list[str | Secret] = [word for pair in (pairs if advbase else reversed(pairs)) for word in pair]
    return (*words, "pass", password) if password else tuple(words)


def _add(unit: str, family: str, address: str, prefixlen: int) -> Command:
    if family == "inet":
        return command(f"ifconfig {unit} inet {address}/{prefixlen} alias")
    return command(f"ifconfig {unit} inet6 {address} prefixlen {prefixlen} alias")


def _adjust(v: DesiredVhid, interface: NetworkInterface, snapshot: Snapshot) -> Iterator[LiveChange]:
    state = interface.vhids[0]
    filed = _filed_password(v.unit, snapshot)
    if (state.advbase, state.advskew, filed) != (v.advbase, v.advskew, v.password):
        yield LiveChange(
            f"parameters of {v.unit}",
            command(f"ifconfig {v.unit}", *_parameters(v.advbase, v.advskew, v.password)),
            (command(f"ifconfig {v.unit}", *_parameters(state.advbase, state.advskew, filed)),),
        )
    if interface.inet6_disabled and any(a.family == "inet6" for a in v.addresses):
        yield LiveChange(
            f"IPv6 on {v.unit}",
            command(f"ifconfig {v.unit} inet6 -ifdisabled"),
            (command(f"ifconfig {v.unit} inet6 ifdisabled"),),
        )
    wanted = {a.address: a for a in v.addresses}
    there = {a.text: a for a in _shared(interface, v)}
    for text, address in wanted.items():
        if text not in there:
            yield LiveChange(
                f"{address} on {v.unit}",
                _add(v.unit, address.family, text, address.prefixlen),
                (command(f"ifconfig {v.unit} {address.family} {text} -alias"),),
                restarts=(v.vhid,),
            )
    for text, present in there.items():
        if text not in wanted:
            family = _family(present)
            yield LiveChange(
                f"{text} leaves {v.unit}",
                command(f"ifconfig {v.unit} {family} {text} -alias"),
                (_add(v.unit, family, text, present.interface.network.prefixlen),),
                restarts=(v.vhid,),
            )
    if "UP" not in interface.flags:
        yield LiveChange(f"{v.unit} up", command(f"ifconfig {v.unit} up"), (command(f"ifconfig {v.unit} down"),))


def _destroy(interface: NetworkInterface, snapshot: Snapshot) -> LiveChange:
    filed = _filed_password(interface.name, snapshot)
    undo: list[Command] = [command(f"ifconfig {interface.name} create")]
    for state in interface.vhids:
        words = ("vhid", str(state.vhid), *_parameters(state.advbase, state.advskew, filed))
        undo.append(command(f"ifconfig {interface.name}", *words))
    undo += [
        _add(interface.name, _family(a), a.text, a.interface.network.prefixlen)
        for a in sorted(_shared(interface), key=lambda a: a.interface.version)
    ]
    if "UP" not in interface.flags:
        undo.append(command(f"ifconfig {interface.name} down"))
    return LiveChange(
        f"{interface.name} goes away",
        command(f"ifconfig {interface.name} destroy"),
        tuple(undo),
        restarts=(_vhid(interface),),
    )


def _in_order(lowest: LiveChange, vhid: int, kept: set[str], snapshot: Snapshot) -> LiveChange:
    """Let the undo of ``lowest`` create the higher vhids that stayed anew behind it, as ARP balancing needs it."""
    higher = [i for i in snapshot.interfaces.values() if i.name in kept and _vhid(i) > vhid]
    again = [_destroy(interface, snapshot) for interface in sorted(higher, key=_vhid)]
    undo = (*(c.command for c in again), *lowest.undo, *(command for c in again for command in c.undo))
    return LiveChange(lowest.why, lowest.command, undo, lowest.restarts)


def _filed_password(unit: str, snapshot: Snapshot) -> Secret | None:
    for name in (f"ifconfig_{unit}", *sorted(n for n in snapshot.rc if n.startswith(f"ifconfig_{unit}_alias"))):
        words = parse_alias(snapshot.rc.get(name, ""))
        if words.password is not None:
            return Secret(words.password)
    return None
