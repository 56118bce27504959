"""The labs of the traps, each started for the first case that needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from traps.sites import Site, start


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Site]]:
    """Return the site of that name, on which everything is well."""
    keys = tmp_path_factory.mktemp("keys")
    with ExitStack() as stack:
        started: dict[str, Site] = {}

        def of(name: str) -> Site:
            if name not in started:
                started[name] = stack.enter_context(start(name, tmp_path_factory.mktemp("site"), keys))
            started[name].begin()
            return started[name]

        yield of
