"""What reading finds: YAML errors, keys, types; each with its exact place."""

from __future__ import annotations

from typing import Any

import pytest
from inventories import Change, found, loaded, rules

from bsdcarp.inventory import load_text
from bsdcarp.inventory.nodes import MAX_TEXT, Mapping, Scalar, Sequence, parse

HEAD = "version: 1\nhosts:\n  a: {address: 192.0.2.2, interface: em0}\n"


def only(text: str) -> tuple[str, str, str, str]:
    """Return rule, line:column, message and remedy of the one finding of ``text``."""
    (one,) = [finding for finding in load_text(text, "f").findings if finding.rule != "host-idle"]
    assert one.remedy
    return one.rule, str(one.place).removeprefix("f:"), one.message, one.remedy


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("version: 1\n\thosts: 2\n", "2:1", "a tab is used to indent"),
        ("hosts:\n  a:\n  \taddress: x\n", "3:3", "a tab is used to indent"),
        ("version: [1\nhosts: {}\n", "2:6", "the list in brackets that begins in line 1 goes wrong here"),
        ("version: {a: 1\nhosts: {}\n", "2:6", "the mapping in braces that begins in line 1 goes wrong here"),
        ('version: "1\n', "1:10", "a quote is opened here and never closed"),
        ("version: 1: 2\n", "1:11", "a colon makes no sense here"),
        ("version: @1\n", "1:10", "no text can begin with this character"),
        ("version: *x\n", "1:10", "an alias (*name) has no anchor"),
        ("version: 1\n---\nversion: 1\n", "2:1", "a second document begins here"),
        ("version: 1\n  hosts: 2\n", "2:8", "a colon makes no sense here"),
        ("- version: 1\nhosts: 2\n", "2:1", "this does not line up with what is above"),
        ("version: 1\nhosts\nx: 1\n", "3:1", "a key has no colon"),
        ("version: 1\nhosts: \x07\n", "2:8", "a control character stands here"),
        ("%YAML 9 9\n---\nversion: 1", "1:8", "not valid YAML: expected a digit or '.', but found ' '"),
    ],
)
def test_yaml_errors_have_place_and_remedy(text: str, place: str, message: str) -> None:
    rule, where, said, _ = only(text)
    assert (rule, where, said) == ("yaml-syntax", place, message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 200, "more than 100 brackets are open here"),
        ("- " * 1500, "nested too deeply"),
        (" " * (MAX_TEXT + 1), f"longer than {MAX_TEXT} characters"),
        ("version: &a [*a]\n", "an alias contains itself"),
    ],
)
def test_what_is_too_large_is_refused(text: str, message: str) -> None:
    assert ("yaml-size", message) in {(one.rule, one.message) for one in load_text(text, "f").findings}


def test_aliases_that_grow_without_measure_are_refused_before_they_are_followed() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    assert only("\n".join(levels))[0] == "yaml-size"


def test_a_yaml_reader_that_trips_is_a_syntax_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import ruamel.yaml

    def trip(*_: object) -> None:
        raise AssertionError("deep inside")

    monkeypatch.setattr(ruamel.yaml.YAML, "compose", trip)
    assert only("version: 1")[:3] == ("yaml-syntax", "1:1", "this cannot be read as YAML")


def test_aliases_may_share_values() -> None:
    text = HEAD + (
        "  b: {address: 192.0.2.3, interface: em0}\n"
        "sysctl: {preempt: 1}\n"
        "groups:\n"
        "  g: {vhid: 1, password: {env: A}, addresses: [192.0.2.10/24], members: &pair [a, b]}\n"
        "  h: {vhid: 2, password: {env: B}, addresses: [192.0.2.11/24], members: *pair}\n"
    )
    result = load_text(text)
    assert result.findings == ()
    assert result.inventory is not None
    assert [member.host for member in result.inventory.groups["h"].members] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "where", "message", "remedy"),
    [
        (HEAD + "hots: {}\n", "4:1", "unknown key hots in the inventory", "did you mean hosts?"),
        (HEAD + "port: 22\n", "4:1", "unknown key port in the inventory", "port belongs below defaults"),
        (
            HEAD + "defaults: {sysctl: {}}\n",
            "4:12",
            "unknown key sysctl in defaults",
            "sysctl stands at the top level, beside defaults",
        ),
        (HEAD + "defaults: {usr: x}\n", "4:12", "unknown key usr in defaults", "did you mean user?"),
        (HEAD + "sysctl: {Allow: 1}\n", "4:10", "unknown key Allow in sysctl", "did you mean allow?"),
        (
            HEAD + "sysctl: {net.inet.carp.allow: 1}\n",
            "4:10",
            "unknown key net.inet.carp.allow in sysctl",
            "write allow",
        ),
        (
            HEAD + "<<: {a: 1}\n",
            "4:1",
            "unknown key << in the inventory",
            "known are version, defaults, sysctl, kernel, hosts, groups",
        ),
        (
            HEAD + '"a\\eb": 1\n',
            "4:1",
            "unknown key a\\eb in the inventory",
            "known are version, defaults, sysctl, kernel, hosts, groups",
        ),
    ],
)
def test_unknown_keys_are_guessed_or_sent_where_they_belong(text: str, where: str, message: str, remedy: str) -> None:
    assert only(text) == ("unknown-key", where, message, remedy)


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"hosts/a/vhid": 1}, "vhid belongs to a group"),
        ({"hosts/a/adress": "x"}, "did you mean address?"),
        ({"groups/web/advskew": 1}, "advskew belongs to a member: members: [{host: NAME, advskew: 50}]"),
        ({"groups/web/pass": "x"}, "write password"),
        ({"groups/web/members": ["a", {"host": "b", "advskw": 1}]}, "did you mean advskew?"),
        ({"hosts/a/become": {"method": "su", "pasword": "x"}}, "did you mean password?"),
        ({"kernel/methd": "auto"}, "did you mean method?"),
    ],
)
def test_unknown_keys_below_hosts_and_groups(change: Change, remedy: str) -> None:
    (one,) = found("unknown-key", change)
    assert one.remedy == remedy


