"""Fixtures for hosts with systemd as process 1; skipped, with the reason, where they cannot be had."""

from __future__ import annotations

import pytest
from systemd_cluster import why_not


@pytest.fixture(scope="session")
def containers() -> None:
    """Skip unless this machine can have them; the Debian system they boot is made here, once, if it is not there."""
    if (reason := why_not()) is not None:
        pytest.skip(f"no containers: {reason}")
