"""Who runs a transaction, what it is called, and how long the host waits for its confirmation."""

from __future__ import annotations

import getpass
import secrets as randomness
import socket
import time
from collections.abc import Iterable

from bsdcarp.fleet.policy import DEFAULT_WINDOW
from bsdcarp.model import Inventory
from bsdcarp.transaction import Terms

__all__ = ["new_terms", "operator", "shortest_window", "whoami"]

_RECONNECT = 20
"""Seconds that a new connection and the look at a host may take."""


def new_terms(*, steal: bool = False) -> Terms:
    """Return the terms of one more apply: a name that tells its time, and a claim nobody can guess.

    Names of one operator sort by time, to the millisecond, which tells what came later on hosts that share no
    transaction; the order on one host is known by that host.  All of its hosts share the terms, so that going back to
    before it, or confirming it, means the same on each.
    """
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    when = time.strftime("%Y%m%d-%H%M%S", time.gmtime(seconds))
    return Terms(
        name=f"tx-{when}-{nanoseconds // 10**6:03}{randomness.token_hex(2)}",
        owner=operator(seconds),
        claim=randomness.token_hex(16),
        window=DEFAULT_WINDOW,
        steal=steal,
    )


def shortest_window(inventory: Inventory, hosts: Iterable[str]) -> int:
    """Return the seconds that electing, host after host, and connecting anew take at the most on these hosts.

    That is 3 x advbase for every member of the largest group, and the time for a connection.
    """
    groups = {group.name: group for host in hosts for group in inventory.groups_of(host)}.values()
    return max((3 * group.advbase * len(group.members) for group in groups), default=0) + _RECONNECT


def operator(since: float | None = None) -> str:
    """Return who is at work, and since when: ``since`` (seconds since 1970), or now."""
    return f"{whoami()} since {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(since))}"


def whoami() -> str:
    """Return ``user@machine`` of whoever runs this."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}"