def test_an_unknown_key_of_a_password_is_not_repeated() -> None:
    (one,) = found("unknown-key", {"groups/web/password": {"hunter2": None}})
    assert "hunter2" not in one.message + one.remedy


def test_a_second_key_is_refused_and_the_first_one_used() -> None:
    text = HEAD + "version: 2\n"
    assert only(text) == (
        "duplicate-key",
        "4:1",
        "the key version stands here a second time, first in line 1",
        "keep one of them",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "? [a]\n: 1\n", "a key must be a text, this is a list"),
        (HEAD + "? {a: 1}\n: 1\n", "a key must be a text, this is a mapping"),
        (HEAD + ": 1\n", "a key is missing before the colon"),
        (HEAD + "sysctl: !py {allow: 1}\n", "YAML tags (!name) mean nothing here"),
        (HEAD + "kernel: {ident: !x CARP}\n", "YAML tags (!name) mean nothing here"),
        (HEAD + "kernel: {ident: !!binary Q0FSUA==}\n", "YAML tags (!name) mean nothing here"),
        (HEAD + "kernel: {ident: 4}\n", "kernel ident must be a text, but is a number"),
        (HEAD + "kernel: {ident: }\n", "kernel ident is empty"),
        (HEAD + "defaults: {port: 22.5}\n", "defaults port must be a whole number, but is a number with a fraction"),
        (HEAD + "defaults: {port: 0x16}\n", "defaults port must be a whole number"),
        (HEAD + "defaults: {port: 022}\n", "defaults port must be a whole number"),
        (HEAD + "defaults: {port: true}\n", "defaults port must be a whole number, but is a truth value"),
        (HEAD + "defaults: [user]\n", "defaults must be a mapping, but is a list"),
        (HEAD + "defaults:\n", "defaults must be a mapping, but is empty"),
        (HEAD + "groups: [a]\n", "groups must be a mapping, but is a list"),
        ("version: 1\nhosts: [a]\n", "hosts must be a mapping, but is a list"),
        ("just a text", "the inventory must be a mapping, but is a text"),
        (HEAD + "sysctl: {allow: yes}\n", "sysctl allow must be a whole number, but is a text"),
    ],
)
def test_values_of_the_wrong_kind(text: str, message: str) -> None:
    result = load_text(text, "f")
    said = [one for one in result.findings if one.rule == "wrong-type"]
    assert [one.message for one in said] == [message]
    assert said[0].remedy
    assert result.inventory is None


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("missing-key", {"version": ...}),
        ("missing-key", {"hosts": ...}),
        ("missing-key", {"hosts": {}}),
        ("missing-key", {"hosts/a/address": ...}),
        ("missing-key", {"groups/web/vhid": ...}),
        ("missing-key", {"groups/web/password": ...}),
        ("missing-key", {"groups/web/addresses": ...}),
        ("missing-key", {"groups/web/addresses": []}),
        ("missing-key", {"groups/web/members": ...}),
        ("missing-key", {"groups/web/members": []}),
        ("missing-key", {"groups/web/members": [{"advskew": 1}, "b"]}),
        ("missing-key", {"groups/web/password": {}}),
        ("missing-key", {"groups/web/peer": []}),
        ("missing-key", {"hosts/a/become": {"password": "x"}}),
        ("missing-key", {"hosts/a/ssh": {}}),
        ("version-unknown", {"version": 2}),
        ("wrong-type", {"version": "1"}),
        ("wrong-type", {"hosts/a": None}),
        ("wrong-type", {"hosts/a": "192.0.2.2"}),
        ("wrong-type", {"hosts/a/address": ["192.0.2.2"]}),
        ("wrong-type", {"hosts/a/port": "22"}),
        ("wrong-type", {"hosts/a/ssh": {"legacy": "yes"}}),
        ("wrong-type", {"hosts/a/ssh": True}),
        ("wrong-type", {"hosts/a/become": ["sudo"]}),
        ("wrong-type", {"hosts/a/interfaces": ["em0"]}),
        ("wrong-type", {"hosts/a/os": 14.2}),
        ("wrong-type", {"groups/web": None}),
        ("wrong-type", {"groups/web/addresses": "192.0.2.10/24"}),
        ("wrong-type", {"groups/web/addresses": {"a": 1}}),
        ("wrong-type", {"groups/web/addresses": [None]}),
        ("wrong-type", {"groups/web/members": [["a"], "b"]}),
        ("wrong-type", {"groups/web/members": [{"host": 1}, "b"]}),
        ("wrong-type", {"groups/web/password": 12345}),
        ("wrong-type", {"groups/web/password": ["x"]}),
        ("wrong-type", {"groups/web/password": {"env": 1}}),
        ("wrong-type", {"sysctl/arpbalance": "maybe"}),
        ("wrong-value", {"hosts/a/address": ""}),
        ("wrong-value", {"hosts/a/port": 65536}),
        ("wrong-value", {"hosts/a/ssh": "old"}),
        ("wrong-value", {"hosts/a/become": "root"}),
        ("wrong-value", {"hosts/a/become": {"method": "pfexec"}}),
        ("wrong-value", {"hosts/a/arch": "x86_64"}),
        ("wrong-value", {"hosts/a/arch": "vax"}),
        ("wrong-value", {"hosts/a/backend": "keepalived"}),
        ("wrong-type", {"hosts/a/virtual_mac": 1}),
        ("wrong-type", {"hosts/a/notify": ["/bin/x"]}),
        ("wrong-value", {"kernel/method": "loader"}),
        ("wrong-value", {"sysctl/allow": 2}),
        ("wrong-value", {"sysctl/log": 8}),
        ("wrong-value", {"sysctl/log": -1}),
        ("wrong-value", {"groups/web/protocol": "vrrp"}),
        ("wrong-value", {"groups/web/password": {"env": "$WEB"}}),
        ("wrong-value", {"groups/web/password": {"env": "A", "file": "b"}}),
        ("wrong-value", {"groups/web/password": {"file": "a\0b"}}),
        ("wrong-value", {"groups/web/peer": {"c": "192.0.2.3"}}),
        ("wrong-value", {"groups/web/peer": ["192.0.2.3", "192.0.2.4"]}),
        ("wrong-value", {"groups/web/members": ["a", {"host": "b", "peer": "2001:db8::2"}]}),
        ("wrong-value", {"groups/web/members": ["a", {"host": "b", "peer6": "192.0.2.2"}]}),
        ("os-unknown", {"hosts/a/os": "freebsd"}),
        ("os-unknown", {"hosts/a/os": "openbsd-7.5"}),
        ("os-unknown", {"defaults/os": "14.2"}),
        ("prefix-missing", {"groups/web/addresses": ["192.0.2.10"]}),
        ("prefix-missing", {"hosts/a/interfaces": {"em0": "2001:db8::2"}}),
        ("address-syntax", {"groups/web/addresses": ["192.0.2.300/24"]}),
        ("address-syntax", {"groups/web/addresses": ["192.0.2.1/33"]}),
        ("address-syntax", {"groups/web/addresses": ["192.0.2.1/255.255.255.0"]}),
        ("address-syntax", {"groups/web/addresses": ["192.0.2.1/"]}),
        ("address-syntax", {"groups/web/addresses": ["192.0.2.1/ 24"]}),
        ("address-syntax", {"groups/web/addresses": ["fe80::1%em0/64"]}),
        ("address-syntax", {"groups/web/peer": "192.0.2.3/24"}),
        ("address-syntax", {"groups/web/peer": "fw2"}),
        ("peer-unresolved", {"groups/web/peer": "auto", "groups/web/members": ["a"]}),
        ("sysctl-refused", {"sysctl/demotion": 240}),
        ("sysctl-refused", {"hosts/a/sysctl": {"net.inet.carp.suppress_preempt": 1}}),
        ("sysctl-refused", {"groups/web/sysctl": {"dscp": 1}}),
    ],
)
def test_what_reading_refuses(rule: str, change: dict[str, Any]) -> None:
    assert rule in rules(change)
    for one in loaded(change).findings:
        assert one.remedy
        assert one.place.line >= 1


