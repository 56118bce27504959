"""The addresses that a MASTER holds, and how it tells the segment about them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from bsdcarp.carp.actions import (
    Action,
    AddAddresses,
    RemoveAddresses,
    SendGratuitousArp,
    SendUnsolicitedNa,
)
from bsdcarp.carp.vhid import Vhid

__all__ = ["Addresses"]

# Adverts between an announcement and its repetition, as UCARP and OpenBSD do it.
_REPEAT_AFTER = 2


class Addresses:
    """What was added and has to be removed again, even if the configuration changed in between."""

    def __init__(self, parent: str, *, repeats: bool) -> None:
        self._parent = parent
        self._repeats = repeats
        self._v4: tuple[IPv4Address, ...] = ()
        self._v6: tuple[IPv6Address, ...] = ()
        self._vhid = 0
        self._again = 0

    def take(self, config: Vhid) -> list[Action]:
        """Hold all addresses of the configuration."""
        self._vhid, self._v4, self._v6 = config.vhid, config.v4, config.v6
        return [AddAddresses(config.vhid, self._parent, self._v4, self._v6)]

    def leave(self, config: Vhid) -> list[Action]:
        """Let go of everything that is held."""
        gone = RemoveAddresses(config.vhid, self._parent, self._v4, self._v6)
        self._v4, self._v6 = (), ()
        return [gone]

    def drop(self, config: Vhid) -> list[Action]:
        """Let go of what the configuration has no more, and keep the rest."""
        gone4 = tuple(a for a in self._v4 if a not in config.v4)
        gone6 = tuple(a for a in self._v6 if a not in config.v6)
        if not gone4 and not gone6:
            return []
        self._v4, self._v6 = config.v4, config.v6
        return [RemoveAddresses(config.vhid, self._parent, gone4, gone6)]

    def announce(self) -> list[Action]:
        """Gratuitous ARP and unsolicited NA for all of them, to be repeated on systems that do so."""
        self._again = _REPEAT_AFTER if self._repeats else 0
        return self._announcement()

    def announce_again(self) -> list[Action]:
        """The repetition, if it is due now; to be called after each advert."""
        if self._again:
            self._again -= 1
            if not self._again:
                return self._announcement()
        return []

    def reassert(self) -> list[Action]:
        """Somebody else advertises, more slowly: announce, but not while a repetition is pending.

        Otherwise a replayed packet would draw a burst each time.
        """
        return self.announce() if self._repeats and not self._again else []

    def _announcement(self) -> list[Action]:
        arps: list[Action] = [SendGratuitousArp(self._vhid, self._parent, address) for address in self._v4]
        return arps + [SendUnsolicitedNa(self._vhid, self._parent, address) for address in self._v6]
