"""What one virtual host is configured as, and what a host sets for all of them.

These are the nouns the whole package speaks in.  They are plain values: nothing here knows the time or a packet.
The package has to run where the Linux daemon is installed, so it stays within Python 3.8.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

__all__ = ["GROUP_V4", "GROUP_V6", "KEY_LENGTH", "MAX_ADVSKEW", "Family", "Protocol", "Settings", "State", "Vhid"]

# CARP_KEY_LEN of sys/netinet/ip_carp.h.  ifconfig leaves room for a NUL, so 19 is all that it can set.
KEY_LENGTH = 20
# CARP_MAXSKEW: what a demoted host advertises at most.  254 may be configured, yet 240 is what goes out from 10.0 on.
MAX_ADVSKEW = 240

GROUP_V4 = IPv4Address("224.0.0.18")
GROUP_V6 = IPv6Address("ff02::12")


class Family(Enum):
    """An address family; the value is the number of its IP version."""

    IPV4 = 4
    IPV6 = 6


class State(Enum):
    """The role of a vhid, spelled as ifconfig(8) prints it."""

    INIT = "INIT"
    BACKUP = "BACKUP"
    MASTER = "MASTER"


class Protocol(Enum):
    """What is spoken on the wire.  FreeBSD 15 can also be told to speak VRRPv3; ``Node.add`` refuses it so far."""

    CARP = "carp"
    VRRP3 = "vrrp3"


@dataclass(frozen=True)
class Vhid:
    """The configuration of one virtual host.  Every member of the group needs the same addresses and key."""

    vhid: int
    """1 to 255; also the last byte of the virtual MAC 00:00:5e:00:01:VHID."""
    advbase: int = 1
    """Whole seconds between adverts, 1 to 255.  0 is possible up to FreeBSD 9 if advskew is not 0 too."""
    advskew: int = 0
    """1/256 s added to advbase, 0 to 254.  Smaller is preferred; equal values inside a group end in flapping."""
    key: bytes = field(default=b"", repr=False)
    """The password as bytes, at most 20, not padded."""
    v4: tuple[IPv4Address, ...] = ()
    """All IPv4 addresses, in the order in which the interface lists them."""
    v6: tuple[IPv6Address, ...] = ()
    """All IPv6 addresses, link-local ones included."""
    peer: IPv4Address | None = None
    """Unicast destination of IPv4 adverts (FreeBSD 14 and Linux); None is the multicast group."""
    peer6: IPv6Address | None = None
    """Unicast destination of IPv6 adverts; None is the multicast group."""
    protocol: Protocol = Protocol.CARP

    def __post_init__(self) -> None:
        """Raise ValueError for what no kernel accepts."""
        if not 1 <= self.vhid <= 255:
            raise ValueError(f"vhid {self.vhid} is not within 1 to 255")
        if not 0 <= self.advbase <= 255:
            raise ValueError(f"advbase {self.advbase} is not within 0 to 255")
        if not 0 <= self.advskew <= 254:
            raise ValueError(f"advskew {self.advskew} is not within 0 to 254")
        if self.advbase == 0 and self.advskew == 0:
            raise ValueError("advbase and advskew cannot both be 0")
        if len(self.key) > KEY_LENGTH:
            raise ValueError(f"a key has at most {KEY_LENGTH} bytes")

    @property
    def families(self) -> tuple[Family, ...]:
        """The families that have an address, hence an advert on every tick and a master-down timer of their own."""
        present = ((Family.IPV4, self.v4), (Family.IPV6, self.v6))
        return tuple(family for family, addresses in present if addresses)


@dataclass(frozen=True)
class Settings:
    """The host-wide sysctls net.inet.carp.*, except demotion, which is a sum and lives in the node."""

    preempt: int = 0
    """Not 0: a BACKUP takes over from a slower MASTER.  Any integer is accepted, as FreeBSD does."""
    allow: int = 1
    """0: received adverts are dropped; from FreeBSD 11 on every vhid goes to INIT too."""
    log: int = 1
    """0: nothing, 1: changes of state and demotion, 2: bad packets too."""
    arpbalance: int = 0
    """Up to FreeBSD 9: share one address between several vhids by the client's address."""
    dscp: int = 56
    """DSCP of adverts, 0 to 63, from FreeBSD 11.3 on; 56 makes the TOS byte 0xe0."""
    ifdown_factor: int = 240
    """net.inet.carp.ifdown_demotion_factor, added once per vhid whose interface is down."""
    senderr_factor: int = 240
    """net.inet.carp.senderr_demotion_factor, added once per vhid that failed to send three times in a row."""
