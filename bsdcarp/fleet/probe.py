"""Are the shared addresses served meanwhile?  Asked all the time from here, as a client would notice it.

By ICMP echo where this user may send it, otherwise by connecting to port 22, where a refusal is an answer as well.
An address that answers neither before anything begins is not reachable from here, and nothing is said about it.
"""

from __future__ import annotations

import bisect
import contextlib
import errno
import os
import select
import socket
import threading
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from ipaddress import ip_address
from typing import Literal, Self

from bsdcarp.dataclass import dataclass
from bsdcarp.fleet.icmp import echo_reply, echo_request

__all__ = ["Losses", "Probe", "Via"]

Via = Literal["ICMP", "TCP 22", ""]
"""How an address is asked; empty where it cannot be reached from here."""
_INTERVALS: Mapping[str, float] = {"ICMP": 0.1, "TCP 22": 1.0}
"""Seconds between questions; sshd writes a line about every connection, so that those are fewer."""
_TRIAL = 1.0
"""Seconds that an address has at the beginning to show that it can be reached."""
_GRACE = 1.0
"""Seconds after which an answer counts as lost."""
_ANSWERS = frozenset({0, errno.ECONNREFUSED})


@dataclass(frozen=True, slots=True)
class Losses:
    """What became of the questions to one address in a span of time."""

    via: Via
    sent: int = 0
    lost: int = 0
    longest: float = 0.0
    """Seconds of the longest time without an answer, from the last question that was answered to the next one."""
    interval: float = 0.0
    """Seconds between two questions, which is how exact ``longest`` is."""


@dataclass(slots=True)
class _Target:
    """One address, and when it was asked; whether it answered is noted beside."""

    address: str
    version: Literal[4, 6]
    via: Via = ""
    asked: array[float] = field(default_factory=lambda: array("d"))
    answered: bytearray = field(default_factory=bytearray)

    def ask(self, now: float) -> int:
        """Note a question and return its number."""
        self.asked.append(now)
        self.answered.append(0)
        return len(self.asked) - 1

    def answer(self, sequence: int) -> None:
        """Note an answer; ``sequence`` is the last 16 bits of the number of the latest question that has them."""
        last = len(self.asked) - 1
        number = last - ((last - sequence) & 0xFFFF)
        if number >= 0:
            self.answered[number] = 1

    def losses(self, begin: float, end: float) -> Losses:
        """Sum up the questions between two moments."""
        first, last = bisect.bisect_left(self.asked, begin), bisect.bisect_right(self.asked, end)
        lost = self.answered.count(0, first, last)
        return Losses(self.via, last - first, lost, self._longest(first, last), _INTERVALS.get(self.via, 0.0))

    def _longest(self, first: int, last: int) -> float:
        longest, since = 0.0, None
        for number in range(first, last):
            if self.answered[number]:
                if since is not None:
                    longest, since = max(longest, self.asked[number] - since), None
            elif since is None:
                since = self.asked[number - 1] if number > first else self.asked[number]
        if since is not None:
            longest = max(longest, self.asked[last - 1] - since)
        return longest