def test_a_missing_prefix_length_names_both_ways_to_write_it() -> None:
    (one,) = found("prefix-missing", {"groups/web/addresses": ["192.0.2.10"]})
    assert one.remedy == "write 192.0.2.10/24, with the length of the network, or /32"
    (one,) = found("prefix-missing", {"groups/web/addresses": ["2001:db8::1"]})
    assert one.remedy == "write 2001:db8::1/64, with the length of the network, or /128"


def test_all_errors_come_at_once_in_the_order_of_the_file() -> None:
    text = (
        "version: 2\n"
        "hosts:\n"
        "  a: {adress: x, port: z}\n"
        "  b: {address: 192.0.2.3, interface: lo0, os: freebsd-5.1}\n"
        "groups:\n"
        "  g:\n"
        "    vhid: 300\n"
        "    password: [x]\n"
        "    addresses: [192.0.2.1, 192.0.2.255/24]\n"
        "    members: [a, c, {host: b, advskew: 100}]\n"
        "    foo: 1\n"
    )
    result = load_text(text, "f")
    assert [(one.place.line, one.rule) for one in result.findings] == [
        (1, "version-unknown"),
        (3, "missing-key"),
        (3, "unknown-key"),
        (3, "wrong-type"),
        (4, "interface-kind"),
        (4, "release-too-old"),
        (4, "ssh-legacy-needed"),
        (7, "vhid-range"),
        (8, "wrong-type"),
        (9, "prefix-missing"),
        (9, "address-network"),
        (10, "unknown-host"),
        (10, "equal-advskew"),
        (11, "unknown-key"),
    ]


