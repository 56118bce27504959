"""The reader of the configuration file: what it takes, and what it says about the rest."""

from __future__ import annotations

import json
import os
import sys
from ipaddress import IPv4Address, IPv6Address, ip_interface
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.carp import Settings
from bsdcarp.carpd.config import Config, ConfigError, parse, read

VHID: dict[str, Any] = {
    "group": "web",
    "vhid": 1,
    "interface": "eth0",
    "advbase": 1,
    "advskew": 100,
    "password": "secret",
    "peer": None,
    "peer6": None,
    "addresses": ["192.0.2.1/24", "2001:db8::1/64"],
    "virtual_mac": True,
}


def document(*changes: dict[str, Any], **top: Any) -> str:
    vhids = [{**VHID, **change} for change in changes] if changes else [VHID]
    return json.dumps({"version": 1, "vhids": vhids, **top})


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "F")
    return caught.value.problems


def test_a_whole_file_is_read() -> None:
    config = parse(
        document(
            {"peer": "192.0.2.3", "peer6": "2001:db8::3"},
            settings={"allow": 1, "preempt": 1, "log": 2, "arpbalance": 0, "ifdown_factor": 50, "senderr_factor": 0},
            notify="/usr/local/bin/told",
        )
    )
    assert config.settings == Settings(preempt=1, log=2, ifdown_factor=50, senderr_factor=0)
    assert config.notify == "/usr/local/bin/told"
    (vhid,) = config.vhids
    assert vhid.key == ("eth0", 1)
    assert vhid.label == "1@eth0"
    assert vhid.addresses == (ip_interface("192.0.2.1/24"), ip_interface("2001:db8::1/64"))
    core = vhid.core()
    assert (core.vhid, core.advbase, core.advskew, core.key) == (1, 1, 100, b"secret")
    assert (core.v4, core.v6) == ((IPv4Address("192.0.2.1"),), (IPv6Address("2001:db8::1"),))
    assert (core.peer, core.peer6) == (IPv4Address("192.0.2.3"), IPv6Address("2001:db8::3"))


def test_what_may_be_left_out_has_its_default() -> None:
    least = {name: VHID[name] for name in ("group", "vhid", "interface", "password", "addresses")}
    config = parse(json.dumps({"version": 1, "vhids": [least]}))
    (vhid,) = config.vhids
    assert (vhid.advbase, vhid.advskew, vhid.peer, vhid.virtual_mac) == (1, 0, None, True)
    assert config.settings == Settings()
    assert config.notify is None


