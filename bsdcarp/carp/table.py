"""The state table for people: rows for a page, a graph for a picture.  Both come from ``state.TABLE`` itself."""

from __future__ import annotations

from bsdcarp.carp.state import TABLE
from bsdcarp.carp.vhid import State

__all__ = ["as_rows", "to_dot"]


def as_rows() -> list[tuple[str, str, str, str]]:
    """(state, event, next state, steps) for each row that does anything, in the order of the table."""
    return [
        (state.value, event.value, transition.next.value, "; ".join(step.value for step in transition.steps))
        for (state, event), transition in TABLE.items()
        if transition.steps or transition.next is not state
    ]


def to_dot() -> str:
    """A Graphviz digraph of the changes of state; events that lead the same way share one arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, event), transition in TABLE.items():
        if transition.next is not state:
            arrows.setdefault((state.value, transition.next.value), []).append(event.value)
    lines = ["digraph carp {", "    rankdir=LR;", "    node [shape=box, style=rounded];"]
    lines += [f"    {state.value};" for state in State]
    for (old, new), events in arrows.items():
        label = "\\n".join(events)
        lines.append(f'    {old} -> {new} [label="{label}"];')
    return "\n".join([*lines, "}", ""])
