"""The demotion counter, explained: who added to it, and what takes it away again."""

from __future__ import annotations

from bsdcarp.judge.notes import Notes
from bsdcarp.platforms.desired import Desired
from bsdcarp.snapshot import Snapshot

__all__ = ["note_demotion"]


def note_demotion(desired: Desired, snapshot: Snapshot, notes: Notes) -> None:
    """Note a counter that is not zero: the host stands back behind every member that has zero."""
    leaf = desired.capabilities.demotion
    value = snapshot.sysctls.get(leaf, 0) if leaf else 0
    if not leaf or not value or not desired.vhids:
        return
    if leaf == "suppress_preempt":
        notes.warning(
            "verify-suppress-preempt",
            f"net.inet.carp.suppress_preempt is {value}: {value} problem(s), such as a parent that is down, make this "
            "host advertise advskew 240",
            "bring the interfaces back; the counter cannot be set",
        )
        return
    if desired.capabilities.syntax == "linux":
        # Text of the daemon, not of a kernel's sysctl.
        notes.warning(
            "verify-demotion", f"carpd is demoted by {value}: {_why(desired, snapshot, value)}", "carpd ctl undemote"
        )
        return
    undo = f"sysctl net.inet.carp.demotion={-value} when its cause is gone (a write is added, so 0 changes nothing)"
    notes.warning("verify-demotion", f"net.inet.carp.demotion is {value}: {_why(desired, snapshot, value)}", undo)


def _why(desired: Desired, snapshot: Snapshot, value: int) -> str:
    down = [v for i in snapshot.interfaces.values() for v in i.vhids if v.state == "INIT"]
    factor = snapshot.sysctls.get("ifdown_demotion_factor", 240)
    if down and value == len(down) * factor:
        return f"{len(down)} vhid(s) are down, and each adds {factor}; it goes away with them"
    sent = snapshot.sysctls.get("senderr_demotion_factor", 240)
    # Before 14.0 a success after send errors forgets to take their demotion back (carp_send_ad() in ip_carp.c).
    if not down and sent and value > 0 and value % sent == 0 and not desired.capabilities.unicast:
        return (
            f"{value // sent} x {sent} with no vhid down: a drain that was never undone, or adverts that could not be "
            "sent once (this release never takes that back)"
        )
    return "somebody added it, to drain the host, or another subsystem such as pfsync did"
