"""Kernels over several hosts: what needs a trial boot goes the way of a rolling reboot, all else needs none."""

from __future__ import annotations

from collections.abc import Mapping

from bsdcarp.dataclass import dataclass
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.fleet.kernels import KernelResult, KernelView
from bsdcarp.fleet.kerneltrial import Terms, install_kernel
from bsdcarp.fleet.results import Row
from bsdcarp.fleet.rolling import HostReboot, Rolling, roll, survey
from bsdcarp.model import Secret

__all__ = ["Choices", "install_kernels", "trials"]

_GOOD = ("changed", "unchanged")


@dataclass(frozen=True, slots=True)
class Choices:
    """How kernels are installed."""

    deadline: float = 300.0
    """Seconds that a trial boot may take."""
    outage: bool = False
    """Boot also where nobody else serves a group meanwhile."""
    steal: bool = False
    """Take locks away from processes that are gone."""
    trial: bool = True
    """False boots nothing."""


def trials(views: Mapping[str, KernelView], choices: Choices) -> list[str]:
    """Return the hosts that have to be rebooted for a trial."""
    return [
        name
        for name, view in views.items()
        if choices.trial and not view.place.target and view.decision and view.decision.step == "install"
    ]


def install_kernels(
    fleet: Fleet, secrets: Mapping[str, Secret], views: Mapping[str, KernelView], choices: Choices
) -> list[KernelResult]:
    """Bring every host further, those without a reboot first; the first that fails ends it.

    A host that is rebooted stands down before, needs a healthy peer and is proven, exactly as in a rolling reboot.
    """
    trying = trials(views, choices)
    done: dict[str, KernelResult] = {}
    for name, view in views.items():
        if name not in trying and not _culprit(done):
            result = install_kernel(fleet, view, secrets, Terms(choices.steal, trial=False))
            if isinstance(result, KernelResult):  # without a trial there is nothing else
                done[name] = result
    if trying and not _culprit(done):
        rolling = Rolling(choices.deadline, outage=choices.outage, kernel=True, steal=choices.steal)
        order, against = survey(fleet, secrets, trying, rolling)
        entries = against.values() if against else roll(fleet, secrets, order, rolling).hosts
        done.update((entry.host, _told(entry)) for entry in entries)
    why = f"because of {_culprit(done)}"
    return [done.get(name) or KernelResult(Row(name, "skipped", why)) for name in views]


def _culprit(done: Mapping[str, KernelResult]) -> str:
    return next((name for name, result in done.items() if result.row.result not in _GOOD), "")


def _told(entry: HostReboot) -> KernelResult:
    """Tell a turn as the installation of a kernel: what it says of that, unless something else went wrong."""
    if entry.kernel and (entry.result == "rebooted" or entry.kernel.row.result not in _GOOD):
        return entry.kernel
    result = {"rebooted": "changed", "not rebooted": "failed"}.get(entry.result, entry.result)
    return KernelResult(Row(entry.host, result, entry.detail))
