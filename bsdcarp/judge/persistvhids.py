"""The vhids a host would come up with, against those it should have."""

from __future__ import annotations

import re

from bsdcarp.judge.bootstate import BootState, BootVhid
from bsdcarp.judge.notes import Notes
from bsdcarp.judge.passwords import same_password
from bsdcarp.judge.rcvalues import RcValues
from bsdcarp.model import NOWHERE, Place, Severity
from bsdcarp.platforms.capabilities import Capabilities
from bsdcarp.platforms.desired import Desired, DesiredVhid
from bsdcarp.textfiles.alias import variable_name

__all__ = ["compare_vhids", "concerned"]

_HOST_WIDE = ("cloned_interfaces", "network_interfaces", "netif_enable", "kld_list", "ipv6_network_interfaces")


def concerned(desired: Desired) -> frozenset[str]:
    """Return the interfaces that a finding must be about to matter: real ones, carpN, and "" for the whole host."""
    names = {name for v in desired.vhids for name in (v.interface, v.unit)}
    return frozenset({"", *names, *(owned.interface for owned in desired.previous.vhids)})


def compare_vhids(desired: Desired, state: BootState, notes: Notes) -> None:
    """Note every wanted vhid that would be missing or different, and what in the rc.conf files is to blame."""
    before = len(notes.troubles)
    for vhid in desired.vhids:
        found = state.vhid(vhid.unit or vhid.interface, vhid.vhid)
        if found is None or not found.addresses:
            _missing(vhid, state, notes, created=found is not None)
        else:
            _different(vhid, found, desired.capabilities, notes)
    wrong = {t.interface for t in notes.troubles[before:] if t.finding.severity is Severity.ERROR}
    if state.rc:
        _blame(desired, state.rc, wrong, notes)
    for owned in desired.previous.vhids:
        still_wanted = any((v.unit or v.interface, v.vhid) == (owned.interface, owned.vhid) for v in desired.vhids)
        back = state.vhid(owned.interface, owned.vhid)
        if back and not still_wanted:
            notes.error(
                "persist-stale",
                f"vhid {owned.vhid} on {owned.interface} is no longer wanted, but would come back",
                "run apply, which removes what bsdcarp once put there",
                back.place,
                interface=owned.interface,
            )


def _missing(vhid: DesiredVhid, state: BootState, notes: Notes, *, created: bool) -> None:
    where = vhid.unit or vhid.interface
    related = {vhid.interface, vhid.unit} - {""}
    cause = next(
        (t.finding for t in notes.troubles if t.interface in related and t.finding.severity is Severity.ERROR), None
    )
    place = cause.place if cause else notes.place("/etc/rc.conf")
    if not vhid.unit and where not in state.interfaces and not cause:
        notes.error(
            "persist-interface-absent",
            f"{where} would not exist after a boot, and with it vhid {vhid.vhid}",
            "correct the interface in the inventory",
            place,
            group=vhid.group,
            interface=where,
        )
        return
    what = "would come up without any address" if created else "would not come up"
    notes.error(
        "persist-vhid-missing",
        f"vhid {vhid.vhid} on {where} {what}",
        f"see {cause.rule}" if cause else "run apply, which writes it into /etc/rc.conf",
        place,
        group=vhid.group,
        interface=where,
    )


def _different(vhid: DesiredVhid, found: BootVhid, can: Capabilities, notes: Notes) -> None:
    where = f"vhid {vhid.vhid} on {found.interface}"

    def wrong(rule: str, message: str, place: Place = NOWHERE) -> None:
        notes.error(
            rule,
            message,
            "run apply, or correct this line",
            place if place != NOWHERE else found.place,
            group=vhid.group,
            interface=found.interface,
        )

    for name, there, wanted in (
        ("advbase", found.advbase, vhid.advbase),
        ("advskew", found.advskew, vhid.advskew),
        ("peer", found.peer or "224.0.0.18", vhid.peer or "224.0.0.18"),
        ("peer6", found.peer6 or "ff02::12", vhid.peer6 or "ff02::12"),
    ):
        if there != wanted:
            wrong(
                f"persist-{name}",
                f"{where} would come up with {name} {there}, not {wanted}",
                found.said.get(name, NOWHERE),
            )
    if not same_password(found.password, vhid.password, can):
        what = "without a password" if found.password is None else "with another password"
        wrong(
            "persist-password",
            f"{where} would come up {what}, so the members reject each other's adverts",
            found.said.get("password", NOWHERE),
        )
    wanted_addresses = {address.address: address.prefixlen for address in vhid.addresses}
    there_addresses = {str(address.ip): address.network.prefixlen for address in found.addresses}
    for address, length in wanted_addresses.items():
        if address not in there_addresses:
            wrong("persist-address-missing", f"{where} would come up without {address}/{length}", NOWHERE)
        elif there_addresses[address] != length:
            message = f"{address} on {where} would have the prefix length {there_addresses[address]}, not {length}"
            wrong("persist-address-prefix", message, found.address_places[address])
    for address in there_addresses:
        if address not in wanted_addresses:
            message = f"{where} would carry {address} too, so its adverts do not match those of the other members"
            wrong("persist-address-extra", message, found.address_places[address])


def _blame(desired: Desired, rc: RcValues, wrong: set[str], notes: Notes) -> None:
    """Point at what makes the files say something else than they seem to."""
    variables = {variable_name(name): name for name in concerned(desired) if name}
    pattern = re.compile(rf"(?:ifconfig|vlans|ipv6_prefix)_({'|'.join(map(re.escape, variables)) or '-'})(?:_.*)?")
    for name in sorted({*rc.origins, *rc.values}):
        match = pattern.fullmatch(name)
        if match or name in _HOST_WIDE:
            interface = variables[match[1]] if match else ""
            _blame_variable(name, rc, notes, interface, bad=bool(wrong & {interface}) if interface else bool(wrong))


def _blame_variable(name: str, rc: RcValues, notes: Notes, interface: str, *, bad: bool) -> None:
    winner = rc.origin(name)
    place = notes.place(winner.path, winner.line)
    say = notes.error if bad else notes.info
    hidden = rc.hidden(name)
    if name not in rc.values:
        say(
            "persist-rc-conditional",
            f"{name} is assigned here only under a condition, which does not hold now",
            "write it as a plain assignment",
            place,
            interface=interface,
        )
    elif hidden and name in rc.values and not rc.computed(name):
        earlier = ", ".join(f"{o.path}:{o.line}" for o in hidden)
        say(
            "persist-rc-overridden",
            f"{name} is assigned again here, so {earlier} has no effect",
            "keep one of the assignments",
            place,
            interface=interface,
        )
    elif rc.computed(name):
        notes.info(
            "persist-rc-computed",
            f"{name} is no plain assignment; this is judged by what sh makes of it now",
            "",
            place,
            interface=interface,
        )
