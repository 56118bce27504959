"""The socket that asks: changes in batches with all their acknowledgements, and dumps."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from errno import EINTR, ENOBUFS, ENODEV, ETIMEDOUT
from typing import TypeVar

from bsdcarp.carpd.errors import NetlinkError
from bsdcarp.carpd.rtnl import codec, messages
from bsdcarp.carpd.rtnl.messages import Address, Link, RouteEntry, Rule
from bsdcarp.carpd.rtnl.requests import Request

__all__ = ["Route", "open_socket"]

Found = TypeVar("Found")

SOL_NETLINK = 270
_CAP_ACK, _EXT_ACK, _STRICT_CHECK = 10, 11, 12
# Requests in one sendmsg.  Each acknowledgement takes about 1 KiB of the receive buffer, whose default is 208 KiB.
_CHUNK = 100
_RECEIVE = 1 << 17
_SKIP_STATISTICS = 1 << 3
# A dump during which the kernel's list changed is repeated that often, and then taken as it is.
_ATTEMPTS = 5


def open_socket(groups: int = 0) -> socket.socket:
    """A netlink socket; options that an older kernel has not are left out, nothing depends on them."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    try:
        for option in (_CAP_ACK, _EXT_ACK, _STRICT_CHECK):
            try:
                sock.setsockopt(SOL_NETLINK, option, 1)
            except OSError:
                continue
        sock.bind((0, groups))
    except BaseException:
        sock.close()
        raise
    return sock


