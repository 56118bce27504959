"""What a reload does: only what differs, and in an order in which nothing collides."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_interface

from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.carp import Settings
from bsdcarp.carpd.config import Config, VhidConfig
from bsdcarp.carpd.reload import AddVhid, ChangeVhid, RemoveVhid, Set, steps


def vhid(
    number: int, *addresses: str, interface: str = "eth0", advskew: int = 0, virtual_mac: bool = True
) -> VhidConfig:
    found = tuple(ip_interface(text) for text in addresses) or (ip_interface(f"192.0.2.{number}/24"),)
    return VhidConfig("web", number, interface, 1, advskew, "secret", None, None, found, virtual_mac)


ONE, TWO, THREE = vhid(1), vhid(2), vhid(3)


def test_the_same_configuration_needs_no_step() -> None:
    config = Config(Settings(preempt=1), "/told", (ONE, TWO))
    assert steps(config, config) == ()


def test_another_order_in_the_file_needs_no_step() -> None:
    assert steps(Config(vhids=(ONE, TWO)), Config(vhids=(TWO, ONE))) == ()


def test_another_script_is_no_matter_of_the_vhids() -> None:
    assert steps(Config(notify="/a", vhids=(ONE,)), Config(notify="/b", vhids=(ONE,))) == ()


def test_what_goes_comes_before_what_changes_and_what_comes() -> None:
    changed = replace(TWO, advskew=9)
    found = steps(Config(vhids=(ONE, TWO)), Config(Settings(preempt=1), vhids=(THREE, changed)))
    assert found == (RemoveVhid(ONE), Set((("preempt", 1),)), ChangeVhid(TWO, changed), AddVhid(THREE))


def test_password_and_timing_are_changed_in_place() -> None:
    new = replace(ONE, password="other", advbase=3, advskew=7, peer=IPv4Address("192.0.2.9"))
    (step,) = steps(Config(vhids=(ONE,)), Config(vhids=(new,)))
    assert isinstance(step, ChangeVhid)
    assert step.in_place == {"key": b"other", "advbase": 3, "advskew": 7, "peer": IPv4Address("192.0.2.9")}
    assert not step.addresses


def test_another_group_name_changes_nothing_of_the_machine() -> None:
    (step,) = steps(Config(vhids=(ONE,)), Config(vhids=(replace(ONE, group="db"),)))
    assert isinstance(step, ChangeVhid)
    assert step.in_place == {}
    assert not step.addresses


def test_an_added_address_is_a_change_of_addresses_only() -> None:
    (step,) = steps(Config(vhids=(ONE,)), Config(vhids=(vhid(1, "192.0.2.1/24", "2001:db8::1/64"),)))
    assert isinstance(step, ChangeVhid)
    assert step.in_place == {}
    assert step.addresses
    assert not step.loses


def test_order_and_prefix_length_of_addresses_do_not_touch_the_host() -> None:
    old, new = vhid(1, "192.0.2.1/24", "192.0.2.2/24"), vhid(1, "192.0.2.2/25", "192.0.2.1/25")
    (step,) = steps(Config(vhids=(old,)), Config(vhids=(new,)))
    assert isinstance(step, ChangeVhid)
    assert not step.addresses


def test_an_address_that_moves_is_let_go_first() -> None:
    old = (vhid(1, "192.0.2.1/24"), vhid(2, "192.0.2.2/24", "192.0.2.9/24"))
    new = (vhid(1, "192.0.2.1/24", "192.0.2.9/24"), vhid(2, "192.0.2.2/24"))
    found = steps(Config(vhids=old), Config(vhids=new))
    assert [step.new.vhid for step in found if isinstance(step, ChangeVhid)] == [2, 1]


def test_another_interface_is_another_vhid() -> None:
    moved = vhid(1, interface="eth1")
    assert steps(Config(vhids=(ONE,)), Config(vhids=(moved,))) == (RemoveVhid(ONE), AddVhid(moved))


def test_the_virtual_mac_cannot_be_given_up_in_place() -> None:
    real = vhid(1, virtual_mac=False)
    assert steps(Config(vhids=(ONE, TWO)), Config(vhids=(real, TWO))) == (RemoveVhid(ONE), AddVhid(real))


def test_arpbalance_makes_all_vhids_anew() -> None:
    found = steps(Config(vhids=(ONE, TWO)), Config(Settings(arpbalance=1), vhids=(ONE, TWO)))
    assert found == (RemoveVhid(ONE), RemoveVhid(TWO), Set((("arpbalance", 1),)), AddVhid(ONE), AddVhid(TWO))
    assert steps(Config(Settings(arpbalance=1)), Config(Settings(arpbalance=2))) == (Set((("arpbalance", 2),)),)


VHIDS = st.lists(
    st.builds(
        lambda number, advskew, last: vhid(number, f"192.0.2.{last}/24", advskew=advskew),
        st.integers(1, 4),
        st.integers(0, 3),
        st.integers(1, 250),
    ),
    max_size=4,
    unique_by=lambda each: each.key,
).map(tuple)


@given(VHIDS, VHIDS)
def test_the_steps_lead_from_the_old_to_the_new_configuration(
    old: tuple[VhidConfig, ...], new: tuple[VhidConfig, ...]
) -> None:
    now = {each.key: each for each in old}
    for step in steps(Config(vhids=old), Config(vhids=new)):
        if isinstance(step, RemoveVhid):
            del now[step.config.key]
        elif isinstance(step, AddVhid):
            assert step.config.key not in now
            now[step.config.key] = step.config
        elif isinstance(step, ChangeVhid):
            assert now[step.old.key] == step.old != step.new
            now[step.new.key] = step.new
    assert now == {each.key: each for each in new}
