"""A process that is stopped in the midst of a callback hears what came meanwhile before its timers run."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bsdcarp.carpd.loop import Loop


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> float:
        return self.now


@pytest.fixture
def stopped() -> Iterator[tuple[Loop, Clock, list[str], socket.socket]]:
    """A loop whose first descriptor takes 5 s to look after, in which a packet comes and a timer falls due."""
    clock, said = Clock(), list[str]()
    with ExitStack() as stack:
        request, asker, port, peer = (
            stack.enter_context(end) for pair in (socket.socketpair(), socket.socketpair()) for end in pair
        )
        loop = Loop(clock)
        stack.callback(loop.close)

        def serve() -> None:
            said.append("request")
            request.recv(10)
            clock.now += 5
            peer.send(b"advert")

        def hear() -> None:
            said.append("advert")
            port.recv(10)

        loop.watch(request, serve)
        loop.watch(port, hear)
        loop.call_at(101.0, lambda: said.append("timer"))
        asker.send(b"status")
        yield loop, clock, said, asker


def test_packets_go_before_timers(stopped: tuple[Loop, Clock, list[str], socket.socket]) -> None:
    loop, _, said, _ = stopped
    loop.turn()
    loop.turn()
    assert said == ["request", "advert", "timer"]


def test_timers_wait_only_once(stopped: tuple[Loop, Clock, list[str], socket.socket]) -> None:
    loop, _, said, asker = stopped
    loop.turn()
    asker.send(b"status")
    loop.turn()
    assert sorted(said[1:3]) == ["advert", "request"]
    assert said[3] == "timer"
