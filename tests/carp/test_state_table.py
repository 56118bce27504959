"""The table is complete, says what the protocol says, and can be drawn."""

from __future__ import annotations

import pytest
from carp_segment import UNHURRIED
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.carp.machine import Machine
from bsdcarp.carp.state import TABLE, Event, Step, heard
from bsdcarp.carp.table import as_rows, to_dot
from bsdcarp.carp.vhid import State

INIT, BACKUP, MASTER = State.INIT, State.BACKUP, State.MASTER
interval = st.tuples(st.integers(0, 255), st.integers(-255, 255))


def test_every_state_has_a_row_for_every_event() -> None:
    assert set(TABLE) == {(state, event) for state in State for event in Event}


def test_every_step_is_implemented_and_used() -> None:
    used = {step for transition in TABLE.values() for step in transition.steps}
    assert used == set(Step) == set(Machine._STEPS)


def test_only_up_leaves_init() -> None:
    assert [event for (state, event), t in TABLE.items() if state is INIT and t.next is not INIT] == [Event.UP]


def test_addresses_are_taken_on_the_way_into_master_and_left_on_every_way_out() -> None:
    for (state, _), transition in TABLE.items():
        assert (Step.TAKE_ADDRESSES in transition.steps) == (state is not MASTER and transition.next is MASTER)
        assert (Step.LEAVE_ADDRESSES in transition.steps) == (state is MASTER and transition.next is not MASTER)


def test_a_new_master_advertises_before_it_announces() -> None:
    for (state, _), transition in TABLE.items():
        if state is BACKUP and transition.next is MASTER:
            assert transition.steps.index(Step.ADVERTISE) < transition.steps.index(Step.ANNOUNCE)


@pytest.mark.parametrize(
    ("own", "peer", "preempt", "event"),
    [
        ((1, 0), (1, 0), True, Event.HEARD_BETTER),  # equal: a MASTER steps down
        ((1, 100), (1, 0), True, Event.HEARD_BETTER),
        ((1, 0), (1, 1), False, Event.HEARD_SLOWER),
        ((1, 0), (1, 1), True, Event.HEARD_PREEMPTIBLE),
        ((1, 0), (3, 0), False, Event.HEARD_SLOWER),
        ((1, 0), (3, 1), False, Event.HEARD_TOO_SLOW),
        ((1, 100), (3, 100), False, Event.HEARD_SLOWER),
        ((1, 100), (255, 255), False, Event.HEARD_TOO_SLOW),  # bow-out
        ((1, 100), (255, 255), True, Event.HEARD_PREEMPTIBLE),
        ((2, 0), (1, 254), True, Event.HEARD_BETTER),
        ((1, -10), (1, 0), True, Event.HEARD_PREEMPTIBLE),
    ],
)
def test_a_heard_advert_is_classified(own: tuple[int, int], peer: tuple[int, int], preempt: bool, event: Event) -> None:
    assert heard(own, peer, preempt=preempt) is event


@UNHURRIED
@given(interval, interval, st.booleans())
def test_of_two_different_intervals_exactly_one_side_yields(
    own: tuple[int, int], peer: tuple[int, int], preempt: bool
) -> None:
    mine = heard(own, peer, preempt=preempt) is Event.HEARD_BETTER
    theirs = heard(peer, own, preempt=preempt) is Event.HEARD_BETTER
    assert mine or theirs
    assert (mine and theirs) == (own == peer)


def test_rows_leave_out_what_does_nothing() -> None:
    rows = as_rows()
    assert ("BACKUP", "heard better", "BACKUP", "restart the master-down timer of the family heard") in rows
    assert ("INIT", "up", "BACKUP") in {row[:3] for row in rows}
    assert ("INIT", "master down") not in {row[:2] for row in rows}
    assert len(rows) == len(set(rows)) < len(TABLE)


def test_the_graph_has_an_arrow_for_each_change() -> None:
    dot = to_dot()
    assert dot.startswith("digraph carp {\n")
    assert dot.endswith("}\n")
    assert dot.count("{") == dot.count("}") == 1
    assert '    INIT -> BACKUP [label="up"];' in dot
    assert '    MASTER -> BACKUP [label="heard better\\nforce backup\\nyield"];' in dot
    changes = {(state, t.next) for (state, _), t in TABLE.items() if t.next is not state}
    assert dot.count("->") == len(changes) == 5
