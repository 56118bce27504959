"""Fixtures for hosts with a real sshd; skipped, with the reason, where they cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from realhosts.harness import RealCluster, why_not
from realhosts.inventories import pairs


@cache
def _reason() -> str | None:
    return why_not()


@pytest.fixture(scope="session")
def real_hosts() -> None:
    """Skip unless this machine can have them."""
    if (reason := _reason()) is not None:
        pytest.skip(f"no real hosts: {reason}")


@pytest.fixture(scope="module")
def cluster(real_hosts: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """Two hosts that share an address: h1 with FreeBSD 9.3, h2 with 14.2."""
    with RealCluster.start(pairs(["9.3", "14.2"]), tmp_path_factory.mktemp("real")) as started:
        yield started
