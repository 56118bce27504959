"""What releases do differently, as data: the machine asks a personality and never compares version numbers.

Sources are FreeBSD's sys/netinet/ip_carp.c as of 5.4, 9.3, 10.4, 11.3, 12.1 and 14, and what was recorded on 9.3, 10.4
and 12.1.  Two models exist: up to 9.x a vhid is a pseudo interface carpN, from 10.0 on it belongs to addresses of a
real one.  Linux is this project's own daemon, which keeps to the newest FreeBSD where nothing speaks for doing better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from bsdcarp.carp.packet import Reason
from bsdcarp.carp.state import Event

__all__ = ["REASONS", "REFUSALS_V6", "Personality", "SendErrors", "personality"]


class SendErrors(Enum):
    """How three failed sends in a row, which demote the host, are forgiven."""

    AFTER_THREE_SENT = "three sent in a row undo the demotion; below three failures, one sent is enough"
    NEVER = "the first one sent forgets the failures, so the demotion stays for ever (a bug of 10.0 to 13.x)"
    STEADY = "three sent in a row are needed, however many failed before"


# FreeBSD 11 and newer, carp_set_state(sc, state, reason).
REASONS: dict[Event, str] = {
    Event.UP: "initialization complete",
    Event.DOWN: "hardware interface down",
    Event.STOP: "stopped",
    Event.RESTART: "hardware interface up",
    Event.MASTER_DOWN: "master timed out",
    Event.HEARD_BETTER: "more frequent advertisement received",
    Event.HEARD_PREEMPTIBLE: "preempting a slower master",
    Event.HEARD_TOO_SLOW: "master will time out",
    Event.FORCE_MASTER: "user requested via ifconfig",
    Event.FORCE_BACKUP: "user requested via ifconfig",
    Event.YIELD: "user requested",
}

# Up to 10.x a line is printed at some places only: no entry, no line; "" is a line without a reason.
_REASONS_10: dict[Event, str] = {
    Event.UP: "",
    Event.MASTER_DOWN: "master down",
    Event.HEARD_BETTER: "more frequent advertisement received",
    Event.HEARD_PREEMPTIBLE: "preempting a slower master",
    Event.HEARD_TOO_SLOW: "master timed out",
}
_REASONS_9: dict[Event, str] = {event: text for event, text in _REASONS_10.items() if event is not Event.MASTER_DOWN}

_REFUSALS_10: dict[Reason, str] = {
    Reason.BAD_INTERFACE: "{function}: packet received on non-carp interface: {interface}",
    Reason.BAD_TTL: "{function}: received ttl {ttl} != 255 on {interface}",
    Reason.TOO_SHORT: "{function}: received len {length} < sizeof(struct carp_header) on {interface}",
    Reason.BAD_CHECKSUM: "{function}: checksum failed on {interface}",
    Reason.BAD_VERSION: "{interface}: invalid version {version}",
    Reason.BAD_AUTHENTICATION: "carp_input_c: incorrect hash for VHID {vhid}@{interface}",
    Reason.LOOPED: "dropping looped packet on interface {interface}",
}
_REFUSALS_9 = {
    **_REFUSALS_10,
    Reason.BAD_VERSION: "{name}; invalid version {version}",
    Reason.BAD_AUTHENTICATION: "{name}: incorrect hash",
}
# carp6_input() words these two in its own way, on every release.
REFUSALS_V6: dict[Reason, str] = {
    Reason.TOO_SHORT: "{function}: packet size {length} too small",
    Reason.BAD_CHECKSUM: "{function}: checksum failed, on {interface}",
}


@dataclass(frozen=True)
class Personality:
    """Everything in which one family of releases differs from another."""

    title: str
    pseudo_interfaces: bool
    """A vhid is an interface carpN of its own: link state mirrors the role, bow-out when it is set down."""
    adds_demotion: bool
    """Demotion is added to advskew.  Otherwise any demotion at all makes it 240 (suppress_preempt)."""
    demotion_floor: bool
    """A negative sum is sent as advskew 0; without, it wraps around in its 8 bits."""
    allow_stops: bool
    """allow=0 puts every vhid into INIT; without, it only makes the host deaf."""
    bows_out: bool
    """A MASTER that is stopped says so with one advert of 255/255."""
    ordered_digest: bool = True
    """Addresses are hashed in ascending order rather than in the interface's."""
    restarts_on_repeat: bool = True
    """Adding an address that is there already restarts the vhid; 10.x leaves it alone (recorded on 10.4).  On 11.x the
    vhid starts over as well while ifconfig(8) may be told ENOPROTOOPT ("Protocol not available"), on every second run
    if it is the only address: what the system call answers is up to whoever simulates the kernel."""
    restarts_on_addition: bool = True
    """Adding one more address restarts the vhid.  Otherwise a MASTER takes it along, and tells the peers at once."""
    restarts_on_removal: bool = True
    """Removing one of several addresses restarts the vhid.  Otherwise the others stay where they are."""
    tells_changes: bool = False
    """A MASTER whose configuration changed advertises at once: peers that have it already have refused it since, or
    count on another interval."""
    configure_restarts_timers: bool = False
    """Setting advskew, advbase or the password starts the running timer afresh."""
    accepts_empty_key: bool = False
    """An empty password replaces the old one; elsewhere it means unchanged."""
    follows_counter: bool = True
    """Counters are random until an advert was heard, then that one's plus 1.  Otherwise only the first is random."""
    remembers_sent: int = 0
    """How many of its own adverts it knows again when they come back; FreeBSD knows none."""
    remembers_heard: int = 0
    """How many accepted adverts it remembers, to count those that arrive once more; FreeBSD does not count them."""
    repeats_announcement: bool = False
    """Gratuitous ARP and NA are sent a second time two adverts later, and against a slower MASTER."""
    unicast: bool = False
    """Adverts can have a unicast destination, and then the received TTL does not matter."""
    send_errors: SendErrors = SendErrors.STEADY
    removal_forgives: bool = False
    """Removing a vhid that cannot send undoes the demotion for that, too."""
    dscp: bool = True
    """net.inet.carp.dscp exists; without it IPv4 goes out with TOS 0x10 (low delay) and IPv6 with class 0."""
    transition: str = "carp: {vhid}@{interface}: {old} -> {new}"
    """Log line of a change of state; a reason follows in parentheses."""
    reasons: Mapping[Event, str] = field(default_factory=lambda: REASONS)
    """Which changes are logged, and with which reason."""
    refusals: Mapping[Reason, str] = field(default_factory=lambda: _REFUSALS_10)
    """Log lines for bad packets, with net.inet.carp.log=2."""
    debug_level: int = 2
    """From which net.inet.carp.log on bad packets are logged."""


