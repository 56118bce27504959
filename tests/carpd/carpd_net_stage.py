"""Plays a module's scenarios beside each other: an election takes three seconds of waiting, so they wait together.

Every scenario has a segment of its own whose wire is recorded; at its end tcpdump reads the whole recording and must not
find a bad checksum.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from carpd_net import Segment, sweep
from carpd_net_tap import Tap, tcpdump

__all__ = ["scenario", "stage"]

AT_ONCE = 8
Play = Callable[[Segment, Tap], None]


def scenario(play: Play) -> Callable[[dict[Play, Future[None]]], None]:
    """Turn ``play(segment, tap)`` into a test that shares its waiting with the other scenarios of the module."""

    @functools.wraps(play)
    def test(stage: dict[Play, Future[None]]) -> None:
        stage[play].result()

    del test.__wrapped__  # pytest would read the parameters of `play` as fixtures
    test.play = play  # type: ignore[attr-defined]  # found again by the fixture
    return test


@pytest.fixture(scope="module")
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Any, Future[None]]]:
    """Start every scenario that this run wants from the module; each has a segment of its own."""
    wanted = [
        item.function.play
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.module is request.module
        and hasattr(item.function, "play")
        and not any(_skips(mark) for mark in item.iter_markers())
    ]
    sweep()
    root = tmp_path_factory.mktemp("net")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        playing = {play: pool.submit(_run, play, root / play.__name__) for play in wanted}
        yield playing
        for future in playing.values():
            future.cancel()


def _skips(mark: pytest.Mark) -> bool:
    return mark.name == "skip" or (mark.name == "skipif" and bool(mark.args and mark.args[0]))


def _run(play: Play, directory: Path) -> None:
    directory.mkdir()
    with contextlib.ExitStack() as stack:
        segment = stack.enter_context(Segment(directory))
        tap = stack.enter_context(contextlib.closing(Tap(segment)))
        try:
            play(segment, tap)
            if shutil.which("tcpdump") and not tap.damage:
                bad = [line for line in tcpdump(tap, directory / "wire.pcap") if "bad" in line]
                assert not bad, f"tcpdump finds {len(bad)} bad packets, the first: {bad[0]}"
        except BaseException as error:
            error.add_note(segment.logs())
            raise
