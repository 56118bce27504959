"""What can go wrong at the edges of carpd, as types, so that the daemon can tell "wait" from "give up".

The package runs alone on its hosts and therefore has errors of its own, in the shape of the other one's: one line with
the place, the cause and the remedy.
"""

from __future__ import annotations

import os

__all__ = ["Busy", "CarpdError", "NetlinkError", "ParentMissing", "PortLost", "Refused", "SendError"]


class CarpdError(Exception):
    """The root.  ``place`` is an interface, a vhid or a file; ``remedy`` is what the operator can do."""

    exit_code = 1

    def __init__(self, cause: str, *, place: str = "", remedy: str = "") -> None:
        self.place = place
        self.cause = cause
        self.remedy = remedy
        super().__init__(cause)

    def __str__(self) -> str:
        head = f"{self.place}: {self.cause}" if self.place else self.cause
        line = f"{head} ({self.remedy})" if self.remedy else head
        return "".join(char if char.isprintable() else "?" for char in line)


class NetlinkError(CarpdError):
    """The kernel refused a request.  ``errno`` is why, ``what`` names the request."""

    def __init__(self, what: str, errno: int, detail: str = "") -> None:
        self.what = what
        self.errno = errno
        self.detail = detail
        super().__init__(f"{os.strerror(errno)}: {detail}" if detail else os.strerror(errno), place=what)


class ParentMissing(CarpdError):
    """The interface is not there (yet).  It may come later: wait for its link event."""

    def __init__(self, interface: str) -> None:
        super().__init__("no such interface", place=interface, remedy="carpd waits until it appears")


class Refused(CarpdError):
    """The host is in a state in which this vhid cannot work, and carpd does not know better than the operator."""


class SendError(CarpdError):
    """A frame did not go out.  ``errno`` is why; three in a row demote the host."""

    def __init__(self, interface: str, errno: int) -> None:
        self.errno = errno
        super().__init__(f"cannot send: {os.strerror(errno)}", place=interface)


class PortLost(CarpdError):
    """The interface below a socket went away."""

    def __init__(self, interface: str) -> None:
        super().__init__("the interface went away", place=interface, remedy="carpd waits until it is back")


class Busy(CarpdError):
    """Another carpd uses the same run directory."""