_PSEUDO = Personality(
    title="FreeBSD 6.1 to 9",
    pseudo_interfaces=True,
    adds_demotion=False,
    demotion_floor=False,
    allow_stops=False,
    bows_out=True,
    restarts_on_removal=False,
    configure_restarts_timers=True,
    accepts_empty_key=True,
    send_errors=SendErrors.AFTER_THREE_SENT,
    removal_forgives=True,
    dscp=False,
    transition="{name}: {old} -> {new}",
    reasons=_REASONS_9,
    refusals=_REFUSALS_9,
)
_VHID = Personality(
    title="FreeBSD 14 and newer",
    pseudo_interfaces=False,
    adds_demotion=True,
    demotion_floor=True,
    allow_stops=True,
    bows_out=False,
    unicast=True,
)
_VHID_12 = replace(_VHID, title="FreeBSD 11.3 to 13", demotion_floor=False, unicast=False, send_errors=SendErrors.NEVER)
_VHID_11 = replace(_VHID_12, title="FreeBSD 11.0 to 11.2", dscp=False)
_VHID_10 = replace(
    _VHID_11,
    title="FreeBSD 10",
    allow_stops=False,
    restarts_on_repeat=False,
    transition="carp: VHID {vhid}@{interface}: {old} -> {new}",
    reasons=_REASONS_10,
)
# First release of each, newest first.
_FREEBSD = (
    ((14, 0), _VHID),
    ((11, 3), _VHID_12),
    ((11, 0), _VHID_11),
    ((10, 0), _VHID_10),
    ((6, 1), _PSEUDO),
    ((0, 0), replace(_PSEUDO, title="FreeBSD 5.4 and 6.0", ordered_digest=False, debug_level=1)),
)
_LINUX = replace(
    _VHID,
    title="Linux",
    bows_out=True,
    send_errors=SendErrors.AFTER_THREE_SENT,
    removal_forgives=True,
    follows_counter=False,
    restarts_on_repeat=False,
    restarts_on_addition=False,
    restarts_on_removal=False,
    tells_changes=True,
    remembers_sent=16,
    remembers_heard=64,
    repeats_announcement=True,
    reasons={**REASONS, Event.FORCE_MASTER: "user requested", Event.FORCE_BACKUP: "user requested"},
)


def personality(system: str, major: int = 0, minor: int = 0) -> Personality:
    """The personality of ``("freebsd", 12, 1)`` or ``("linux",)``.  Raise ValueError for any other system."""
    if system == "linux":
        return _LINUX
    if system != "freebsd":
        raise ValueError(f"no CARP personality for {system!r}")
    return next(found for first, found in _FREEBSD if (major, minor) >= first)
