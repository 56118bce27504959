"""Hosts planned as they answer: what waits for whom, and what ends it."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence

import pytest

from bsdcarp.fleet.course import HostPlan
from bsdcarp.fleet.hosts import Fleet, Look, Options
from bsdcarp.fleet.planning import plan_all, plan_and_apply
from bsdcarp.fleet.policy import Policy
from bsdcarp.fleet.results import Row
from bsdcarp.fleet.unit import Task, UnitRun
from bsdcarp.inventory import load_text, require
from bsdcarp.plan import FileChange, Plan

TEXT = """\
version: 1
hosts:
  a: {address: 192.0.2.2, interface: em0, os: freebsd-14.2}
  b: {address: 192.0.2.3, interface: em0, os: freebsd-14.2}
  c: {address: 192.0.2.4, interface: em0, os: freebsd-14.2}
groups:
  one: {vhid: 1, password: abc, addresses: [192.0.2.1/24], members: [a, b]}
  two: {vhid: 2, password: abc, addresses: [192.0.2.5/24], members: [c]}
"""


class Answering(Fleet):
    """Hosts that answer once what they wait for, if anything, has come."""

    def __init__(self, waits: Mapping[str, threading.Event] | None = None, *, parallel: int = 20) -> None:
        super().__init__(require(load_text(TEXT, "t.yml")), Options(parallel=parallel))
        self.waits = waits or {}
        self.looked: list[str] = []

    def look_at(self, name: str) -> Look:
        if name in self.waits:
            assert self.waits[name].wait(10), f"what {name} waits for did not come"
        self.looked.append(name)
        return Look(name)


class Units:
    """Stands in for ``run_unit`` and writes down what it was asked."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.ran: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self.told: defaultdict[str, threading.Event] = defaultdict(threading.Event)

    def __call__(self, task: Task, unit: list[str]) -> UnitRun:
        name = "".join(sorted(unit))
        assert sorted(task.plans) == sorted(unit)
        self.log.append(f"run {name}")
        self.ran[name].set()
        return UnitRun(unit, {host: Row(host, "changed") for host in unit})

    def before(self, plans: Mapping[str, HostPlan]) -> None:
        self.log.append(f"before {''.join(sorted(plans))}")

    def begins(self, plans: Mapping[str, HostPlan]) -> None:
        assert threading.current_thread() is threading.main_thread()
        name = "".join(sorted(plans))
        self.log.append(f"begins {name}")
        self.told[name].set()


@pytest.fixture
def units(monkeypatch: pytest.MonkeyPatch) -> Units:
    made = Units()
    monkeypatch.setattr("bsdcarp.fleet.application.run_unit", made)
    monkeypatch.setattr("bsdcarp.fleet.course.plan_host", lambda _i, look, _s: planned_of(look.host))
    return made


def planned_of(name: str) -> HostPlan:
    return HostPlan(name, plan=Plan(name, (FileChange("/boot/loader.conf", "", 'carp_load="YES"\n'),)))


def apply(fleet: Answering, units: Units, hosts: Sequence[str] = "abc", policy: Policy | None = None) -> dict[str, str]:
    results, mistake = applied(fleet, units, hosts, policy)
    assert mistake is None
    return results


def applied(
    fleet: Answering, units: Units, hosts: Sequence[str] = "abc", policy: Policy | None = None
) -> tuple[dict[str, str], BaseException | None]:
    """Return what came of it by host, and what was raised on the way."""
    plans, result, mistake = plan_and_apply(
        fleet, hosts, {}, policy or Policy(), before=units.before, begins=units.begins
    )
    assert list(plans) == list(hosts)
    return {row.host: row.result for row in result.rows}, mistake


def test_a_unit_begins_while_another_host_has_not_answered(units: Units) -> None:
    results = apply(Answering({"c": units.ran["ab"]}), units)
    assert results == {"a": "changed", "b": "changed", "c": "changed"}
    assert units.log.index("before ab") < units.log.index("run ab") < units.log.index("before c")
    assert sorted(line for line in units.log if line.startswith("begins")) == ["begins ab", "begins c"]


def test_what_begins_is_told_while_another_host_has_not_answered(units: Units) -> None:
    assert set(apply(Answering({"c": units.told["ab"]}), units).values()) == {"changed"}


def test_a_unit_waits_for_its_last_member(units: Units) -> None:
    results = apply(Answering({"a": units.ran["c"]}), units)
    assert set(results.values()) == {"changed"}
    assert units.log.index("run c") < units.log.index("before ab")