class Probe:
    """Asks addresses from a thread of its own.  Use as a context manager, or ``start`` and ``stop``."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self._targets = {text: _Target(text, 4 if ip_address(text).version == 4 else 6) for text in addresses}
        self._payload = b"bsdcarp " + os.urandom(8)
        self._sockets: dict[int, socket.socket] = {}
        self._ident = os.getpid() & 0xFFFF
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Find out how each address can be asked, which takes up to two seconds, and begin."""
        for version in sorted({target.version for target in self._targets.values()}):
            if (opened := _icmp_socket(version)) is not None:
                self._sockets[version] = opened
        self._try("ICMP", (t for t in self._targets.values() if t.version in self._sockets))
        self._try("TCP 22", (t for t in self._targets.values() if not t.via))
        if any(target.via for target in self._targets.values()):
            self._thread = threading.Thread(target=self._run, name="probe", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Wait for the last answers, and end.  May be called again."""
        self._ending.set()
        if self._thread:
            self._thread.join()
            self._thread = None
        for opened in self._sockets.values():
            opened.close()
        self._sockets.clear()

    def losses(self, begin: float = 0.0, end: float = float("inf")) -> dict[str, Losses]:
        """Return, by address, what became of the questions between two moments of ``time.monotonic``.

        Questions younger than a second may still be answered; after ``stop`` there are none.
        """
        end = end if self._thread is None else min(end, time.monotonic() - _GRACE)
        return {text: target.losses(begin, end) for text, target in self._targets.items()}

    def _try(self, via: Literal["ICMP", "TCP 22"], targets: Iterable[_Target]) -> None:
        tried = list(targets)
        for target in tried:
            target.via = via
        end = time.monotonic() + _TRIAL
        while tried and time.monotonic() < end and not all(any(target.answered) for target in tried):
            self._round(tried, min(time.monotonic() + _TRIAL / 4, end), until_all=True)
        for target in tried:
            if not any(target.answered):
                target.via = ""
            # What was asked while looking for a way is not part of the measurement.
            target.asked, target.answered = array("d"), bytearray()

    def _run(self) -> None:
        fast = [target for target in self._targets.values() if target.via == "ICMP"]
        slow = [target for target in self._targets.values() if target.via == "TCP 22"]
        due = time.monotonic()
        slow_due = due
        while not self._ending.is_set():
            now = time.monotonic()
            asked = [*fast, *(slow if now >= slow_due else ())]
            slow_due = slow_due if now < slow_due else now + _INTERVALS["TCP 22"]
            # A machine that was busy does not catch up: questions in a bunch would say nothing.
            due = max(due + _INTERVALS["ICMP"], now)
            self._round(asked, due)
        self._round((), time.monotonic() + _GRACE, until_all=True)

    def _round(self, targets: Iterable[_Target], end: float, *, until_all: bool = False) -> None:
        """Ask ``targets`` and note answers until ``end``, or until everything was answered."""
        for target in targets:
            if target.via == "ICMP":
                self._ping(target)
            else:
                question = (target, target.answered, target.ask(time.monotonic()))
                threading.Thread(target=_connect, args=question, daemon=True).start()
        while (left := end - time.monotonic()) > 0:
            if until_all and all(t.answered[-1] for t in self._targets.values() if t.via and t.answered):
                return
            # Threads that connect are looked at as well, so never for long.
            wait = min(left, 0.05) if until_all else left
            sockets = list(self._sockets.values())
            if not sockets:
                time.sleep(wait)
                continue
            ready = select.select(sockets, [], [], wait)[0]
            for version, opened in self._sockets.items():
                if opened in ready:
                    self._receive(version, opened)

    def _ping(self, target: _Target) -> None:
        number = target.ask(time.monotonic())
        packet = echo_request(target.version, self._ident, number & 0xFFFF, self._payload)
        with contextlib.suppress(OSError):  # no route, or no buffer: not answered, then
            self._sockets[target.version].sendto(packet, (target.address, 0))

    def _receive(self, version: int, opened: socket.socket) -> None:
        for packet, source in _packets(opened):
            target = self._targets.get(source)
            sequence = echo_reply(6 if version == 6 else 4, packet, self._payload)
            if target is not None and sequence is not None:
                target.answer(sequence)


def _packets(opened: socket.socket) -> Iterator[tuple[bytes, str]]:
    while True:
        try:
            packet, source = opened.recvfrom(2048)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            continue  # an ICMP error that the kernel reports once
        yield packet, str(ip_address(str(source[0]).partition("%")[0]))


def _connect(target: _Target, answered: bytearray, number: int) -> None:
    family = socket.AF_INET if target.version == 4 else socket.AF_INET6
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as opened:
        opened.settimeout(_GRACE)
        try:
            said = opened.connect_ex((target.address, 22))
        except TimeoutError:
            return
        if said in _ANSWERS:
            answered[number] = 1


def _icmp_socket(version: int) -> socket.socket | None:
    """Return a socket for echo requests: one that any user may open where the system allows it, or a raw one."""
    family, protocol = (
        (socket.AF_INET, socket.IPPROTO_ICMP) if version == 4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
    )
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        with contextlib.suppress(OSError):
            opened = socket.socket(family, kind, protocol)
            opened.setblocking(False)
            return opened
    return None
