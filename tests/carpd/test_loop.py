"""The loop: descriptors, timers, signals, and the time that was lost."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest

from bsdcarp.carpd.loop import Loop


class Hands:
    """Two clocks that the test moves."""

    def __init__(self) -> None:
        self.time = 100.0
        self.asleep = 0.0

    def monotonic(self) -> float:
        return self.time

    def boottime(self) -> float:
        return self.time + self.asleep


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def loop(hands: Hands) -> Iterator[Loop]:
    made = Loop(hands)
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    a, b = socket.socketpair()
    yield a, b
    a.close()
    b.close()


def test_timers_fire_in_the_order_of_their_times(loop: Loop, hands: Hands) -> None:
    fired: list[str] = []
    loop.call_at(102, lambda: fired.append("late"))
    loop.call_later(1, lambda: fired.append("early"))
    loop.call_at(200, lambda: fired.append("not yet"))
    hands.time = 103
    loop.turn()
    assert fired == ["early", "late"]


def test_a_cancelled_timer_does_not_fire(loop: Loop, hands: Hands) -> None:
    fired: list[str] = []
    second = loop.call_at(102, lambda: fired.append("second"))
    loop.call_at(101, second.cancel)
    hands.time = 103
    loop.turn()
    assert fired == []
    second.cancel()


def test_a_timer_that_starts_itself_again_leaves_the_others_their_turn(loop: Loop) -> None:
    fired: list[str] = []

    def again() -> None:
        fired.append("timer")
        loop.call_later(0, again)

    again()
    loop.soon(lambda: fired.append("soon"))
    loop.turn()
    assert fired == ["timer", "timer", "soon"]


def test_what_can_be_read_is_read_before_timers_fire(loop: Loop, pair: tuple[socket.socket, socket.socket]) -> None:
    order: list[str] = []
    loop.watch(pair[0], lambda: order.append(pair[0].recv(9).decode()))
    loop.call_later(0, lambda: order.append("timer"))
    pair[1].send(b"advert")
    loop.turn()
    assert order == ["advert", "timer"]


def test_a_descriptor_that_is_taken_away_in_the_same_round_is_not_called(loop: Loop) -> None:
    first, second = socket.socketpair(), socket.socketpair()
    called: list[int] = []

    def take_away(me: int, other: socket.socket) -> None:
        called.append(me)
        loop.unwatch(other)

    loop.watch(first[0], lambda: take_away(1, second[0]))
    loop.watch(second[0], lambda: take_away(2, first[0]))
    for pair in (first, second):
        pair[1].send(b"x")
    loop.turn()
    assert len(called) == 1
    for end in (*first, *second):
        end.close()


def test_watching_again_replaces_and_unwatching_twice_is_no_error(
    loop: Loop, pair: tuple[socket.socket, socket.socket]
) -> None:
    called: list[str] = []
    loop.watch(pair[0], lambda: called.append("read"))
    loop.watch(pair[0], lambda: called.append("write"), writing=True)
    loop.turn()
    assert called == ["write"]
    loop.unwatch(pair[0])
    loop.unwatch(pair[0])


def test_a_closed_descriptor_can_still_be_unwatched(loop: Loop) -> None:
    a, b = socket.socketpair()
    loop.watch(a, lambda: None)
    a.close()
    b.close()
    loop.unwatch(a)
    loop.soon(lambda: None)
    loop.turn()


def test_soon_is_this_round_and_what_it_puts_off_the_next(loop: Loop) -> None:
    order: list[int] = []

    def one() -> None:
        order.append(1)
        loop.soon(lambda: order.append(2))

    loop.soon(one)
    loop.turn()
    assert order == [1]
    loop.turn()
    assert order == [1, 2]


def test_stop_ends_run_after_the_round_and_run_can_begin_again(loop: Loop) -> None:
    rounds: list[int] = []

    def once() -> None:
        rounds.append(1)
        loop.stop()

    for _ in range(2):
        loop.soon(once)
        loop.run()
    assert rounds == [1, 1]


def test_an_exception_of_a_callback_ends_run(loop: Loop) -> None:
    def broken() -> None:
        raise RuntimeError("of the callback")

    loop.soon(broken)
    with pytest.raises(RuntimeError, match="of the callback"):
        loop.run()


def test_a_signal_is_handled_in_the_loop_and_many_count_as_one(loop: Loop) -> None:
    came: list[int] = []
    loop.on_signal(signal.SIGUSR1, lambda: came.append(1))
    loop.on_signal(signal.SIGUSR2, lambda: came.append(2))
    for number in (signal.SIGUSR1, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(os.getpid(), number)
    assert came == []
    loop.turn()
    assert came == [1, 2]


def test_closing_gives_the_signals_back() -> None:
    loop = Loop()
    loop.on_signal(signal.SIGUSR1, lambda: None)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize(
    ("running", "asleep", "lost"),
    [(1.0, 0.0, None), (1.4, 0.0, None), (5.0, 0.0, 4.0), (0.5, 60.0, 60.0)],
    ids=["in time", "a busy host", "the process was stopped", "the machine was suspended"],
)
def test_lost_time_is_told_before_any_timer_fires(
    hands: Hands, running: float, asleep: float, lost: float | None
) -> None:
    loop = Loop(hands)
    order: list[object] = []
    loop.on_gap = lambda seconds: order.append(round(seconds, 3))
    loop.call_later(1, lambda: order.append("timer"))
    selector = loop._selector

    class Waiting:
        @staticmethod
        def select(timeout: float | None) -> list[object]:
            if timeout:
                hands.time += running
                hands.asleep += asleep
            return []

    loop._selector = Waiting()  # type: ignore[assignment]  # it waits without taking time
    loop.turn()
    assert order[:1] == ([lost] if lost is not None else ["timer"])
    loop._selector = selector
    loop.close()


def test_packets_that_waited_while_the_process_was_stopped_come_before_the_timers(
    loop: Loop, hands: Hands, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    loop.watch(pair[0], lambda: order.append(pair[0].recv(9).decode()))
    loop.call_later(1, lambda: order.append("timer"))
    pair[1].send(b"advert")
    select = loop._selector.select

    def stopped(timeout: float | None = None) -> list[object]:
        # epoll_wait() was interrupted, and the time that is left is none.
        if timeout:
            hands.time += 5
            return []
        return list(select(timeout))

    monkeypatch.setattr(loop._selector, "select", stopped)
    loop.turn()
    assert order == ["advert", "timer"]
