"""The counters of struct carpstats, as netstat(1) prints them."""

from __future__ import annotations

from dataclasses import dataclass

from bsdcarp.carp.packet import Reason
from bsdcarp.carp.vhid import Family

__all__ = ["Heard", "Statistics"]

# usr.bin/netstat/inet.c, carp_stats(): "%s" takes the plural.
_LINES = (
    ("carps_ipackets", "\t{} packet{} received (IPv4)"),
    ("carps_ipackets6", "\t{} packet{} received (IPv6)"),
    ("carps_badttl", "\t\t{} packet{} discarded for wrong TTL"),
    ("carps_hdrops", "\t\t{} packet{} shorter than header"),
    ("carps_badsum", "\t\t{} discarded for bad checksum{}"),
    ("carps_badver", "\t\t{} discarded packet{} with a bad version"),
    ("carps_badlen", "\t\t{} discarded because packet too short"),
    ("carps_badauth", "\t\t{} discarded for bad authentication"),
    ("carps_badvhid", "\t\t{} discarded for bad vhid"),
    ("carps_badaddrs", "\t\t{} discarded because of a bad address list"),
    ("carps_opackets", "\t{} packet{} sent (IPv4)"),
    ("carps_opackets6", "\t{} packet{} sent (IPv6)"),
    ("carps_onomem", "\t\t{} send failed due to mbuf memory error"),
)


@dataclass
class Statistics:
    """Packets counted since the node was made.  Mutable on purpose: it is a set of counters and nothing else."""

    carps_ipackets: int = 0
    carps_ipackets6: int = 0
    carps_badif: int = 0
    carps_badttl: int = 0
    carps_hdrops: int = 0
    carps_badsum: int = 0
    carps_badver: int = 0
    carps_badlen: int = 0
    carps_badauth: int = 0
    carps_badvhid: int = 0
    carps_badaddrs: int = 0
    """Never counted by FreeBSD: a different address list shows as bad authentication."""
    carps_opackets: int = 0
    carps_opackets6: int = 0
    carps_onomem: int = 0
    looped: int = 0
    """Own adverts that came back.  Not a member of struct carpstats; only the Linux personality notices them."""
    replayed: int = 0
    """Accepted adverts that had been accepted before, byte by byte, and were acted on like any other: an OpenBSD peer
    repeats itself all the time.  Not a member of struct carpstats; only the Linux personality notices them."""

    def received(self, family: Family) -> None:
        """Count one packet that came in, whatever becomes of it."""
        if family is Family.IPV4:
            self.carps_ipackets += 1
        else:
            self.carps_ipackets6 += 1

    def sent(self, family: Family) -> None:
        """Count one advert that was handed out."""
        if family is Family.IPV4:
            self.carps_opackets += 1
        else:
            self.carps_opackets6 += 1

    def dropped(self, reason: Reason) -> None:
        """Count one packet that was dropped for ``reason``."""
        if reason.value:
            setattr(self, reason.value, getattr(self, reason.value) + 1)

    def netstat(self) -> list[str]:
        """What ``netstat -s -p carp`` prints, one string a line, without newlines."""
        lines = ["carp:"]
        for name, text in _LINES:
            count = getattr(self, name)
            lines.append(text.format(count, "" if count == 1 else "s"))
        return lines


@dataclass
class Heard:
    """What one vhid has heard: the same counts again for this vhid alone, and when it was last."""

    accepted: int = 0
    accepted_at: float | None = None
    """Monotonic seconds; None for never."""
    bad_digests: int = 0
    """Adverts for this vhid from somebody with another password or another address list."""
    bad_digest_at: float | None = None
    looped: int = 0
    replayed: int = 0
