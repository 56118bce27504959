"""The probe: what is sent, what counts as an answer, and how losses are summed up."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.fleet import probe as module
from bsdcarp.fleet.hosts import Options
from bsdcarp.fleet.icmp import echo_reply, echo_request
from bsdcarp.fleet.probe import Losses, Probe, _Target
from bsdcarp.fleet.vips import VipWatch
from bsdcarp.inventory import load_text, require
from reboot.bench import inventory_text

VERSIONS: tuple[Literal[4, 6], ...] = (4, 6)


def test_an_echo_request_is_that_of_rfc_792() -> None:
    packet = echo_request(4, 0x1234, 7, b"abc")
    assert packet[:2] == b"\x08\x00"
    assert packet[4:] == b"\x12\x34\x00\x07abc"
    words = packet + b"\0"
    total = sum(int.from_bytes(words[at : at + 2], "big") for at in range(0, len(words), 2))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF  # RFC 1071: with its checksum a packet sums up to all ones
    assert echo_request(6, 1, 2, b"x")[:4] == b"\x80\x00\x00\x00"


@given(st.sampled_from(VERSIONS), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=40))
def test_a_reply_gives_its_sequence_number_back(
    version: Literal[4, 6], ident: int, sequence: int, payload: bytes
) -> None:
    request = echo_request(version, ident, sequence, payload)
    reply = bytes([{4: 0, 6: 129}[version]]) + request[1:]
    assert echo_reply(version, reply, payload) == sequence
    assert echo_reply(version, reply, payload + b"?") is None
    assert echo_reply(version, request, payload) is None
    if version == 4:
        assert echo_reply(4, b"\x46" + bytes(23) + reply, payload) == sequence


@given(st.sampled_from(VERSIONS), st.binary(max_size=64))
def test_any_packet_is_no_more_than_ignored(version: Literal[4, 6], packet: bytes) -> None:
    echo_reply(version, packet, b"0123456789abcdef")


def target(*answered: int) -> _Target:
    made = _Target("192.0.2.1", 4, "ICMP")
    for second, value in enumerate(answered):
        made.ask(float(second))
        made.answered[second] = value
    return made


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        ((1, 1, 1), (3, 0, 0.0)),
        ((1, 0, 0, 1), (4, 2, 3.0)),
        ((0, 0, 1), (3, 2, 2.0)),
        ((1, 0, 0), (3, 2, 2.0)),
        ((1, 0, 1, 0, 0, 1, 1), (7, 3, 3.0)),
        ((), (0, 0, 0.0)),
    ],
)
def test_losses_are_counted_and_the_longest_gap_measured(
    answered: tuple[int, ...], expected: tuple[int, int, float]
) -> None:
    assert target(*answered).losses(0, 99) == Losses("ICMP", *expected, 0.1)


def test_a_span_counts_its_own_questions_only() -> None:
    assert target(0, 1, 0, 1, 0).losses(1, 3) == Losses("ICMP", 3, 1, 2.0, 0.1)


def test_sequence_numbers_may_wrap() -> None:
    made = _Target("192.0.2.1", 4, "ICMP")
    for number in range(0x10000 + 3):
        made.ask(float(number))
    made.answer(1)
    assert made.answered[0x10001] == 1
    assert made.answered[1] == 0
    made.answer(0xFFFF)
    assert made.answered[0xFFFF] == 1
    young = target(0)
    young.answer(77)
    assert young.answered == b"\0"


def await_answers(asking: Probe, address: str) -> None:
    """Wait for three, the first of which may be older: how often a busy machine gets to asking is its own affair."""
    end = time.monotonic() + 20
    while sum(asking._targets[address].answered) < 3:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_address_of_this_machine_answers_and_one_for_documentation_is_not_reachable() -> None:
    with Probe(["127.0.0.1", "192.0.2.77"]) as asking:
        begun = time.monotonic()
        await_answers(asking, "127.0.0.1")
    found = asking.losses(begun)
    assert found["127.0.0.1"].sent >= 2
    assert found["127.0.0.1"].lost == 0
    assert found["192.0.2.77"] == Losses("")


def test_without_icmp_a_connection_to_port_22_or_its_refusal_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_icmp_socket", lambda _version: None)
    monkeypatch.setattr(module, "_INTERVALS", {"ICMP": 0.1, "TCP 22": 0.1})
    with Probe(["127.0.0.1"]) as asking:
        await_answers(asking, "127.0.0.1")
    found = asking.losses()["127.0.0.1"]
    assert found.via == "TCP 22"
    assert found.sent >= 2
    assert found.lost == 0


def test_a_user_who_may_open_no_socket_for_icmp_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> socket.socket:
        raise PermissionError

    monkeypatch.setattr(socket, "socket", refuse)
    assert module._icmp_socket(4) is None
    assert module._icmp_socket(6) is None


def test_the_addresses_of_a_lab_are_not_asked(tmp_path: Path) -> None:
    inventory = require(load_text(inventory_text([("freebsd-14.2", "freebsd-14.2")]), "t.yml"))
    with pytest.MonkeyPatch.context() as patch:
        config = tmp_path / "ssh_config"
        config.write_text("Host h0a h0b\n  HostName 127.0.0.1\n  Port 2022\n")
        patch.setattr(socket, "socket", None)
        with VipWatch(inventory, Options(ssh_config=config), ["h0a"]) as watch:
            pass
    reports = {report.address: report for report in watch.report({"h0a": (0.0, 9e9)})}
    assert set(reports) == {"10.8.0.1", "10.8.0.100"}
    assert all("loopback" in report.why and not report.by_host for report in reports.values())


def test_addresses_that_nobody_wants_asked_are_listed_all_the_same() -> None:
    inventory = require(load_text(inventory_text([("freebsd-14.2", "freebsd-14.2")] * 2), "t.yml"))
    with VipWatch(inventory, Options(ssh_config=None), ["h1a"], silent=True) as watch:
        pass
    assert [(report.address, report.groups, report.why) for report in watch.report({})] == [
        ("10.8.1.1", ("one1",), "not asked for"),
        ("10.8.1.100", ("two1",), "not asked for"),
    ]
