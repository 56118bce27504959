"""Going back: which transactions hosts keep, and the plans that take them back."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import BsdcarpError, PlanError
from bsdcarp.fleet.course import HostPlan
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.plaintext import printable
from bsdcarp.plan import FREEBSD_STATE, LINUX_STATE, Init
from bsdcarp.snapshot import Snapshot
from bsdcarp.transaction.history import History, history_script, kept_paths, read_history, rollback_plan

__all__ = ["Memory", "plan_rollback", "recall"]


@dataclass(frozen=True, slots=True)
class Memory:
    """What one host keeps, or why nobody can tell."""

    host: str
    snapshot: Snapshot | None = None
    history: History = field(default_factory=History)
    error: BsdcarpError | None = None

    @property
    def state(self) -> str:
        """The directory where the host keeps its transactions."""
        return LINUX_STATE if self.snapshot and self.snapshot.release.family == "linux" else FREEBSD_STATE

    @property
    def init(self) -> Init:
        """What starts the host."""
        return self.snapshot.linux.init if self.snapshot and self.snapshot.linux else "rc"


def recall(fleet: Fleet, hosts: Iterable[str]) -> dict[str, Memory]:
    """Ask hosts side by side; one that cannot be asked carries its error."""
    found: dict[str, Memory] = {}

    def one(name: str) -> None:
        look = fleet.look_at(name)
        if look.snapshot is None:
            found[name] = Memory(name, error=look.error)
            return
        memory = Memory(name, look.snapshot)
        token = randomness.token_hex(16)
        try:
            answer = fleet.run(name, history_script(memory.state, token=token))
            found[name] = Memory(name, look.snapshot, read_history(answer, token, host=name))
        except BsdcarpError as error:
            found[name] = Memory(name, look.snapshot, error=error)

    names = list(hosts)
    fleet.each(one, names)
    return {name: found[name] for name in names}


def plan_rollback(fleet: Fleet, memories: Mapping[str, Memory], to: str = "") -> dict[str, HostPlan]:
    """Plan to go back to before the transaction named ``to``, on every host that has it or later ones.

    Without a name it is the newest that any of these hosts keeps.  Raises ``PlanError`` when no host has it.
    """
    kept = [[past.name for past in memory.history.past if past.lasting] for memory in memories.values()]
    names = {name for there in kept for name in there}
    if not names or (to and to not in names):
        newest = sorted({name for there in kept for name in there[-3:]})[-3:]
        raise PlanError(
            f"no transaction {printable(to)} that could be taken back" if to else "no transaction is recorded",
            remedy=f"the newest are {', '.join(newest)}" if names else "there is nothing to go back to",
        )
    wanted = _since(to or _newest(kept), kept)
    plans: dict[str, HostPlan] = {}

    def one(memory: Memory) -> None:
        plans[memory.host] = _plan(fleet, memory, wanted)

    fleet.each(one, memories.values())
    return {name: plans[name] for name in memories}


def _newest(kept: Sequence[Sequence[str]]) -> str:
    """Return the newest of all: after which no host has another; where several are left, by the clocks in the names."""
    followed = {name for there in kept for name in there[:-1]}
    last = {there[-1] for there in kept if there}
    return max(last - followed or last)


def _since(first: str, kept: Sequence[Sequence[str]]) -> set[str]:
    """Return the names of the transactions from ``first`` on, given those of every host in the order they ran there.

    A host that has ``first`` knows what came after it.  Of what only others have, the names tell, which hold the
    clocks of those who made them.
    """
    hosts = [there for there in kept if first in there]
    earlier = {name for there in hosts for name in there[: there.index(first)]}
    later = {name for there in hosts for name in there[there.index(first) :]}
    return later | {name for there in kept for name in there if name > first and name not in earlier}


def _plan(fleet: Fleet, memory: Memory, wanted: set[str]) -> HostPlan:
    if memory.snapshot is None or memory.error:
        return HostPlan(memory.host, memory.snapshot, error=memory.error)
    later = [past for past in reversed(memory.history.past) if past.lasting and past.name in wanted]
    if not later:
        return HostPlan(memory.host, memory.snapshot)
    try:
        snapshot = fleet.read(memory.host, kept_paths(memory.state, later))
        plan = rollback_plan(memory.host, memory.state, memory.init, later, snapshot.files)
    except BsdcarpError as error:
        return HostPlan(memory.host, memory.snapshot, error=error)
    return HostPlan(memory.host, snapshot, plan=plan)
