"""What a plan takes for granted of the running FreeBSD system, so that the host can say that it has changed since."""

from __future__ import annotations

import re

from bsdcarp.plan.change import LiveState
from bsdcarp.snapshot import Snapshot

__all__ = ["live_state"]

_PSEUDO = re.compile(r"carp\d+")


def live_state(snapshot: Snapshot) -> LiveState:
    """Return vhids and their addresses as transact.sh's live_state reads them from ifconfig(8)."""
    vhids: list[str] = []
    addresses: list[str] = []
    for interface in snapshot.interfaces.values():
        vhids += [f"{interface.name} {v.vhid} {v.advbase} {v.advskew}" for v in interface.vhids]
        for address in interface.addresses:
            if address.vhid:
                addresses.append(f"{interface.name} {address.text} {address.vhid}")
            elif _PSEUDO.fullmatch(interface.name):
                addresses.append(f"{interface.name} {address.text}")
    return LiveState(tuple(vhids), tuple(addresses))
