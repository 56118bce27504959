"""The operator's process is killed at any moment of an apply: every host is old or new, and old when the window ends."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

import pytest

from integration.conftest import PAIR, Bench, soon

pytestmark = pytest.mark.timeout(600)
Start = Callable[[str], Bench]
_STAGES = ("a read", "b applying", "b applied", "a applying", "a applied", "for the election", "a done", "b done")


def kill_at(site: Bench, stage: str, delay: float) -> bool:
    """Run apply and kill it ``delay`` seconds after it has told of ``stage``; True if it was still alive then."""
    with site.start("apply", "--yes", "-v") as process:
        assert process.stderr
        for line in process.stderr:
            if stage in line:
                break
        time.sleep(delay)
        alive = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.stderr.read()
    return alive


def moments(number: int) -> list[tuple[str, float]]:
    dice = random.Random("killed")
    return [(_STAGES[n % len(_STAGES)], dice.choice((0.0, 0.05, 0.2, 0.5))) for n in range(number)]


def try_them_all(site: Bench, number: int) -> dict[str, int]:
    """Go to and fro between two addresses lists; return how many hosts ended how."""
    site.run("apply", "--yes", status=0)
    states = [{host: site.state(host) for host in "ab"}]
    site.rewrite("10.1.0.1/24]", "10.1.0.1/24, 10.1.0.9/24]")
    site.run("apply", "--yes", status=0)
    states.append({host: site.state(host) for host in "ab"})
    told = {"old": 0, "new": 0}
    for stage, delay in moments(number):
        now = int("10.1.0.9" in site.path.read_text())
        changes = ((", 10.1.0.9/24]", "]"), ("10.1.0.1/24]", "10.1.0.1/24, 10.1.0.9/24]"))
        site.rewrite(*changes[1 - now])
        kill_at(site, stage, delay)
        before, after = states[now], states[1 - now]
        # Nobody is left to tell: what runs on a host goes on to its end, then it waits until the window is over.
        assert soon(lambda: not any(site.file(host, "/var/run/bsdcarp.lock").exists() for host in "ab"))
        for host in "ab":
            site.hasten(host)
        assert soon(lambda: all(site.settled(host) for host in "ab"))
        for host in "ab":
            site.calm(host)
            last = site.file(host, f"/var/db/bsdcarp/{site.transactions(host)[-1]}/outcome").read_text()
            assert site.state(host) in (before[host], after[host]), (stage, delay, host)
            told["new" if site.state(host) == after[host] else "old"] += 1
            if site.state(host) == after[host]:
                assert last.startswith("confirmed"), (stage, delay, host, last)
        if [site.state(host) for host in "ab"] != [before[host] for host in "ab"]:
            site.run("apply", "--yes", status=0)
        else:
            site.rewrite(*changes[now])
    return told


@pytest.mark.parametrize("number", [4, pytest.param(24, marks=pytest.mark.long)])
def test_a_killed_operator_leaves_hosts_old_unless_they_were_confirmed(
    bench: Start, number: int, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    told = try_them_all(bench(PAIR), number)
    record_property("fault points", number)
    with capsys.disabled():
        print(f"\n{number} killed operators: {told['old']} hosts old, {told['new']} new")  # noqa: T201  # counted


@pytest.mark.long
def test_the_same_with_real_sshd(
    real_bench: Start, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    told = try_them_all(real_bench(PAIR), 16)
    record_property("fault points", 16)
    with capsys.disabled():
        print(f"\n16 killed operators with a real sshd: {told['old']} hosts old, {told['new']} new")  # noqa: T201


def test_what_a_killed_operator_left_can_be_taken_back_at_once(bench: Start) -> None:
    site = bench(PAIR)
    before = [site.state(host) for host in "ab"]
    assert kill_at(site, "for the election", 0.0)
    assert [site.pending(host) for host in "ab"] == [True, True]
    assert site.run("apply", "--yes", "--json", status=1).results == {"a": "refused", "b": "refused"}
    assert site.run("rollback", "--json", status=0).results == {"a": "changed", "b": "changed"}
    assert [site.state(host) for host in "ab"] == before
