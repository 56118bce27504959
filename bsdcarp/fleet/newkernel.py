"""A rolling reboot that brings a new kernel: what is done before a host stands down, and what reboots it then."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bsdcarp.errors import BsdcarpError, PlanError, RemoteError, SshError
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.fleet.kernels import KernelResult, KernelView, look_at_kernel
from bsdcarp.fleet.kerneltrial import Terms, install_kernel
from bsdcarp.fleet.progress import Event
from bsdcarp.fleet.reboot import Rebooted, read_identity
from bsdcarp.model import Secret

__all__ = ["prepare_kernel"]


def prepare_kernel(fleet: Fleet, host: str, secrets: Mapping[str, Secret]) -> Callable[[float], Rebooted] | None:
    """Do what ``host`` needs before its next boot; return what installs, tries and boots a kernel, if it needs one.

    With None a plain reboot does.  Raises ``PlanError`` where the kernel has to be built first, or cannot be had.
    """
    view = look_at_kernel(fleet, host)
    if view.error or view.decision is None:
        raise view.error or RemoteError("nothing is known of its kernels", place=host)
    match view.decision.step:
        case "nothing":
            return None
        case "build":
            raise PlanError(view.decision.why, place=host, remedy="`bsdcarp kernel build` builds it")
        case "refuse":
            raise PlanError(view.decision.why, place=host, remedy=view.decision.remedy)
        case "install":
            return lambda deadline: _boot(fleet, view, secrets, deadline)
        case _:
            _checked(install_kernel(fleet, view, secrets))
            return None


def _boot(fleet: Fleet, view: KernelView, secrets: Mapping[str, Secret], deadline: float) -> Rebooted:
    host = view.host
    before = read_identity(fleet, host)
    found: dict[str, float] = {}
    tell = fleet.tell

    def listen(event: Event) -> None:
        if event.host == host and event.stage == "back":
            found["down"] = event.seconds
        tell(event)

    fleet.tell = listen
    try:
        _checked(install_kernel(fleet, view, secrets, Terms(deadline=deadline)))
    finally:
        fleet.tell = tell
    after = read_identity(fleet, host)
    snapshot = fleet.read(host)
    # The trial boot is the only one, and its length the only one that says something.
    down = found.get("down", 0.0)
    return Rebooted(host, snapshot, down, down, before, after)


def _checked(result: KernelResult) -> None:
    """Raise what went wrong; the end of a log is part of it."""
    row = result.row
    if row.result in ("changed", "unchanged"):
        return
    kind: type[BsdcarpError] = SshError if row.result == "unreachable" else RemoteError
    raise kind("; ".join((row.detail, *result.log[-3:])), place=row.host)
