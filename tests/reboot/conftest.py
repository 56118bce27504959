"""Real hosts for reboots; skipped, with the reason, where they cannot be had."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "systemd"))


@pytest.fixture(scope="session")
def containers() -> None:
    """Skip unless this machine can have Debian hosts with systemd as process 1."""
    from systemd_cluster import why_not

    if (reason := why_not()) is not None:
        pytest.skip(f"no containers: {reason}")


@pytest.fixture(scope="session")
def real_hosts() -> None:
    """Skip unless this machine can have hosts with a real sshd."""
    from realhosts.harness import why_not

    if (reason := why_not()) is not None:
        pytest.skip(f"no real hosts: {reason}")
