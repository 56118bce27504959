"""Ending what waits: confirming it, or taking it back; and going back to before what was confirmed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bsdcarp.errors import BsdcarpError
from bsdcarp.fleet.application import Applied, apply_plans
from bsdcarp.fleet.final import make_final, take_back
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.fleet.past import Memory, plan_rollback
from bsdcarp.fleet.policy import Policy
from bsdcarp.fleet.results import Row, row_of_error
from bsdcarp.fleet.terms import whoami

__all__ = ["confirm_pending", "roll_back", "undo_pending"]


def confirm_pending(fleet: Fleet, memories: Mapping[str, Memory], claims: Mapping[str, str]) -> list[Row]:
    """Make the pending transaction of every host final; ``claims`` are by the transaction's name.

    A host that waits for nothing any more tells how the one in question ended: too late is not the same as done.
    """
    asked = {memory.history.pending for memory in memories.values()} - {""} or set(claims)

    def confirm(memory: Memory) -> Row:
        name = memory.history.pending
        if not name:
            return _ended(memory, asked)
        claim = claims.get(name, "")
        if not claim:
            return Row(memory.host, "refused", f"the token of {name} is not known here: give it with --token")
        ending, why = make_final(fleet, memory.host, memory.state, name, claim)
        match ending:
            case "confirmed":
                return Row(memory.host, "confirmed", name)
            case "stranger":
                return Row(memory.host, "refused", f"that is not the token of {name}")
            case "late":
                return Row(memory.host, "rolled back", f"{name}: {why or 'its window was over'}")
            case "broken":
                return Row(memory.host, "broken", f"{name} was not confirmed and could not be taken back: {why}")
            case _:
                return Row(memory.host, "unknown", f"{name}: {why or ending}")

    return _each(fleet, memories, confirm)


def _ended(memory: Memory, asked: set[str]) -> Row:
    """Tell how the newest transaction ended, if that was to be confirmed or nobody can say which one was."""
    newest = memory.history.past[-1] if memory.history.past else None
    if newest is None or (asked and newest.name not in asked):
        return Row(memory.host, "unchanged", "nothing is pending")
    word = newest.outcome.partition(" ")[0]
    if word in ("undone", "untouched"):
        return Row(memory.host, "rolled back", f"{newest.name}: {newest.outcome}")
    return Row(memory.host, "broken" if word == "broken" else "unchanged", f"{newest.name}: {newest.outcome}")


def undo_pending(fleet: Fleet, memories: Mapping[str, Memory]) -> list[Row]:
    """Take the pending transaction of every host back, at once; hosts without one stay as they are."""

    def undo(memory: Memory) -> Row:
        name = memory.history.pending
        if not name:
            return Row(memory.host, "unchanged", "nothing is pending")
        ending, said = take_back(fleet, memory.host, memory.state, name, f"{whoami()} rolled it back")
        match ending:
            case "undone":
                return Row(memory.host, "changed", f"{name} is taken back")
            case "late":
                return Row(memory.host, "refused", f"{name} has ended before: {said}")
            case "broken":
                return Row(memory.host, "broken", f"{name} could not be taken back: {said}")
            case _:
                return Row(memory.host, "unknown", f"{name}: {said or ending}")

    return _each(fleet, memories, undo)


def _each(fleet: Fleet, memories: Mapping[str, Memory], work: Callable[[Memory], Row]) -> list[Row]:
    rows: dict[str, Row] = {}

    def one(memory: Memory) -> None:
        try:
            if memory.error:
                raise memory.error
            rows[memory.host] = work(memory)
        except BsdcarpError as error:
            rows[memory.host] = row_of_error(memory.host, error)

    fleet.each(one, memories.values())
    return [rows[name] for name in memories]


def roll_back(fleet: Fleet, memories: Mapping[str, Memory], to: str = "") -> Applied:
    """Go back to before the newest transaction that any of these hosts keeps, or before the one named ``to``.

    It is a transaction like any other: checked, armed, final once a new connection to every host says so, and it can
    be taken back itself.  Raises ``PlanError`` when there is no such transaction.
    """
    return apply_plans(fleet, plan_rollback(fleet, memories, to), {}, Policy(back=True))
