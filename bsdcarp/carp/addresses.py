"""The addresses that a MASTER holds, and how it tells the segment about them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar

from bsdcarp.carp.actions import (
    Action,
    AddAddresses,
    RemoveAddresses,
    SendGratuitousArp,
    SendUnsolicitedNa,
)
from bsdcarp.carp.vhid import Vhid

__all__ = ["Addresses"]

_Address = TypeVar("_Address", IPv4Address, IPv6Address)
# Adverts between an announcement and its repetition, as UCARP and OpenBSD do it.
_REPEAT_AFTER = 2


class Addresses:
    """What was added and has to be removed again, even if the configuration changed in between.

    The parent is an argument each time, because an interface can be renamed while it holds addresses.
    """

    def __init__(self, *, repeats: bool) -> None:
        self._repeats = repeats
        self._v4: tuple[IPv4Address, ...] = ()
        self._v6: tuple[IPv6Address, ...] = ()
        self._vhid = 0
        self._again = 0

    def take(self, config: Vhid, parent: str) -> list[Action]:
        """Hold all addresses of the configuration."""
        self._vhid, self._v4, self._v6 = config.vhid, config.v4, config.v6
        return [AddAddresses(config.vhid, parent, self._v4, self._v6)]

    def leave(self, config: Vhid, parent: str) -> list[Action]:
        """Let go of everything that is held."""
        gone = RemoveAddresses(config.vhid, parent, self._v4, self._v6)
        self._v4, self._v6 = (), ()
        return [gone]

    def exchange(self, config: Vhid, parent: str) -> list[Action]:
        """Take what the configuration has in addition, announce that, let go of what it has no more, keep the rest."""
        gone4, gone6 = _without(self._v4, config.v4), _without(self._v6, config.v6)
        new4, new6 = _without(config.v4, self._v4), _without(config.v6, self._v6)
        self._v4, self._v6 = config.v4, config.v6
        out: list[Action] = []
        if gone4 or gone6:
            out.append(RemoveAddresses(config.vhid, parent, gone4, gone6))
        if new4 or new6:
            out.append(AddAddresses(config.vhid, parent, new4, new6))
            self._again = _REPEAT_AFTER if self._repeats else 0
            out.extend(self._announcement(parent, new4, new6))
        return out

    def announce(self, parent: str) -> list[Action]:
        """Gratuitous ARP and unsolicited NA for all of them, to be repeated on systems that do so."""
        self._again = _REPEAT_AFTER if self._repeats else 0
        return self._announcement(parent, self._v4, self._v6)

    def announce_again(self, parent: str) -> list[Action]:
        """The repetition, if it is due now; to be called after each advert."""
        if self._again:
            self._again -= 1
            if not self._again:
                return self._announcement(parent, self._v4, self._v6)
        return []

    def reassert(self, parent: str) -> list[Action]:
        """Somebody else advertises, more slowly: announce, but not while a repetition is pending.

        Otherwise a replayed packet would draw a burst each time.
        """
        return self.announce(parent) if self._repeats and not self._again else []

    def _announcement(self, parent: str, v4: tuple[IPv4Address, ...], v6: tuple[IPv6Address, ...]) -> list[Action]:
        arps: list[Action] = [SendGratuitousArp(self._vhid, parent, address) for address in v4]
        return arps + [SendUnsolicitedNa(self._vhid, parent, address) for address in v6]


def _without(some: tuple[_Address, ...], others: tuple[_Address, ...]) -> tuple[_Address, ...]:
    return tuple(address for address in some if address not in others)
