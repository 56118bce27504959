"""ARP balancing of FreeBSD up to 9: one address shared by several vhids, the client's address decides which answers."""

from __future__ import annotations

from collections.abc import Sequence

from bsdcarp.carp.vhid import State

__all__ = ["answer"]


def answer(client_ip: int, candidates: Sequence[tuple[int, State]]) -> int | None:
    """The vhid whose virtual MAC this host gives to a client, or None if it stays silent.

    ``client_ip`` is the sender address of the ARP request as an unsigned integer.  ``candidates`` are all running
    vhids on the parent interface that hold the requested address, whatever their state, in the kernel's list order:
    ascending, except that a vhid smaller than all others was put at the end (carp_set_addr() of FreeBSD 9.3).  Hosts
    whose order differs answer twice or not at all.  Recorded on FreeBSD 9.3 with two vhids: even clients get the
    first, odd ones the second.
    """
    if not candidates:
        return None
    vhid, state = candidates[client_ip % len(candidates)]
    return vhid if state is State.MASTER else None