class Route:
    """Asks the kernel and waits for the answer, at most ``timeout`` seconds: an answer takes microseconds."""

    def __init__(self, *, timeout: float = 2.0) -> None:
        self._timeout = timeout
        self._sequence = int(time.monotonic() * 1000) & 0xFFFFFF
        self._socket = open_socket()

    def close(self) -> None:
        self._socket.close()

    def batch(self, requests: Sequence[Request]) -> None:
        """Perform all, in order, in as few system calls as there can be.

        Raise NetlinkError for the first that failed; the others were tried nevertheless.
        """
        for request, (errno, detail) in zip(requests, self._perform(requests)):  # noqa: B905 - strict= needs 3.10
            if errno:
                raise NetlinkError(request.what, errno, detail)

    def attempt(self, requests: Sequence[Request]) -> tuple[int, ...]:
        """Perform all, in order, and return the errno of each; 0 for done, or for an error that it ignores."""
        return tuple(errno for errno, _ in self._perform(requests))

    def links(self) -> tuple[Link, ...]:
        body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + codec.attribute(29, codec.u32(_SKIP_STATISTICS))
        return tuple(self._dump(messages.RTM_GETLINK, body, messages.parse_link) or ())

    def link(self, which: str | int) -> Link | None:
        """One interface by name or index; None if there is none."""
        index = which if isinstance(which, int) else 0
        body = struct.pack("=BxHiII", 0, 0, index, 0, 0) + codec.attribute(29, codec.u32(_SKIP_STATISTICS))
        if isinstance(which, str):
            name = which.encode("utf-8", "surrogateescape")
            if not 0 < len(name) < 16 or b"\0" in name:
                return None
            body += codec.attribute(3, name + b"\0")
        try:
            found = list(self._ask(messages.RTM_GETLINK, 0, body))
        except NetlinkError as error:
            if error.errno == ENODEV:
                return None
            raise
        links = (messages.parse_link(message) for message in found)
        return next((link for link in links if link), None)

    def addresses(self, index: int | None = None) -> tuple[Address, ...]:
        """All addresses, or those of one interface."""
        body = struct.pack("=BBBBi", 0, 0, 0, 0, 0)
        found = self._dump(messages.RTM_GETADDR, body, messages.parse_address) or ()
        return tuple(address for address in found if index is None or address.index == index)

    def routes(self, table: int = messages.MAIN, *, limit: int = 0, protocol: int = 0) -> tuple[RouteEntry, ...] | None:
        """The routes of one table, of both families, without cache entries.  Table 0 stands for all tables.

        With ``limit`` None if there are more: a router's full table takes seconds to read, and nobody waits for that.
        With ``protocol`` only those that this one added; the kernel picks them.
        """
        found: list[RouteEntry] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, protocol, 0, 0, 0)
            if table:
                body += codec.attribute(15, codec.u32(table))
            try:
                entries = self._dump(messages.RTM_GETROUTE, body, messages.parse_route, limit)
            except NetlinkError:
                # With strict checking the kernel says ENOENT of a table that nothing was ever put into.
                continue
            if entries is None:
                return None
            found += [
                entry
                for entry in entries
                if entry.family == family
                and not entry.cloned
                and table in (0, entry.table)
                and protocol in (0, entry.protocol)
            ]
            if limit and len(found) > limit:
                return None
        return tuple(found)

    def rules(self) -> tuple[Rule, ...]:
        found: dict[Rule, None] = {}
        for family in (socket.AF_INET, socket.AF_INET6):
            body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, 0, 0)
            try:
                found.update(dict.fromkeys(self._dump(messages.RTM_GETRULE, body, messages.parse_rule) or ()))
            except NetlinkError:  # a kernel without policy rules for this family
                continue
        return tuple(found)

    def _next(self) -> int:
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF or 1
        return self._sequence

    def _perform(self, requests: Sequence[Request]) -> list[tuple[int, str]]:
        done: list[tuple[int, str]] = []
        for start in range(0, len(requests), _CHUNK):
            done += self._chunk(requests[start : start + _CHUNK])
        return done

    def _chunk(self, requests: Sequence[Request]) -> list[tuple[int, str]]:
        flags = codec.NLM_F_REQUEST | codec.NLM_F_ACK
        waiting = {self._next(): request for request in requests}
        sequences = tuple(waiting)
        self._send(b"".join(codec.encode(r.kind, r.flags | flags, s, r.body) for s, r in waiting.items()))
        answers: dict[int, tuple[int, str]] = {}
        deadline = time.monotonic() + self._timeout
        while waiting:
            for message in self._receive(deadline, next(iter(waiting.values())).what):
                if message.kind == codec.NLMSG_ERROR and message.sequence in waiting:
                    errno, detail = codec.acknowledgement(message)
                    ignored = errno in waiting.pop(message.sequence).ignore
                    answers[message.sequence] = (0, "") if ignored else (errno, detail)
        return [answers[sequence] for sequence in sequences]

    def _dump(
        self, kind: int, body: bytes, parse: Callable[[codec.Message], Found | None], limit: int = 0
    ) -> list[Found] | None:
        """Everything of one kind; None if there is more than ``limit``."""
        found: list[Found] = []
        for _ in range(_ATTEMPTS):
            found.clear()
            steady = True
            for message in self._ask(kind, codec.NLM_F_DUMP, body):
                steady = steady and not message.flags & codec.NLM_F_DUMP_INTR
                entry = parse(message)
                if entry is not None:
                    found.append(entry)
                if limit and len(found) > limit:
                    # The only way to end a dump is to close its socket.
                    self._socket.close()
                    self._socket = open_socket()
                    return None
            if steady:
                break
        return found

    def _ask(self, kind: int, flags: int, body: bytes) -> Iterator[codec.Message]:
        """The answers to one question.  Without NLM_F_DUMP an acknowledgement is asked for, so that there is an end."""
        sequence = self._next()
        flags |= codec.NLM_F_REQUEST | (0 if flags & codec.NLM_F_DUMP else codec.NLM_F_ACK)
        self._send(codec.encode(kind, flags, sequence, body))
        deadline = time.monotonic() + self._timeout
        what = f"request {kind}"
        while True:
            for message in self._receive(deadline, what):
                if message.sequence != sequence:
                    continue
                if message.kind in (codec.NLMSG_ERROR, codec.NLMSG_DONE):
                    errno, detail = codec.acknowledgement(message)
                    if errno and errno != EINTR:
                        raise NetlinkError(what, errno, detail)
                    return
                yield message

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendto(data, (0, 0))
        except OSError as error:
            raise NetlinkError("netlink", error.errno or ENOBUFS) from None

    def _receive(self, deadline: float, what: str) -> list[codec.Message]:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise NetlinkError(what, ETIMEDOUT)
        self._socket.settimeout(remaining)
        try:
            data, sender = self._socket.recvfrom(_RECEIVE)
        except socket.timeout:  # noqa: UP041 - another class before 3.10
            raise NetlinkError(what, ETIMEDOUT) from None
        except OSError as error:
            raise NetlinkError(what, error.errno or ENOBUFS) from None
        # Any process may send to a netlink port; only the kernel is port 0.
        return list(codec.decode(data)) if sender[0] == 0 else []
