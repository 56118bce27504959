"""The live vhids of one host against those wanted: parameters, key, addresses, state, and what should not be there."""

from __future__ import annotations

from bsdcarp.judge.notes import Notes
from bsdcarp.judge.passwords import same_password
from bsdcarp.model import IfAddress
from bsdcarp.platforms.desired import Desired, DesiredVhid
from bsdcarp.snapshot import NetworkInterface, Snapshot, VhidState

__all__ = ["addresses_on", "live_vhid", "note_vhids"]

_MULTICAST = "224.0.0.18"
_MULTICAST6 = "ff02::12"


def live_vhid(vhid: DesiredVhid, snapshot: Snapshot) -> tuple[NetworkInterface | None, VhidState | None]:
    """Return the interface that should carry ``vhid`` (carpN up to FreeBSD 9) and the vhid there."""
    interface = snapshot.interfaces.get(vhid.unit or vhid.interface)
    return interface, interface.vhid(vhid.vhid) if interface else None


def addresses_on(vhid: DesiredVhid, interface: NetworkInterface) -> tuple[IfAddress, ...]:
    """Return the addresses attached to ``vhid``; on carpN those are all but the link-local ones."""
    if vhid.unit:
        return tuple(a.interface for a in interface.addresses if not a.interface.is_link_local)
    return tuple(a.interface for a in interface.addresses_of(vhid.vhid))


def note_vhids(desired: Desired, snapshot: Snapshot, notes: Notes) -> None:
    """Note every difference between the wanted vhids and those that run."""
    linux = desired.capabilities.syntax == "linux"
    for vhid in desired.vhids:
        interface, state = live_vhid(vhid, snapshot)
        if interface is None or (linux and not interface.vhids and not (snapshot.linux and snapshot.linux.carpd)):
            # A missing real interface is told elsewhere; on Linux the daemon, not the kernel, knows the vhids.
            if vhid.unit and snapshot.carp != "absent":
                _Vhid(vhid, desired, snapshot, notes).missing()
            continue
        if snapshot.carp == "absent" and not linux:
            continue
        one = _Vhid(vhid, desired, snapshot, notes)
        if state is None:
            one.missing()
            continue
        one.parameters(state)
        one.addresses(interface)
        one.state(interface, state)
    _others(desired, snapshot, notes)