def test_only_chosen_hosts_are_waited_for(units: Units) -> None:
    fleet = Answering()
    assert apply(fleet, units, "ac") == {"a": "changed", "c": "changed"}
    assert sorted(units.log) == ["before a", "before c", "begins a", "begins c", "run a", "run c"]
    assert sorted(fleet.looked) == ["a", "b", "c"], "b shares a group with a host that changes"


def test_what_is_interrupted_before_anything_began_is_raised(units: Units) -> None:
    class Interrupted(Answering):
        def look_at(self, name: str) -> Look:
            self.stop()
            return super().look_at(name)

    with pytest.raises(KeyboardInterrupt):
        apply(Interrupted(), units)
    assert not [line for line in units.log if line.startswith("run")]


def test_an_interrupt_between_two_units_leaves_the_second_one_out(units: Units) -> None:
    class Interrupted(Answering):
        def look_at(self, name: str) -> Look:
            look = super().look_at(name)
            if name == "c":
                self.stop()
            return look

    results = apply(Interrupted({"c": units.ran["ab"]}), units)
    assert results == {"a": "changed", "b": "changed", "c": "skipped"}


def test_a_mistake_in_planning_stops_what_has_not_begun_and_is_returned(
    units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(_inventory: object, look: Look, _secrets: object) -> HostPlan:
        if look.host == "c":
            raise ZeroDivisionError
        return planned_of(look.host)

    monkeypatch.setattr("bsdcarp.fleet.course.plan_host", mistaken)
    results, mistake = applied(Answering({"c": units.ran["ab"]}), units)
    assert isinstance(mistake, ZeroDivisionError)
    assert results == {"a": "changed", "b": "changed", "c": "skipped"}
    results, mistake = applied(Answering(parallel=1), units, "cab")
    assert isinstance(mistake, ZeroDivisionError)
    assert set(results.values()) == {"skipped"}


@pytest.mark.parametrize("where", ["before", "begins"])
def test_what_cannot_be_told_lets_nothing_new_begin(units: Units, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def deaf(_plans: object) -> None:
        units.told["ab"].set()
        raise BrokenPipeError

    monkeypatch.setattr(units, where, deaf)
    results, mistake = applied(Answering({"c": units.told["ab"]}), units)
    assert isinstance(mistake, BrokenPipeError)
    if where == "before":
        assert set(results.values()) == {"skipped"}
    else:
        assert results["a"] == results["b"] == "changed"


def test_a_unit_that_fails_by_mistake_is_reported_and_stops_the_rest(
    units: Units, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(task: Task, unit: list[str]) -> UnitRun:
        if "a" in unit:
            raise ZeroDivisionError
        return units(task, unit)

    monkeypatch.setattr("bsdcarp.fleet.application.run_unit", broken)
    results, mistake = applied(Answering(parallel=1), units)
    assert isinstance(mistake, ZeroDivisionError)
    assert results == {"a": "unknown", "b": "unknown", "c": "skipped"}


def test_after_too_many_failures_nothing_new_begins(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(task: Task, unit: list[str]) -> UnitRun:
        units(task, unit)
        return UnitRun(unit, {host: Row(host, "rolled back") for host in unit})

    monkeypatch.setattr("bsdcarp.fleet.application.run_unit", failing)
    one_by_one = Answering(parallel=1)
    assert apply(one_by_one, units) == {"a": "rolled back", "b": "rolled back", "c": "skipped"}
    assert set(apply(Answering(), units, policy=Policy(max_failures=9)).values()) == {"rolled back"}


def test_neighbours_are_read_by_no_more_than_parallel_threads(units: Units) -> None:
    text = TEXT.replace("members: [a, b]", "members: [a, b, d, e]").replace(
        "  c: {",
        "".join(f"  {x}: {{address: 192.0.2.{ord(x)}, interface: em0, os: freebsd-14.2}}\n" for x in "de") + "  c: {",
    )

    class Counting(Answering):
        now = most = 0

        def look_at(self, name: str) -> Look:
            self.now += 1
            self.most = max(self.most, self.now)
            time.sleep(0.02)
            self.now -= 1
            return super().look_at(name)

    fleet = Counting(parallel=1)
    fleet.inventory = require(load_text(text, "t.yml"))
    assert apply(fleet, units, "ac") == {"a": "changed", "c": "changed"}
    assert sorted(fleet.looked) == ["a", "b", "c", "d", "e"]
    assert fleet.most == 1


def test_no_hosts_are_no_work(units: Units) -> None:
    assert apply(Answering(), units, "") == {}


def test_planning_alone_returns_the_plans_in_order(units: Units) -> None:
    called: list[str] = []
    plans = plan_all(Answering(), "cab", {}, meanwhile=lambda: called.append("x"))
    assert (list(plans), called, units.log) == (["c", "a", "b"], ["x"], [])
