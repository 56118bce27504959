"""Time limits: one thread for all, and none that is forgotten."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from bsdcarp.ssh.limit import time_limit


def test_what_takes_too_long_is_called_and_what_does_not_is_not() -> None:
    late, later = threading.Event(), threading.Event()
    begun = time.monotonic()
    with time_limit(60, later.set), time_limit(0.2, late.set):
        assert late.wait(10)
    assert 0.2 <= time.monotonic() - begun < 5
    with time_limit(0.2, later.set):
        pass
    time.sleep(0.4)
    assert not later.is_set()


def test_many_limits_end_in_their_own_order() -> None:
    ended: list[int] = []
    all_ended = threading.Event()

    def end(number: int) -> None:
        ended.append(number)
        if len(ended) == 5:
            all_ended.set()

    limits = [time_limit(0.1 + 0.1 * (5 - number), partial(end, number)) for number in range(5)]
    for limit in limits:
        limit.__enter__()
    assert all_ended.wait(10)
    for limit in limits:
        limit.__exit__(None, None, None)
    assert ended == [4, 3, 2, 1, 0]


def test_where_no_thread_is_to_be_had_the_watch_calls_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with time_limit(0, lambda: None):
        time.sleep(0.1)  # the watch runs
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name != "time limits":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    called = [threading.Event(), threading.Event()]
    with time_limit(0.1, called[0].set), time_limit(0.1, called[1].set):
        assert all(event.wait(10) for event in called)
