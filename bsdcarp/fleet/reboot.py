"""Rebooting one host and waiting until it is really back: another boot time, not merely another answer."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from bsdcarp.errors import BsdcarpError, RemoteError, SshError
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.fleet.progress import Event
from bsdcarp.snapshot import Snapshot

__all__ = ["Rebooted", "reboot_host"]

# shutdown(8) forks and returns; what it leaves running holds neither this session's output nor its input.
_SCRIPT = b"""PATH=${BSDCARP_PATH:+$BSDCARP_PATH:}/sbin:/bin:/usr/sbin:/usr/bin
export PATH
go() { trap '' HUP; shutdown -r now >/dev/null 2>&1; echo "status $?"; }
go </dev/null
"""
_PATIENCE = 30.0
"""Seconds after which a host that still answers from its old boot is told again."""


@dataclass(frozen=True, slots=True)
class Rebooted:
    """A host that went down and came back."""

    host: str
    snapshot: Snapshot
    seconds: float
    """From the order to the first answer of the new boot."""


def reboot_host(fleet: Fleet, host: str, before: Snapshot, *, deadline: float = 300.0) -> Rebooted:
    """Reboot ``host`` and return once it answers with another boot time.

    Raises ``SshError`` when it has not come back after ``deadline`` seconds, or came back without having rebooted.
    """
    begun = time.monotonic()
    fleet.tell(Event(host, "rebooting", seconds=deadline))
    _order(fleet, host)
    ordered = time.monotonic()
    time.sleep(1.5)
    last: BsdcarpError | None = None
    answered = False
    while time.monotonic() - begun < deadline:
        fleet.forget(host)
        try:
            snapshot = fleet.read(host)
        except BsdcarpError as error:
            last = error
            if _final(error):
                raise
        else:
            answered = True
            if _another_boot(before, snapshot):
                fleet.tell(Event(host, "back"))
                return Rebooted(host, snapshot, time.monotonic() - begun)
            if time.monotonic() - ordered > _PATIENCE:
                _order(fleet, host)
                ordered = time.monotonic()
        time.sleep(0.5)
    if answered:
        raise SshError(
            "it answers, but its boot time is still the old one: it has not rebooted",
            place=host,
            remedy="see on its console why shutdown -r did not run",
        )
    raise SshError(
        f"it has not come back within {deadline:.0f} s; the last try said: {last}",
        place=host,
        remedy="look at its console",
    )


def _another_boot(before: Snapshot, now: Snapshot) -> bool:
    """Linux names its boots; a container shows its host's boot time, and a clock that is set moves it."""
    if before.boot_id and now.boot_id:
        return before.boot_id != now.boot_id
    return before.boottime != now.boottime


def _order(fleet: Fleet, host: str) -> None:
    with contextlib.suppress(SshError):  # the session may die before its answer arrives
        said = fleet.run(host, _SCRIPT).decode("ascii", "replace").split()
        if said[:1] == ["status"] and said[1:] != ["0"]:
            raise RemoteError(
                f"shutdown -r now ended with {' '.join(said)}", place=host, remedy="see what it says there by hand"
            )


def _final(error: BsdcarpError) -> bool:
    """A refused host key does not get better by waiting."""
    return "host key" in error.cause