class _Vhid:
    """One wanted vhid and where its findings go."""

    def __init__(self, vhid: DesiredVhid, desired: Desired, snapshot: Snapshot, notes: Notes) -> None:
        self.vhid = vhid
        self.can = desired.capabilities
        self.snapshot = snapshot
        self.notes = notes
        self.where = f"vhid {vhid.vhid} on {vhid.unit or vhid.interface}"

    def error(self, rule: str, message: str, remedy: str = "run apply") -> None:
        self.notes.error(rule, message, remedy, group=self.vhid.group)

    def missing(self) -> None:
        number = self.vhid.vhid
        other = next((i.name for i in self.snapshot.interfaces.values() if i.vhid(number)), "")
        if other and self.vhid.unit:
            self.error("verify-vhid-unit", f"vhid {number} runs on {other}, not on {self.vhid.unit}")
        else:
            elsewhere = f" (vhid {number} is on {other})" if other else ""
            self.error("verify-vhid-missing", f"{self.where} does not exist{elsewhere}")

    def parameters(self, state: VhidState) -> None:
        wanted = self.vhid
        for name, found, value in (
            ("advbase", state.advbase, wanted.advbase),
            ("advskew", state.advskew, wanted.advskew),
        ):
            if found != value:
                self.error(f"verify-{name}", f"{self.where} has {name} {found}, not {value}")
        other_digest = state.digest and state.digest != wanted.password.digest
        if other_digest or (state.key is not None and not same_password(state.key, wanted.password, self.can)):
            self.error(
                "verify-password",
                f"{self.where} has another password than the inventory, so it rejects the other members' adverts",
            )
        if not self.can.peer_line or not (state.peer or state.peer6):
            return
        for name, peer, expected in (
            ("peer", state.peer, wanted.peer or _MULTICAST),
            ("peer6", state.peer6, wanted.peer6 or _MULTICAST6),
        ):
            if peer != expected:
                self.error(
                    f"verify-{name}",
                    f"{self.where} sends its adverts to {peer}, not to {expected}",
                    "run apply"
                    if self.can.syntax == "linux"
                    else "run apply; any ifconfig command for the vhid that leaves peer out sets it back to multicast",
                )

    def addresses(self, interface: NetworkInterface) -> None:
        found = {str(a.ip): a.network.prefixlen for a in addresses_on(self.vhid, interface)}
        wanted = {a.address: a.prefixlen for a in self.vhid.addresses}
        for address, length in wanted.items():
            if address not in found:
                other = next((a for a in interface.addresses if a.text == address), None)
                there = ""
                if other:
                    there = f"; it is on {interface.name} " + (
                        f"under vhid {other.vhid}" if other.vhid else "without it"
                    )
                self.error("verify-address-missing", f"{self.where} lacks {address}/{length}{there}")
            elif found[address] != length:
                self.error("verify-address-prefix", f"{address} on {self.where} is /{found[address]}, not /{length}")
        for address in found:
            if address not in wanted:
                self.error(
                    "verify-address-extra",
                    f"{self.where} carries {address}, which the inventory does not name: its adverts carry another "
                    "digest than those of the other members",
                )

    def state(self, interface: NetworkInterface, state: VhidState) -> None:
        if not addresses_on(self.vhid, interface):
            self.error(
                "verify-leftover",
                f"{self.where} exists without any address, left behind by a command that failed",
                "run apply, which attaches its addresses",
            )
        elif state.state == "INIT":
            self.error("verify-init", f"{self.where} is in INIT: {self.why_init(interface)}", "remove that cause")

    def why_init(self, interface: NetworkInterface) -> str:
        real = self.snapshot.interfaces.get(self.vhid.interface, interface)
        if "UP" not in real.flags:
            return f"{real.name} is not UP"
        if real.status == "no carrier":
            return f"{real.name} has no link"
        if "UP" not in interface.flags:
            return f"{interface.name} is not UP"
        if self.can.syntax == "linux":
            return self.carpd_reason() or "carpd could not start it; look at its log"
        if self.can.allow_restarts and self.snapshot.sysctls.get("allow") == 0:
            return "net.inet.carp.allow is 0"
        return "the kernel could not start it; look for carp in dmesg"

    def carpd_reason(self) -> str:
        status = self.snapshot.linux.carpd if self.snapshot.linux else None
        key = (self.vhid.interface, self.vhid.vhid)
        return next((v.reason for v in status.vhids if (v.interface, v.vhid) == key), "") if status else ""


def _others(desired: Desired, snapshot: Snapshot, notes: Notes) -> None:
    """Vhids that nobody asked for: bsdcarp's own old ones must go, foreign ones are only named."""
    wanted = {(v.unit or v.interface, v.vhid) for v in desired.vhids}
    ours = {(owned.interface, owned.vhid) for owned in desired.previous.vhids}
    for interface in snapshot.interfaces.values():
        for state in interface.vhids:
            key = (interface.name, state.vhid)
            where = f"vhid {state.vhid} on {interface.name}"
            carried = (
                interface.addresses if desired.capabilities.syntax == "pseudo" else interface.addresses_of(state.vhid)
            )
            if key in wanted:
                continue
            if key in ours:
                notes.error("verify-stale", f"{where} is no longer in the inventory, but still runs", "run apply")
            elif not carried:
                notes.warning(
                    "verify-leftover",
                    f"{where} exists without any address, left behind by a command that failed",
                    "add an address to it and delete that again, which removes the vhid",
                )
            else:
                notes.info("verify-foreign", f"{where} ({state.state}) is not in the inventory; it is left alone")
