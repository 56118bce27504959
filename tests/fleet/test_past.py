"""What comes after a transaction is known by the hosts that have it; where they have not, its name tells."""

from __future__ import annotations

import pytest

from bsdcarp.fleet.past import _newest, _since
from bsdcarp.fleet.terms import new_terms

FIRST, SECOND, BEHIND = "tx-20261122-120000-aaaaaa", "tx-20261122-120500-bbbbbb", "tx-20261122-115900-cccccc"
"""BEHIND came last, from an operator whose clock is a minute behind."""


def test_the_order_on_the_host_counts_and_not_the_clocks_in_the_names() -> None:
    assert _since(SECOND, [[FIRST, SECOND, BEHIND]]) == {SECOND, BEHIND}
    assert _since(BEHIND, [[FIRST, SECOND, BEHIND]]) == {BEHIND}


def test_a_host_without_it_goes_by_what_the_others_know_and_by_the_names_otherwise() -> None:
    assert _since(FIRST, [[FIRST, BEHIND], [BEHIND, SECOND]]) == {FIRST, BEHIND, SECOND}
    assert _since(FIRST, [[FIRST], [BEHIND, SECOND]]) == {FIRST, SECOND}
    assert _since(BEHIND, [[FIRST, BEHIND], [FIRST]]) == {BEHIND}


def test_the_newest_is_one_that_no_host_knows_another_after() -> None:
    assert _newest([[FIRST, BEHIND], [FIRST]]) == BEHIND
    assert _newest([[], [FIRST, SECOND], [FIRST, BEHIND]]) == SECOND
    assert _newest([[FIRST, BEHIND], [BEHIND, FIRST]]) == FIRST, "hosts that disagree leave the names"


def test_names_that_are_made_in_one_second_sort_in_the_order_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = 1_790_000_000 * 10**9
    names = []
    for milliseconds in range(0, 1000, 7):
        monkeypatch.setattr("bsdcarp.fleet.terms.time.time_ns", lambda now=begun + milliseconds * 10**6: now)
        names.append(new_terms().name)
    assert names == sorted(names)
    assert len({name.rsplit("-", 1)[0] for name in names}) == 1
