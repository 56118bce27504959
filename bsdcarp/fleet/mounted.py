"""Hosts as the systems that are mounted on them, boot environments or jails: the same sessions, below another root."""

from __future__ import annotations

from collections.abc import Callable

from bsdcarp.fleet.hosts import Fleet
from bsdcarp.kernels import rooted

__all__ = ["Mounted"]


class Mounted(Fleet):
    """What ``fleet`` is for running systems, for those mounted at ``target``; close ``fleet``, not this."""

    def __init__(self, fleet: Fleet, target: str) -> None:
        super().__init__(fleet.inventory, fleet.options, fleet.tell)
        self._fleet = fleet
        self._target = target

    @property
    def stopping(self) -> bool:
        return self._fleet.stopping

    def forget(self, name: str) -> None:
        self._fleet.forget(name)

    def _run(self, name: str, script: Callable[[], bytes], timeout: float, *, lasting: bool = False) -> bytes:
        del lasting  # a shell that stays would stay rooted there
        return self._fleet.run(name, rooted(script(), self._target), timeout=timeout)
