"""Hosts are planned as they answer, and changed as soon as their whole unit is planned.

While one host answers, another is planned, and what comes next is imported.  That takes as long as connecting does, so
this module itself imports nothing of it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from bsdcarp.fleet.hosts import Fleet
from bsdcarp.fleet.interrupts import noted_interrupts
from bsdcarp.fleet.order import units
from bsdcarp.fleet.policy import Policy
from bsdcarp.model import Secret

if TYPE_CHECKING:
    from bsdcarp.fleet.application import Applied, RollOut
    from bsdcarp.fleet.course import HostPlan

__all__ = ["plan_all", "plan_and_apply"]

_NOTICE_SECONDS = 0.2


def plan_all(
    fleet: Fleet,
    hosts: Iterable[str],
    secrets: Mapping[str, Secret],
    *,
    meanwhile: Callable[[], object] | None = None,
) -> dict[str, HostPlan]:
    """Read hosts side by side and plan each; one that cannot be read or planned carries the reason.

    ``meanwhile`` is called while hosts are waited for.
    """
    names = list(hosts)
    planner = _Planner(fleet, secrets)
    plans: dict[str, HostPlan] = {}

    def one(name: str) -> None:
        plans[name] = planner.plan(name)

    def aside() -> None:
        _import_planning()
        if meanwhile:
            meanwhile()

    fleet.each(one, names, meanwhile=aside)
    return {name: plans[name] for name in names}


def plan_and_apply(
    fleet: Fleet,
    hosts: Iterable[str],
    secrets: Mapping[str, Secret],
    policy: Policy,
    *,
    before: Callable[[Mapping[str, HostPlan]], object],
    planned: Callable[[Mapping[str, HostPlan]], object],
) -> tuple[dict[str, HostPlan], Applied]:
    """Do what ``plan_all`` and ``apply_plans`` do, without waiting for hosts that share no groups with those planned.

    That nobody sees plans before they are put into force is what the caller has to accept; there is no canary either.
    ``before`` is called with the plans of every unit before it begins, and ``planned`` with all of them, while hosts
    are at work.  An interrupt before any unit has begun is raised; later, running units end as with ``apply_plans``.
    """
    names = list(hosts)
    planner = _Planner(fleet, secrets)
    unit_of = {name: unit for unit in units(fleet.inventory, names) for name in unit}
    plans: dict[str, HostPlan] = {}
    lock = threading.Lock()
    complete = threading.Event()
    begun: list[RollOut] = []

    def roll_out() -> RollOut:
        from bsdcarp.fleet.application import RollOut

        with lock:
            if not begun:
                begun.append(RollOut(fleet, names, secrets, policy))
            return begun[0]

    def enter(entry: HostPlan) -> dict[str, HostPlan] | None:
        """Take down one plan; return those of its unit if it was the last of them."""
        unit = unit_of[entry.host]
        with lock:
            plans[entry.host] = entry
            if len(plans) == len(names):
                complete.set()
            return {name: plans[name] for name in unit} if all(name in plans for name in unit) else None

    def one(name: str) -> None:
        try:
            unit = enter(planner.plan(name))
            if not unit or fleet.stopping:
                return
            before(unit)
        except BaseException:
            # What goes wrong here is nothing of this host's alone.
            fleet.stop()
            raise
        roll_out().run(unit_of[name], unit)

    def meanwhile() -> None:
        _import_planning()
        import bsdcarp.fleet.application
        import bsdcarp.judge

        del bsdcarp
        while names and not complete.wait(_NOTICE_SECONDS):
            if fleet.stopping:
                return
        planned({name: plans[name] for name in names})

    # The interpreter must not end, nor this go on, while a unit is between its change and its confirmation.
    with noted_interrupts(fleet.stop), contextlib.suppress(KeyboardInterrupt):
        fleet.each(one, names, meanwhile=meanwhile)
    if fleet.stopping and not begun:
        raise KeyboardInterrupt
    return {name: plans[name] for name in names if name in plans}, roll_out().applied()


class _Planner:
    """Reads and plans one host after the other."""

    def __init__(self, fleet: Fleet, secrets: Mapping[str, Secret]) -> None:
        self._fleet = fleet
        self._secrets = secrets
        self._turn = threading.Lock()

    def plan(self, name: str) -> HostPlan:
        look = self._fleet.look_at(name)
        # One at a time: it is all Python, and twenty threads would compile the same templates twenty times.
        with self._turn:
            from bsdcarp.fleet.course import plan_host

            return plan_host(self._fleet.inventory, look, self._secrets)


def _import_planning() -> None:
    # First what every host waits for by now; the threads that speak to them share one interpreter with this one.
    from bsdcarp.ssh.lean import import_paramiko

    import_paramiko()
    import bsdcarp.fleet.course
    import bsdcarp.platforms.templates

    bsdcarp.platforms.templates.environment()
