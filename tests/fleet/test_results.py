"""One exit status for a fleet: the worst of its hosts."""

from __future__ import annotations

import pytest

from bsdcarp.errors import HostRefused, SshError
from bsdcarp.fleet.results import Row, exit_status, row_of_error


@pytest.mark.parametrize(
    ("results", "status"),
    [
        (["changed", "unchanged"], 0),
        (["verified", "would survive"], 0),
        ([], 0),
        (["changed", "not verified"], 4),
        (["changed", "unreachable"], 5),
        (["unreachable", "undone", "not verified"], 6),
        (["undone", "broken"], 1),
        (["unknown"], 1),
        (["refused", "skipped"], 1),
        (["refused", "rolled back"], 6),
        (["pending", "confirmed"], 0),
        (["unreachable", "skipped"], 5),
        (["skipped"], 1),
    ],
)
def test_the_worst_host_decides(results: list[str], status: int) -> None:
    assert exit_status(Row(str(n), result) for n, result in enumerate(results)) == status


def test_an_error_becomes_a_row_without_the_host_twice() -> None:
    assert row_of_error("a", SshError("no route", place="a")) == Row("a", "unreachable", "no route")
    assert row_of_error("a", HostRefused("no root", place="a", remedy="sudo")) == Row("a", "refused", "no root (sudo)")
