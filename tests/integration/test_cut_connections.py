"""The connection to a host ends after any number of bytes, in either direction: the host is old or new, and we know.

A relay stands before the host's sshd and cuts where it is told.  The points are spread over everything that one apply
sends and receives, on each of its two connections.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from bsdcarp.fleet.application import apply_plans
from bsdcarp.fleet.course import plan_hosts
from bsdcarp.fleet.hosts import Fleet, Options
from bsdcarp.fleet.policy import Policy
from bsdcarp.fleet.results import Row
from bsdcarp.inventory import load, require
from bsdcarp.inventory.secrets import resolve_all
from integration.conftest import Bench, soon
from integration.wiretap import Cut, Direction, Wiretap, tapped

pytestmark = pytest.mark.timeout(900)
Start = Callable[[str], Bench]
State = dict[str, bytes | str]

ALONE = """\
version: 1
sysctl: {allow: 1, preempt: 1, log: 1}
hosts:
  a: {address: 10.1.0.2, interface: em0, os: freebsd-14.2}
groups:
  one: {vhid: 1, password: IntegrationPw1, addresses: [10.1.0.1/24], members: [{host: a, advskew: 10}]}
"""
OLD = ("unreachable", "refused", "undone", "rolled back")
NEW = ("changed",)


@dataclass
class Course:
    """One host that goes to and fro between two states, through a relay."""

    site: Bench
    tap: Wiretap
    config: Path
    states: dict[int, State]

    def inventory(self, advskew: int) -> Path:
        path = self.site.path.with_name(f"{advskew}.yml")
        path.write_text(self.site.path.read_text().replace("advskew: 10", f"advskew: {advskew}"))
        return path

    def apply(self, advskew: int, cut: Cut | None = None) -> Row:
        inventory = require(load(self.inventory(advskew)))
        secrets, _ = resolve_all(inventory)
        self.tap.begin(cut)
        with Fleet(inventory, Options(ssh_config=self.config, apply_timeout=30)) as fleet:
            looks = fleet.look(["a"])
            return apply_plans(fleet, plan_hosts(inventory, looks, secrets), secrets, Policy(wait=False)).rows[0]

    def now(self) -> State:
        assert soon(lambda: self.site.settled("a")), "a transaction is still under way"
        return self.site.state("a")

    def points(self, number: int) -> Iterator[Cut]:
        """Cuts all over the two connections of one apply, and one at its last byte, when all has been said."""
        assert self.apply(20).result == "changed"
        lengths = [dict(counts) for counts in self.tap.counted]
        assert len(lengths) == 2, "an apply confirms over a new connection, and needs no third"
        dice = random.Random("cuts")
        share = number // 4
        for connection, counts in enumerate(lengths):
            for direction in get_args(Direction):
                length = counts[direction]
                for part in range(share):
                    yield Cut(connection, direction, int(length * (part + dice.random()) / share))
        yield Cut(len(lengths) - 1, "down", lengths[-1]["down"] - 1)


def prepare(site: Bench, tap: Wiretap, config: Path) -> Course:
    course = Course(site, tap, config, {})
    for advskew in (20, 10):
        assert course.apply(advskew).result == "changed"
        course.states[advskew] = course.now()
        assert soon(lambda: site.lab.machine("a").carp_states() == {"1@em0": "MASTER"})
    return course


def run(course: Course, number: int) -> Counter[str]:
    told: Counter[str] = Counter()
    is_now, wanted = 20, 10
    for cut in course.points(number):
        before, after = course.states[is_now], course.states[wanted]
        row = course.apply(wanted, cut)
        found = course.now()
        assert found in (before, after), (cut, row)
        assert row.result in (*OLD, *NEW), (cut, row)
        assert (found == after) == (row.result in NEW), (cut, row)
        told[row.result] += 1
        if found == after:
            is_now, wanted = wanted, is_now
    return told


@pytest.mark.parametrize("number", [24, pytest.param(160, marks=pytest.mark.long)])
def test_a_cut_connection_leaves_the_host_old_or_new_and_tells_which(
    bench: Start, number: int, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    site = bench(ALONE)
    with tapped(site.lab.ssh_config, "a") as (tap, config):
        told = run(prepare(site, tap, config), number)
    assert number < 100 or "changed" in told, told
    report(told, record_property, capsys)


@pytest.mark.parametrize("number", [8, pytest.param(60, marks=pytest.mark.long)])
def test_the_same_with_a_real_sshd(
    real_bench: Start, number: int, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    site = real_bench(ALONE)
    with tapped(site.lab.ssh_config, "a") as (tap, config):
        told = run(prepare(site, tap, config), number)
    report(told, record_property, capsys)


def report(
    told: Counter[str], record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    # Every single one was held against the host; these were not all of one kind either.
    assert set(OLD) & set(told), told
    assert len(told) > 1, told
    record_property("fault points", told.total())
    with capsys.disabled():
        print(f"\n{told.total()} cut connections: {', '.join(f'{n} {word}' for word, n in told.items())}")  # noqa: T201  # counted
