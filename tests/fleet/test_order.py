"""Hosts that share a group never change at the same time; backups come first."""

from __future__ import annotations

from types import MappingProxyType

from bsdcarp.fleet.order import units
from bsdcarp.model import Group, Host, Inventory, Member, PasswordSource, vip


def inventory(groups: dict[str, list[tuple[str, int]]]) -> Inventory:
    names = dict.fromkeys(host for members in groups.values() for host, _ in members)
    return Inventory(
        "i.yml",
        MappingProxyType({name: Host(name, "192.0.2.9", "em0") for name in [*names, "alone"]}),
        MappingProxyType(
            {
                name: Group(
                    name,
                    number,
                    PasswordSource("plain", "x"),
                    (vip("192.0.2.1/24"),),
                    tuple(Member(host, advskew, "em0") for host, advskew in members),
                )
                for number, (name, members) in enumerate(groups.items(), 1)
            }
        ),
    )


def test_the_preferred_master_comes_last() -> None:
    assert units(inventory({"g": [("a", 0), ("b", 100), ("c", 200)]}), ["a", "b", "c"]) == [["c", "b", "a"]]


def test_crossed_roles_are_one_unit() -> None:
    crossed = inventory({"one": [("a", 0), ("b", 100)], "two": [("b", 0), ("a", 100)]})
    assert units(crossed, ["a", "b"]) == [["b", "a"]]


def test_independent_groups_are_units_of_their_own() -> None:
    apart = inventory({"one": [("a", 0), ("b", 100)], "two": [("c", 0), ("d", 100)]})
    assert units(apart, ["a", "b", "c", "d", "alone"]) == [["b", "a"], ["d", "c"], ["alone"]]


def test_hosts_that_were_not_chosen_still_tie_groups_together() -> None:
    chain = inventory({"one": [("a", 0), ("b", 100)], "two": [("b", 0), ("c", 100)]})
    assert units(chain, ["a", "c"]) == [["c", "a"]]
