"""Hosts are planned as they answer, and changed as soon as their whole unit is planned.

While one host answers, another is planned, and what comes next is imported.  That takes as long as connecting does, so
this module itself imports nothing of it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from bsdcarp.errors import BsdcarpError
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
    begins: Callable[[Mapping[str, HostPlan]], object],
) -> tuple[dict[str, HostPlan], Applied, BaseException | None]:
    """Do what ``plan_all`` and ``apply_plans`` do, without waiting for hosts that share no groups with those planned.

    That nobody sees plans before they are put into force is what the caller has to accept; there is no canary either.
    ``before`` is called with the plans of every unit before it begins, in that unit's thread, and ``begins`` with the
    same as it begins, in this thread.  An interrupt before any unit has begun is raised; later, running units end as
    with ``apply_plans``.  Whatever else is raised in here lets no further unit begin, and is returned, to be raised
    when it has been told how the others ended.
    """
    names = list(dict.fromkeys(hosts))
    stream = _Stream(fleet, names, secrets, policy, before)
    # The interpreter must not end, nor this go on, while a unit is between its change and its confirmation.
    with noted_interrupts(fleet.stop):
        with contextlib.suppress(KeyboardInterrupt):
            fleet.each(stream.one, names, meanwhile=lambda: stream.tell(begins))
        stream.tell_rest(begins)
    roll_out = stream.roll_out()
    if fleet.stopping and not roll_out.runs and stream.mistake is None:
        raise KeyboardInterrupt
    why = "interrupted before it began" if stream.mistake is None else "bsdcarp itself failed before it began"
    return stream.all_plans(why), roll_out.applied(left_out=why), stream.mistake


class _Stream:
    """Hosts on their way from being read to being changed."""

    def __init__(
        self,
        fleet: Fleet,
        hosts: list[str],
        secrets: Mapping[str, Secret],
        policy: Policy,
        before: Callable[[Mapping[str, HostPlan]], object],
    ) -> None:
        self.mistake: BaseException | None = None
        self._fleet = fleet
        self._hosts = hosts
        self._secrets = secrets
        self._policy = policy
        self._before = before
        self._planner = _Planner(fleet, secrets)
        self._units = units(fleet.inventory, hosts)
        self._unit_of = {name: unit for unit in self._units for name in unit}
        self._plans: dict[str, HostPlan] = {}
        self._begun: SimpleQueue[Mapping[str, HostPlan]] = SimpleQueue()
        self._lock = threading.Lock()
        self._roll_out: RollOut | None = None

    def one(self, name: str) -> None:
        """Read and plan a host, and change its unit if it was the last of it to be planned."""
        with self._mistakes_kept():
            unit = self._enter(self._planner.plan(name))
            if unit is None or self._fleet.stopping:
                return
            self._before(unit)
            self._begun.put(unit)
            self.roll_out().run(self._unit_of[name], unit)

    def _enter(self, entry: HostPlan) -> dict[str, HostPlan] | None:
        """Take down one plan; return those of its unit if it was the last of them."""
        unit = self._unit_of[entry.host]
        with self._lock:
            self._plans[entry.host] = entry
            return {name: self._plans[name] for name in unit} if all(name in self._plans for name in unit) else None

    def roll_out(self) -> RollOut:
        """Return the one roll-out."""
        from bsdcarp.fleet.application import RollOut

        with self._lock:
            if self._roll_out is None:
                self._roll_out = RollOut(self._fleet, self._hosts, self._secrets, self._policy)
            return self._roll_out

    @contextlib.contextmanager
    def _mistakes_kept(self) -> Iterator[None]:
        """Keep the first of what is raised.  Nothing new begins then; units that have begun end as they would have."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001  # raised by whoever called, after the report
            with self._lock:
                self.mistake = self.mistake or error
            self.roll_out().stopped = True

    def tell(self, begins: Callable[[Mapping[str, HostPlan]], object]) -> None:
        """Call ``begins`` for every unit as it begins, until all have or none does any more."""
        with self._mistakes_kept():
            _import_planning()
            import bsdcarp.fleet.application
            import bsdcarp.judge

            del bsdcarp
            left = len(self._units)
            while left and not self._fleet.stopping and self.mistake is None:
                with contextlib.suppress(Empty):
                    begins(self._begun.get(timeout=_NOTICE_SECONDS))
                    left -= 1

    def tell_rest(self, begins: Callable[[Mapping[str, HostPlan]], object]) -> None:
        """Call ``begins`` for the units that have begun since ``tell`` came back."""
        with self._mistakes_kept():
            while not self._begun.empty():
                begins(self._begun.get())

    def all_plans(self, why: str) -> dict[str, HostPlan]:
        """Return a plan for every host; one that has none tells why."""
        from bsdcarp.fleet.course import HostPlan

        return {
            name: self._plans.get(name) or HostPlan(name, error=BsdcarpError(why, place=name)) for name in self._hosts
        }


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
