"""Some ten thousand hostile frames against the decoder, the frame parser and running nodes of six systems.

``million.py`` beside it is the long run of the same.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import pytest
from hostile import SYSTEMS, Judge, Mutator, authentic, change, corpus, everything, mend
from hypothesis import given, settings
from hypothesis import strategies as st

from bsdcarp.carp import Family, parse_frame

CORPUS = corpus()
numbers = st.integers(0, 255)
mutations = st.lists(st.tuples(st.integers(0, 7), numbers, numbers, st.integers(0, len(CORPUS) - 1)), max_size=8)
mutants = st.tuples(st.integers(0, len(CORPUS) - 1), mutations, st.booleans())


def built(start: int, changes: list[tuple[int, int, int, int]], mended: bool) -> bytes:
    frame = bytearray(CORPUS[start])
    for kind, position, value, other in changes:
        change(frame, kind, position, value, CORPUS[other])
    if mended and len(frame) > 14:
        mend(frame)
    return bytes(frame)


def report(capsys: pytest.CaptureFixture[str], title: str, outcomes: Counter[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{title}: {dict(outcomes)}\n")


@pytest.mark.parametrize("system", SYSTEMS, ids=str)
def test_frames_that_hypothesis_invents(system: tuple[Any, ...], capsys: pytest.CaptureFixture[str]) -> None:
    outcomes: Counter[str] = Counter()

    @settings(max_examples=15, deadline=None)
    @given(st.lists(mutants, min_size=15, max_size=25), st.integers(0, 9), st.sampled_from(["em0", "em0", "em1"]))
    def run(frames: list[tuple[int, Any, bool]], seed: int, interface: str) -> None:
        judge = Judge(*system, seed=seed)
        for start, changes, mended in frames:
            judge.try_frame(built(start, changes, mended), interface)
        outcomes.update(judge.outcomes)

    run()
    report(capsys, f"{system}", outcomes)
    assert outcomes["frame"] + outcomes["no frame"] >= 200
    assert outcomes["accepted"]
    assert outcomes["refused"] > outcomes["accepted"]


@pytest.mark.parametrize("system", SYSTEMS, ids=str)
def test_frames_that_chance_invents(system: tuple[Any, ...], capsys: pytest.CaptureFixture[str]) -> None:
    mutator, judge = Mutator(len(str(system))), Judge(*system)
    for _ in range(2500):
        judge.try_frame(mutator.frame())
    report(capsys, f"{system}", judge.outcomes)
    assert judge.outcomes["accepted"] > 50


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.sampled_from(list(Family)), numbers, st.sampled_from(SYSTEMS))
def test_noise_behind_an_ip_header(noise: bytes, family: Family, ttl: int, system: tuple[Any, ...]) -> None:
    judge = Judge(*system)
    for vhid in (1, 7, 42, 255):
        packet = bytearray(bytes(14) + b"\x45" + bytes(19) + b"\x21" + bytes([vhid]) + noise)
        packet[12:14] = b"\x08\x00"
        mend(packet)
        judge.try_payload(bytes(packet[34:]), family, ttl)
    assert judge.outcomes["accepted"] == 0


def test_the_judge_knows_good_from_bad() -> None:
    judge = Judge("linux", seed=3)
    good = next(frame for frame in CORPUS if frame[12:14] == b"\x08\x00" and frame[35] == 1)
    payload = parse_frame(good).payload
    config = judge.node.machines[0].config
    assert authentic(config, payload)
    assert not authentic(config, payload[:-1] + bytes([payload[-1] ^ 1]))
    before = everything(judge.node)
    judge.try_frame(good)
    assert judge.outcomes["accepted"] == 1
    assert everything(judge.node) != before