def test_interfaces_are_named_once_in_their_order() -> None:
    config = parse(
        document(
            {"interface": "b0", "addresses": ["192.0.2.1/24"]},
            {"vhid": 2, "interface": "a0", "addresses": ["192.0.2.2/24"]},
            {"vhid": 3, "interface": "b0", "addresses": ["192.0.2.3/24"]},
        )
    )
    assert config.interfaces == ("b0", "a0")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"vhid": 0}, "F: vhids[0].vhid: 0 is not within 1 to 255"),
        ({"vhid": True}, "F: vhids[0].vhid: not a whole number"),
        ({"vhid": 1.0}, "F: vhids[0].vhid: not a whole number"),
        ({"advskew": 255}, "F: vhids[0].advskew: 255 is not within 0 to 254"),
        ({"advbase": 0}, "F: vhids[0].advbase: 0 is not within 1 to 255"),
        ({"group": ""}, "F: vhids[0].group: '' has 0 characters, not 1 to 64"),
        ({"group": "a\nb"}, "F: vhids[0].group: it has characters that cannot be printed"),
        ({"interface": "averylonginterface"}, "F: vhids[0].interface: 'averylonginterface' has 18 characters, not 1 to 15"),
        ({"interface": ".."}, "F: vhids[0].interface: not a name of an interface"),
        ({"interface": "a/b"}, "F: vhids[0].interface: not a name of an interface"),
        ({"interface": None}, "F: vhids[0].interface: not a string"),
        ({"password": ""}, "F: vhids[0].password: it has 0 bytes, not 1 to 19"),
        ({"password": "x" * 20}, "F: vhids[0].password: it has 20 bytes, not 1 to 19"),
        ({"password": "a\0b"}, "F: vhids[0].password: it has a NUL"),
        ({"password": "\ud800"}, "F: vhids[0].password: it has half a surrogate pair"),
        ({"password": 12345678}, "F: vhids[0].password: not a string"),
        ({"peer": "192.0.2.256"}, "F: vhids[0].peer: not an IPv4 address"),
        ({"peer": "224.0.0.18"}, "F: vhids[0].peer: 224.0.0.18 is not the address of one host"),
        ({"peer6": "fe80::1%eth0"}, "F: vhids[0].peer6: not an IPv6 address without zone"),
        ({"peer6": "192.0.2.1"}, "F: vhids[0].peer6: not an IPv6 address without zone"),
        ({"addresses": []}, "F: vhids[0].addresses: a vhid needs an address"),
        ({"addresses": "192.0.2.1/24"}, "F: vhids[0].addresses: not an array"),
        ({"addresses": [1]}, "F: vhids[0].addresses[0]: not a string"),
        ({"addresses": ["127.0.0.1/8"]}, "F: vhids[0].addresses[0]: 127.0.0.1 cannot be shared between hosts"),
        ({"addresses": ["192.0.2.1/24", "192.0.2.1/32"]}, "F: vhids[0].addresses[1]: 192.0.2.1 is there twice"),
        ({"virtual_mac": 1}, "F: vhids[0].virtual_mac: neither true nor false"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_place(change: dict[str, Any], problem: str) -> None:
    assert problems(document(change)) == (problem,)


@pytest.mark.parametrize(
    "text", ["192.0.2.1", "192.0.2.1/255.255.255.0", "192.0.2.1/33", "fe80::1%eth0/64", "x/24", "1.2.3.4/٣"]
)
def test_an_address_needs_its_prefix_length(text: str) -> None:
    assert problems(document({"addresses": [text]})) == (
        "F: vhids[0].addresses[0]: not an address with its prefix length, such as 192.0.2.1/24",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "F: line 1 column 1: not JSON: Expecting value"),
        ("[]", "F: not an object"),
        ('{"version": 1}', "F: vhids is missing"),
        ('{"version": 2, "vhids": []}', "F: version: 2 is not 1"),
        ('{"version": 1, "vhids": {}}', "F: vhids: not an array"),
        ('{"version": 1, "vhids": [3]}', "F: vhids[0]: not an object"),
        ('{"version": 1, "vhids": [], "vhids": []}', "F: not usable: an object has the key 'vhids' twice"),
        ("[" * 100_000, "F: not usable: nested too deeply"),
        ('{"version": 1, "vhids": [], "notify": "told"}', "F: notify: not an absolute path"),
        ('{"version": 1, "vhids": [], "settings": {"log": "1"}}', "F: settings.log: not a whole number"),
        ('{"version": 1, "vhids": [], "settings": {"dscp": 64}}', "F: settings.dscp: 64 is not within 0 to 63"),
    ],
)
def test_a_wrong_file_is_explained_in_one_line(text: str, problem: str) -> None:
    assert problems(text) == (problem,)


@pytest.mark.skipif(not hasattr(sys, "get_int_max_str_digits"), reason="this Python converts numbers of any length")
def test_a_number_without_end_is_refused() -> None:
    assert problems("1" * 5000) == ("F: not usable: a number has too many digits",)


def test_an_unknown_key_is_refused_with_those_that_exist() -> None:
    (problem,) = problems(document({"skew": 1}))
    assert problem.startswith("F: vhids[0]: unknown key 'skew'; there are group, vhid, interface,")


def test_all_problems_are_listed_and_the_first_is_the_message() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(document({"vhid": 0, "advskew": -1}, {"vhid": 300, "addresses": ["192.0.2.9/24"]}), "F")
    assert len(caught.value.problems) == 3
    assert str(caught.value) == "F: vhids[0].vhid: 0 is not within 1 to 255 (and 2 more)"


def test_a_vhid_is_on_an_interface_only_once() -> None:
    found = problems(document({}, {"addresses": ["192.0.2.9/24"]}))
    assert found == ("F: vhids[1]: vhid 1 on eth0 is configured twice",)
    assert parse(document({}, {"interface": "eth1", "addresses": ["192.0.2.9/24"]})).vhids[1].interface == "eth1"


