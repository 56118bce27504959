"""Adverts that cannot be right: counted by the core, explained here, in the log now and then and as findings.

The core keeps to the kernel's words, which name the check that failed.  Operators need the cause: another password or
address list, VRRP with the same number, a loop in the switch, the same advskew twice.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bsdcarp.carp import Family, State
from bsdcarp.carp.frames import PROTOCOL_NUMBER
from bsdcarp.carp.packet import AUTHLEN, LENGTH, checksum
from bsdcarp.carpd.snapshot import Finding

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from bsdcarp.carp import Node
    from bsdcarp.carpd.members import Member
    from bsdcarp.carpd.packets import Arrival

__all__ = ["BadPackets", "is_vrrp"]

# Seconds between two lines about the same thing, and how long a finding outlives its last packet.
_QUIET = 60.0
_LASTS = 10.0
# While new settings go from host to host, somebody is always the first: no line for so long, and two hosts that
# exchange their advskews have the same one until the second is reached: no finding once two adverts did not come.
_ROLLOUT = 0.9
_MISSED = 2.5
# Accepted adverts of a vhid that are kept, and over how many intervals they are counted: a sender with one advert an
# interval keeps to half as many again even when some of them were late.
_KEPT = 128
_INTERVALS = 10
_TOO_MANY = 15
# Different troubles that are kept; more would be somebody's game.
_MOST = 512

_DIGEST = (
    "another host ({source}) advertises vhid {vhid} on {interface} with another password or address list, "
    "so both {are} MASTER"
)
_TEXTS = {
    "digest": (
        _DIGEST,
        "give all members of the group the same password and the same addresses",
    ),
    "vrrp": (
        "{source} speaks VRRP with id {vhid} on {interface}: both use the MAC 00:00:5e:00:01:{vhid:02x}",
        "use another vhid here or another virtual router id there, or set virtual_mac to false",
    ),
    "looped": (
        "adverts of vhid {vhid} that this host sent come back to {interface}",
        "look for a loop or a mirrored port in the switches",
    ),
    "repeated": (
        "the same advert of vhid {vhid} from {source} arrives more than once on {interface}",
        "look for a loop, a bond that duplicates frames, or somebody who replays them",
    ),
    "ttl": (
        "an advert of vhid {vhid} from {source} crossed a router before it came to {interface}",
        "CARP works within one segment; configure a peer if the members are routed to each other",
    ),
    "equal": (
        "{source} advertises vhid {vhid} on {interface} with the same advbase and advskew as this host",
        "give each member of the group an advskew of its own",
    ),
}  # fmt: skip


def is_vrrp(arrival: Arrival) -> bool:
    """Whether an IP packet with protocol 112 is VRRP (RFC 3768, RFC 9568) rather than CARP, and undamaged."""
    payload = arrival.payload
    if len(payload) < 8 or payload[0] not in (0x21, 0x31):
        return False
    if payload[0] == 0x21:
        # CARP shares version 2 and type 1 with VRRPv2, where the fourth byte counts addresses.
        return not (len(payload) == LENGTH and payload[3] == AUTHLEN) and not checksum(payload)
    around = arrival.source.packed + arrival.destination.packed + struct.pack("!II", len(payload), PROTOCOL_NUMBER)
    return not checksum(around + payload)


@dataclass
class _Offence:
    """One kind of trouble with one vhid."""

    source: IPv4Address | IPv6Address
    last: float
    logged: float
    lasts: float
    """Seconds after its last packet for which it is a finding."""
    master: bool = False
    """Whether this host is MASTER, too."""
    unsaid: int = 0


class BadPackets:
    """Looks at each packet for a vhid after the core has.  ``log`` takes (level, text)."""

    def __init__(self, log: Callable[[str, str], None]) -> None:
        self._log = log
        self._before: dict[tuple[str, int], tuple[int, int, int, int]] = {}
        self._wrong_ttl = 0
        self._offences: dict[tuple[str, str, int], _Offence] = {}
        self._accepted: dict[tuple[str, int], deque[tuple[float, IPv4Address | IPv6Address, bytes]]] = {}

    def look(self, arrival: Arrival, member: Member, node: Node, now: float) -> None:
        """``member`` is the vhid that the packet names."""
        kind = self._judge(arrival, member, node, now)
        if kind:
            self._note(kind, arrival.source, member, now)

    def _judge(self, arrival: Arrival, member: Member, node: Node, now: float) -> str:
        heard, key = member.machine.heard, member.config.key
        after = (heard.bad_digests, heard.looped, heard.replayed, heard.accepted)
        before = self._before.get(key, (0, 0, 0, 0))
        self._before[key] = after
        wrong_ttl, self._wrong_ttl = node.statistics.carps_badttl > self._wrong_ttl, node.statistics.carps_badttl
        if not node.settings.allow:
            return ""
        if after[3] == before[3] and is_vrrp(arrival):
            # VRRP for IPv6 has MACs of its own (00:00:5e:00:02).
            clash = arrival.family is Family.IPV4 and member.config.virtual_mac
            return "vrrp" if clash else ""
        for kind, old, new in zip(("digest", "looped"), before, after):  # noqa: B905 - strict= needs 3.10
            if new > old:
                return kind
        accepted = after[3] > before[3]
        if accepted and self._too_often(arrival, member, now) and after[2] > before[2]:
            return "repeated"
        if wrong_ttl:
            return "ttl"
        if accepted:
            self._reconcile(("digest", *key), arrival)
            return "equal" if _equal(arrival.payload, member) and not node.demotion else ""
        return ""

    def _too_often(self, arrival: Arrival, member: Member, now: float) -> bool:
        """Whether a sender that keeps to its interval cannot have sent all that came from there.

        Bytes that come again prove nothing: a ucarp that is restarted takes our counter and says, one an interval, what
        it said in its former life (observed with ucarp 1.5.2), and OpenBSD never changes its counter.
        """
        payload, config = arrival.payload, member.machine.config
        interval = min(payload[5] + payload[2] / 256, config.advbase + config.advskew / 256)
        kept = self._accepted.setdefault(member.config.key, deque(maxlen=_KEPT))
        same = any(payload == old and now - then < interval / 2 for then, _, old in kept)
        kept.append((now, arrival.source, payload))
        recent = sum(source == arrival.source and now - then < _INTERVALS * interval for then, source, _ in kept)
        return same or recent > _TOO_MANY

    def _reconcile(self, key: tuple[str, str, int], arrival: Arrival) -> None:
        """The host that had another password has ours now: nobody has to wait until that is forgotten."""
        offence = self._offences.get(key)
        if offence is not None and offence.source == arrival.source:
            del self._offences[key]

    def _note(self, kind: str, source: IPv4Address | IPv6Address, member: Member, now: float) -> None:
        interface, vhid = member.config.key
        key = (kind, interface, vhid)
        offence = self._offences.get(key)
        if offence is None:
            if len(self._offences) >= _MOST:
                return
            # As if a line had been written long enough ago for the next one.
            wait = _ROLLOUT if kind in ("digest", "equal") else 0.0
            config = member.machine.config
            lasts = _MISSED * (config.advbase + config.advskew / 256) if kind == "equal" else _LASTS
            offence = self._offences[key] = _Offence(source, now, now + wait - _QUIET, lasts)
        offence.source, offence.last, offence.master = source, now, member.is_master
        if now - offence.logged < _QUIET:
            offence.unsaid += 1
            return
        more = f" ({offence.unsaid + 1} packets since it was last said)" if offence.unsaid else ""
        text, remedy = _explained(kind, offence, interface, vhid)
        offence.logged, offence.unsaid = now, 0
        self._log("warning", f"carp: {vhid}@{interface}: {text}{more}; {remedy}")

    def forget(self, interface: str, vhid: int, *, removed: bool = False) -> None:
        """The vhid is configured anew, so what was wrong may not be any more; or it is removed."""
        if removed:
            self._before.pop((interface, vhid), None)
            self._accepted.pop((interface, vhid), None)
        for key in [key for key in self._offences if key[1:] == (interface, vhid)]:
            del self._offences[key]

    def findings(self, now: float) -> list[Finding]:
        """What is wrong now; what has not been seen for a while is forgotten."""
        for key in [key for key, offence in self._offences.items() if now - offence.last > max(_QUIET, offence.lasts)]:
            del self._offences[key]
        return [
            Finding(vhid, interface, *_explained(kind, offence, interface, vhid))
            for (kind, interface, vhid), offence in self._offences.items()
            if now - offence.last <= offence.lasts
        ]


def _equal(payload: bytes, member: Member) -> bool:
    """Whether the sender has advbase and advskew of this host."""
    config = member.machine.config
    return (payload[5], payload[2]) == (config.advbase, config.advskew) and member.machine.state is not State.INIT


def _explained(kind: str, offence: _Offence, interface: str, vhid: int) -> tuple[str, str]:
    text, remedy = _TEXTS[kind]
    are = "are" if offence.master else "will be"
    return text.format(source=offence.source, vhid=vhid, interface=interface, are=are), remedy
