"""The socket that listens: the kernel's news about links, addresses and routes, as events.

The kernel drops news when the receive buffer is full and says so once (ENOBUFS).  Then a dump tells the whole truth,
and the listener gets it as one ``Everything``, the same event that it starts with.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from errno import EAGAIN, EINTR, ENOBUFS
from typing import Union

from bsdcarp.carpd.errors import NetlinkError
from bsdcarp.carpd.rtnl import codec, messages
from bsdcarp.carpd.rtnl.messages import Address, Link
from bsdcarp.carpd.rtnl.requests import MARK
from bsdcarp.carpd.rtnl.route import Route, open_socket

__all__ = ["AddressEvent", "Event", "Everything", "LinkEvent", "Monitor", "RoutesChanged", "interpret"]

# RTNLGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _IPV6_IFADDR, _IPV6_ROUTE, _IPV6_RULE
_GROUPS = sum(1 << (group - 1) for group in (1, 5, 7, 8, 9, 11, 19))
_BUFFER = 4 << 20
_SO_RCVBUFFORCE = 33
# Datagrams per read(), so that a router that learns a full table does not keep the daemon from its adverts.
_AT_ONCE = 64


@dataclass(frozen=True)
class LinkEvent:
    """An interface is new or changed, or (``new`` False) was deleted."""

    link: Link
    new: bool


@dataclass(frozen=True)
class AddressEvent:
    """An address was added or changed, or (``new`` False) removed."""

    address: Address
    new: bool


@dataclass(frozen=True)
class RoutesChanged:
    """The main table changed, or somebody removed a rule of ours."""


@dataclass(frozen=True)
class Everything:
    """All links and addresses there are.  What is not in it is gone.  Routes may have changed as well."""

    links: tuple[Link, ...]
    addresses: tuple[Address, ...]


Event = Union[LinkEvent, AddressEvent, RoutesChanged, Everything]  # noqa: UP007 - evaluated; X | Y needs 3.10


def interpret(message: codec.Message) -> Event | None:
    """The event that a message tells, or None if it is of no interest."""
    link = messages.parse_link(message)
    if link:
        return LinkEvent(link, message.kind == messages.RTM_NEWLINK)
    address = messages.parse_address(message)
    if address:
        return AddressEvent(address, message.kind == messages.RTM_NEWADDR)
    route = messages.parse_route(message)
    if route and route.table == messages.MAIN and not route.cloned:
        return RoutesChanged()
    rule = messages.parse_rule(message)
    if rule and rule.protocol == MARK and message.kind == messages.RTM_DELRULE:
        return RoutesChanged()
    return None


class Monitor:
    """Register ``fileno()`` for reading; after opening, call ``snapshot()`` once."""

    def __init__(self, route: Route | None = None) -> None:
        self._own = route is None
        self._route = Route() if route is None else route
        self._socket = open_socket(_GROUPS)
        self._socket.setblocking(False)
        for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
                break
            except OSError:
                continue

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()
        if self._own:
            self._route.close()

    def snapshot(self) -> Everything:
        """The truth now.  News that came while it was read are still delivered, so nothing falls in between."""
        return Everything(self._route.links(), self._route.addresses())

    def read(self) -> tuple[Event, ...]:
        """The news, without waiting for any."""
        events: list[Event] = []
        routes = False
        for _ in range(_AT_ONCE):
            try:
                data, sender = self._socket.recvfrom(1 << 17)
            except OSError as error:
                if error.errno == ENOBUFS:
                    # What is still queued is older than the dump: throw it away.
                    self._drain()
                    return (self.snapshot(), RoutesChanged())
                if error.errno in (EAGAIN, EINTR):
                    break
                raise NetlinkError("netlink monitor", error.errno or ENOBUFS) from None
            if sender[0] != 0:
                continue
            for message in codec.decode(data):
                event = interpret(message)
                if isinstance(event, RoutesChanged):
                    routes = True
                elif event is not None:
                    events.append(event)
        if routes:
            events.append(RoutesChanged())
        return tuple(events)

    def _drain(self) -> None:
        """Empty the buffer.  Later news come after the dump, which is newer than everything dropped here."""
        for _ in range(1 << 16):
            try:
                self._socket.recv(1)
            except OSError as error:
                if error.errno == ENOBUFS:
                    continue
                return