def test_an_address_is_shared_by_vhids_only_with_arpbalance() -> None:
    both = ({"addresses": ["192.0.2.1/24"]}, {"vhid": 2, "addresses": ["192.0.2.1/24"]})
    (problem,) = problems(document(*both))
    assert problem == "F: vhids[1]: 192.0.2.1 is an address of vhid 1 too; only arpbalance=1 allows that"
    assert len(parse(document(*both, settings={"arpbalance": 1})).vhids) == 2


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        ({}, {"virtual_mac": False, "addresses": ["192.0.2.9/24"]}, "arpbalance needs virtual_mac: true, because clients are told different MACs"),
        ({"addresses": ["192.0.2.1/24"]}, {"interface": "eth1", "addresses": ["192.0.2.1/24"]}, "192.0.2.1 is also on eth0; arpbalance works on one interface"),
        ({"addresses": ["2001:db8::1/64"]}, {"addresses": ["2001:db8::1/64"]}, "2001:db8::1 is an address of vhid 1 too; arpbalance is for IPv4 only"),
    ],
)  # fmt: skip
def test_arpbalance_has_its_limits(first: dict[str, Any], second: dict[str, Any], problem: str) -> None:
    text = document(first, {"vhid": 2, **second}, settings={"arpbalance": 1})
    assert problems(text) == (f"F: vhids[1]: {problem}",)


def test_a_password_is_never_shown() -> None:
    secret = "hunter2-and-much-more-than-19"
    assert secret not in str(problems(document({"password": secret, "vhid": 0})))
    assert "hunter2" not in repr(parse(document({"password": "hunter2"})))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def outcome(text: str) -> Config | tuple[str, ...]:
    """What a text is: a configuration, or problems."""
    try:
        return parse(text, "F")
    except ConfigError as error:
        return error.problems


@given(st.text(max_size=200) | JSON.map(json.dumps))
def test_any_text_is_a_configuration_or_clear_problems(text: str) -> None:
    found = outcome(text)
    assert found
    if isinstance(found, tuple):
        assert all(line.startswith("F: ") and line.isprintable() for line in found)


@given(
    st.dictionaries(st.sampled_from([*VHID, "more"]), JSON, max_size=4),
    st.dictionaries(st.sampled_from(["allow", "log", "dscp", "x"]), JSON),
)
def test_a_nearly_right_file_is_read_or_each_problem_has_its_path(
    change: dict[str, Any], settings: dict[str, Any]
) -> None:
    found = outcome(document(change, settings=settings))
    if isinstance(found, tuple):
        assert all(line.startswith(("F: vhids[0]", "F: settings")) and line.isprintable() for line in found)
    else:
        assert found.vhids[0].core().vhid == found.vhids[0].vhid


def written(path: Path, data: bytes, mode: int = 0o600) -> str:
    path.write_bytes(data)
    path.chmod(mode)
    return str(path)


def test_a_file_of_ours_is_read(tmp_path: Path) -> None:
    assert read(written(tmp_path / "c", document().encode())).vhids[0].vhid == 1


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "c", document().encode(), 0o640)
    with pytest.raises(ConfigError, match=r"others than its owner have access \(mode 0640\); chmod 600 it"):
        read(path)


def test_a_file_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="/absent: No such file or directory"):
        read(str(tmp_path / "absent"))
    with pytest.raises(ConfigError, match=r": not a regular file|: Is a directory"):
        read(str(tmp_path))
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(ConfigError, match=": not a regular file"):
        read(str(tmp_path / "fifo"))
    with pytest.raises(ConfigError, match=": byte 1 is not UTF-8"):
        read(written(tmp_path / "latin", b'"\xff"'))
    with pytest.raises(ConfigError, match=": larger than"):
        read(written(tmp_path / "large", b" " * ((4 << 20) + 1)))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "c", document().encode())
    os.chown(path, 12345, -1)
    with pytest.raises(ConfigError, match="it belongs to uid 12345, not to root"):
        read(path)
