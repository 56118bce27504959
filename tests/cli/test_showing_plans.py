"""When apply shows what it will change: before it asks, and never in the way of what it does."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bsdcarp.inventory import load, require
from bsdcarp.lab.up import Lab

INVENTORY = """\
version: 1
sysctl: {preempt: 1}
hosts:
  a: {address: 10.1.0.2, interface: em0, os: freebsd-14.2}
  b: {address: 10.1.0.3, interface: em0, os: freebsd-14.2}
groups:
  one: {vhid: 1, password: {env: LAB_PASSWORD}, addresses: [10.1.0.1/24], members: [a, b]}
"""


@pytest.fixture
def words(tmp_path: Path) -> Iterator[list[str]]:
    """The start of a command line against a fresh lab."""
    path = tmp_path / "inventory.yml"
    path.write_text(INVENTORY)
    with closing(Lab.start(require(load(path)), tmp_path / "lab")) as lab:
        yield [sys.executable, "-m", "bsdcarp", "apply", str(path), "--ssh-config", str(lab.ssh_config), "--no-wait"]


ENVIRONMENT = {**os.environ, "LAB_PASSWORD": "Sesame12"}


def test_whoever_is_asked_has_seen_what_for(words: list[str]) -> None:
    theirs, ours = pty.openpty()
    with os.fdopen(theirs, "w") as answer:
        running = subprocess.Popen(
            words, env=ENVIRONMENT, stdin=ours, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        os.close(ours)
        answer.write("n\n")
        answer.flush()
        said, _ = running.communicate(timeout=60)
    assert running.returncode == 1
    assert 0 < said.index("+net.inet.carp.preempt=1") < said.index("Apply this to a, b? [y/N]")


def test_a_reader_that_goes_away_does_not_stop_what_has_begun(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*words, "--yes"],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
    again = subprocess.run(
        [*words, "--dry-run"], env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (again.returncode, again.stdout) == (0, "= nothing to change on a, b\n")


def test_nobody_who_hears_of_progress_stops_nothing(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*words, "--yes", "-v"],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=writing,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(writing)
    assert (done.returncode, done.stdout.count("changed  4 files")) == (0, 2), done


MISTAKEN = """\
import sys
import bsdcarp.fleet.course as course
from bsdcarp.cli import main

def mistaken(inventory, look, secrets, plan=course.plan_host):
    if look.host == "b":
        raise ZeroDivisionError("a mistake in planning")
    return plan(inventory, look, secrets)

course.plan_host = mistaken
sys.argv = ["bsdcarp", *sys.argv[1:]]
main()
"""


def test_a_mistake_of_our_own_is_raised_after_the_report(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MISTAKEN, *words[3:], "--yes"],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stdout.count("skipped  bsdcarp itself failed before it began") == 2, done.stdout
    assert done.stderr.rstrip().endswith("ZeroDivisionError: a mistake in planning")
    assert "Sesame12" not in done.stdout + done.stderr


def test_plans_come_first_also_where_nobody_watches(words: list[str]) -> None:
    done = subprocess.run(
        [*words, "--yes"],
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert 0 < done.stdout.index("+net.inet.carp.preempt=1") < done.stdout.index("changed")
