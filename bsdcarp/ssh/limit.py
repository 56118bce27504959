"""One thread that calls whatever has become due, for all connections: a timer each would be a thread each."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

__all__ = ["time_limit"]


class _Watch:
    """Calls wait here for their time; a thread sleeps until the earliest of them."""

    def __init__(self) -> None:
        self._turn = threading.Condition()
        self._due: dict[object, tuple[float, Callable[[], object]]] = {}
        self._wakes = float("inf")
        """When the thread looks again, on the clock of ``time.monotonic``."""
        self._thread: threading.Thread | None = None

    def enter(self, when: float, call: Callable[[], object]) -> object:
        """Have ``call`` called at ``when``, in a thread of its own; returns what ``leave`` takes."""
        key = object()
        with self._turn:
            self._due[key] = (when, call)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, name="time limits", daemon=True)
                self._thread.start()
            elif when < self._wakes:
                self._turn.notify()
        return key

    def leave(self, key: object) -> None:
        """Forget a call; one that has been called is no mistake."""
        with self._turn:
            self._due.pop(key, None)

    def _watch(self) -> None:
        with self._turn:
            while True:
                now = time.monotonic()
                for key, (when, call) in list(self._due.items()):
                    if when <= now:
                        del self._due[key]
                        try:
                            threading.Thread(target=call, daemon=True).start()
                        except RuntimeError:  # no more threads to be had
                            call()
                self._wakes = min((when for when, _ in self._due.values()), default=float("inf"))
                self._turn.wait(None if self._wakes == float("inf") else self._wakes - now)


_watch = _Watch()


@contextlib.contextmanager
def time_limit(seconds: float, expire: Callable[[], object]) -> Iterator[None]:
    """Call ``expire`` in another thread if the block takes longer than ``seconds``."""
    key = _watch.enter(time.monotonic() + seconds, expire)
    try:
        yield
    finally:
        _watch.leave(key)
