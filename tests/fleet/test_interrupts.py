"""An interrupt, wherever it meets the main thread, ends no work in the middle and begins no more."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from bsdcarp.fleet.hosts import Fleet, Options
from bsdcarp.fleet.interrupts import noted_interrupts
from bsdcarp.inventory import load_text, require

INVENTORY = """\
version: 1
hosts:
  a: {address: 10.1.0.2, interface: em0, os: freebsd-14.2}
  b: {address: 10.1.0.3, interface: em0, os: freebsd-14.2}
groups:
  one: {vhid: 1, password: {env: P}, addresses: [10.1.0.1/24], members: [a, b]}
"""


@pytest.fixture
def fleet() -> Fleet:
    return Fleet(require(load_text(INVENTORY, "t.yml")), Options(parallel=1))


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_what_has_begun_ends_and_the_rest_does_not_begin(fleet: Fleet) -> None:
    done: list[str] = []

    def work(name: str) -> None:
        interrupt()
        # The interrupt is told of before this goes on.
        while not fleet.stopping:
            threading.Event().wait(0.01)
        done.append(name)

    with pytest.raises(KeyboardInterrupt):
        fleet.each(work, ["a", "b", "c"])
    assert done == ["a"]


def test_an_interrupt_before_all_is_handed_out_waits_as_well(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    begun = threading.Event()
    submit: Callable[..., Future[Any]] = ThreadPoolExecutor.submit

    def interrupted(pool: ThreadPoolExecutor, *what: Any) -> Future[Any]:
        future = submit(pool, *what)
        assert begun.wait(10)
        interrupt()
        return future

    def work(name: str) -> None:
        begun.set()
        while not fleet.stopping:
            threading.Event().wait(0.01)
        done.append(name)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fleet.each(work, ["a", "b"])
    assert done == ["a"]


def test_without_an_interrupt_all_is_done_and_errors_come_out(fleet: Fleet) -> None:
    done: list[str] = []
    fleet.each(done.append, ["a", "b"], meanwhile=lambda: done.append("c"))
    assert sorted(done) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="not in list"):
        fleet.each(done.remove, ["d"])
    with pytest.raises(ZeroDivisionError):
        fleet.each(done.append, [], meanwhile=lambda: 1 / 0)
    assert fleet.stopping


def test_afterwards_an_interrupt_is_one_again(capfd: pytest.CaptureFixture[str]) -> None:
    came: list[int] = []
    with noted_interrupts(lambda: came.append(1)) as interrupts:
        interrupt()
        interrupt()
        assert interrupts.came
    assert came == [1, 1]
    assert capfd.readouterr().err.count("interrupted") == 1
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_where_interrupts_are_ignored_they_still_are(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with noted_interrupts(lambda: None) as interrupts:
            interrupt()
        assert not interrupts.came
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_of_its_own_is_left_alone() -> None:
    with ThreadPoolExecutor(1) as pool:
        handler = pool.submit(_handler_within).result()
    assert handler is signal.getsignal(signal.SIGINT)


def _handler_within() -> object:
    with noted_interrupts(lambda: None):
        return signal.getsignal(signal.SIGINT)
