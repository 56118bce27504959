"""What the daemon tells those who watch it: the log, the hooks, the control socket, the service manager."""

from __future__ import annotations

from dataclasses import dataclass

from bsdcarp.carp import State

__all__ = ["Change", "Observer"]


@dataclass(frozen=True)
class Change:
    """A vhid took another role, and everything that belongs to it has been done."""

    group: str
    vhid: int
    interface: str
    label: str
    """"1@eth0"."""
    old: State
    new: State
    reason: str
    """In the words of FreeBSD's kernel."""
    addresses: tuple[str, ...]
    """With prefix lengths."""
    time: float
    """Unix seconds, for display."""


class Observer:
    """Hears everything and does nothing; to be subclassed.  No method may block."""

    def log(self, level: str, text: str) -> None:
        """One line; the level is debug, info, notice, warning or error."""

    def changed(self, change: Change) -> None:
        """A vhid changed its role; its addresses are there, or gone."""

    def demoted(self, amount: int, total: int, reason: str) -> None:
        """The demotion of the host changed by ``amount``."""

    def ready(self) -> None:
        """The daemon serves."""

    def reloading(self) -> None:
        """It begins to read its configuration again."""

    def reloaded(self, error: str | None) -> None:
        """It has, or it refused the new one for that reason and keeps the old one."""

    def stopping(self) -> None:
        """It begins to end."""
