"""An interrupt from the keyboard begins nothing new, but ends nothing in the middle either.

Python raises ``KeyboardInterrupt`` between any two instructions of the main thread: also before that has come to wait
for what other threads do, and then the interpreter ends under them.  So it is only noted while hosts are at work.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from bsdcarp.dataclass import dataclass

__all__ = ["Interrupts", "noted_interrupts"]

_SAID = b"\nbsdcarp: interrupted: nothing new is begun, what has begun is brought to its end\n"


@dataclass(slots=True)
class Interrupts:
    """Whether an interrupt came meanwhile."""

    came: bool = False


@contextmanager
def noted_interrupts(then: Callable[[], None]) -> Iterator[Interrupts]:
    """Have an interrupt call ``then``, and raise nothing, as long as this context lasts.

    ``then`` may be called between any two instructions of the main thread and must take no lock.  In another thread,
    which no interrupt ever reaches, and where interrupts are ignored, this does nothing.
    """
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) in (
        signal.SIG_IGN,
        None,
    ):
        yield interrupts
        return

    def note(*_: object) -> None:
        if not interrupts.came:
            interrupts.came = True
            with suppress(OSError):
                os.write(2, _SAID)
        then()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
