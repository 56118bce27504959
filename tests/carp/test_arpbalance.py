"""ARP balancing as recorded on FreeBSD 9.3: even clients one host, odd ones the other."""

from __future__ import annotations

from ipaddress import IPv4Address

from carp_segment import UNHURRIED
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.carp import State
from bsdcarp.carp.arpbalance import answer

FIRST = [(1, State.MASTER), (2, State.BACKUP)]
SECOND = [(1, State.BACKUP), (2, State.MASTER)]
clients = st.integers(0, 2**32 - 1)


@UNHURRIED
@given(clients)
def test_even_clients_get_the_first_vhid_and_odd_ones_the_second(client: int) -> None:
    answers = [answer(client, FIRST), answer(client, SECOND)]
    assert answers == ([1, None] if client % 2 == 0 else [None, 2])


@UNHURRIED
@given(clients)
def test_one_host_that_has_both_roles_answers_every_client(client: int) -> None:
    assert answer(client, [(1, State.MASTER), (2, State.MASTER)]) == 1 + client % 2


def test_lists_in_different_order_answer_twice_or_never() -> None:
    turned = SECOND[::-1]
    even, odd = int(IPv4Address("192.168.90.100")), int(IPv4Address("192.168.90.101"))
    assert (answer(even, FIRST), answer(even, turned)) == (1, 2)
    assert (answer(odd, FIRST), answer(odd, turned)) == (None, None)


def test_without_candidates_it_stays_silent() -> None:
    assert answer(7, []) is None


@UNHURRIED
@given(clients, st.lists(st.tuples(st.integers(1, 255), st.sampled_from(State)), min_size=1, max_size=5))
def test_only_a_master_answers(client: int, candidates: list[tuple[int, State]]) -> None:
    found = answer(client, candidates)
    assert found is None or (found, State.MASTER) in candidates
