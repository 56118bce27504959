"""Options of the suite, and what every test may use."""

from __future__ import annotations

import faulthandler
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# These machines are shared and noisy, and CI must say the same twice.
settings.register_profile("bsdcarp", deadline=None, derandomize=True)
settings.load_profile("bsdcarp")

sys.path.insert(0, str(Path(__file__).parent))  # realhosts, judge_hosts and their like are shared by several rooms


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bsdcarp")
    group.addoption("--inventory", metavar="FILE", help="acceptance: run against the hosts of this inventory")
    group.addoption("--ssh-config", metavar="FILE", help="acceptance: the ssh_config to reach them with")
    group.addoption("--may-reboot", action="store_true", help="acceptance: a host may be rebooted")
    group.addoption("--run-long", action="store_true", help="run the tests marked long as well")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes minutes; runs with --run-long (make test-all)")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """End a test that its time limit could not: one whose cleaning up waits for a thread or a process that hangs.

    Where several run side by side, that ends one of them, and the test that did it is named.
    """
    limit = item.get_closest_marker("timeout")
    seconds = limit.args[0] if limit and limit.args else float(item.config.getini("timeout"))
    faulthandler.dump_traceback_later(seconds + 60, exit=True, file=2)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-long"):
        return
    skip = pytest.mark.skip(reason="takes minutes; runs with --run-long (make test-all)")
    for item in items:
        if "long" in item.keywords:
            item.add_marker(skip)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many fault points were generated; the property survives xdist, what tests print does not."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.getreports(kind) if r.when == "call"]
    points = sum(int(str(value)) for r in reports for name, value in r.user_properties if name == "fault points")
    if points:
        terminalreporter.write_line(f"{points} generated fault points")