@pytest.mark.parametrize(
    "value", ["hunter2!", ["hunter2!"], {"hunter2!": 1}, {"env": "hunter2!"}, {"env": ["hunter2!"]}]
)
def test_no_message_repeats_what_may_be_a_password(value: object) -> None:
    for one in loaded({"groups/web/password": value}).findings:
        assert "hunter2" not in one.message + one.remedy


class TestScalars:
    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("no", "text"),
            ("on", "text"),
            ("1_000", "text"),
            ("2026-01-01", "text"),
            ("true", "bool"),
            ("FALSE", "bool"),
            ("~", "null"),
            ("null", "null"),
            ("0o17", "int"),
            ("010", "int"),
            ("-3", "int"),
            ("1.5", "float"),
            (".inf", "float"),
            ("1e3", "float"),
            ("1.2.3.4", "text"),
            ("10:20", "text"),
        ],
    )
    def test_yaml_1_2_decides_what_a_plain_value_is(self, text: str, kind: str) -> None:
        node, _ = parse(f"a: {text}", "f")
        assert isinstance(node, Mapping)
        value = node.entries[0][1]
        assert isinstance(value, Scalar)
        assert value.kind == kind

    @pytest.mark.parametrize("text", ['"1"', "'1'", "!!str 1", "|\n  1"])
    def test_quotes_and_str_make_a_text(self, text: str) -> None:
        node, _ = parse(f"a: {text}", "f")
        assert isinstance(node, Mapping)
        value = node.entries[0][1]
        assert isinstance(value, Scalar)
        assert value.kind == "text"

    def test_a_yaml_1_1_directive_changes_nothing(self) -> None:
        node, findings = parse("%YAML 1.1\n---\na: no", "f")
        assert isinstance(node, Mapping)
        value = node.entries[0][1]
        assert isinstance(value, Scalar)
        assert (value.kind, findings) == ("text", [])


def test_places_count_line_feeds_only_and_characters_not_bytes() -> None:
    node, _ = parse("a: é\u2028x\nb:\r\n  - ü: [1, 22]\n", "f")
    assert isinstance(node, Mapping)
    (_, _), (b, items) = node.entries
    assert (b.place.line, b.place.column) == (2, 1)
    assert isinstance(items, Sequence)
    (item,) = items.items
    assert isinstance(item, Mapping)
    key, value = item.entries[0]
    assert (key.place.line, key.place.column) == (3, 5)
    assert isinstance(value, Sequence)
    assert [(one.place.line, one.place.column) for one in value.items] == [(3, 9), (3, 12)]


def test_an_empty_list_and_an_empty_mapping_are_told_apart() -> None:
    node, _ = parse("a: []\nb: {}\n", "f")
    assert isinstance(node, Mapping)
    assert isinstance(node.entries[0][1], Sequence)
    assert isinstance(node.entries[1][1], Mapping)
