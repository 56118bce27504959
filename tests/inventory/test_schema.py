"""The JSON Schema and the reader accept the same inventories, as far as a schema can say."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest
from inventories import EXAMPLE, ROOT, Change, loaded, sound
from ruamel.yaml import YAML

from bsdcarp.inventory import groups, hosts, load, settings
from bsdcarp.inventory.schema import schema, schema_text

VALIDATOR = jsonschema.Draft202012Validator(schema())


def valid(data: Any) -> bool:
    return bool(VALIDATOR.is_valid(data))


def example() -> Any:
    return YAML(typ="safe", pure=True).load(EXAMPLE.read_text(encoding="utf-8"))


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema_text().endswith("}\n")


def test_the_example_and_the_sound_inventory_are_valid() -> None:
    VALIDATOR.validate(example())
    VALIDATOR.validate(sound())


def test_the_examples_first_line_leads_editors_to_the_schema() -> None:
    first = EXAMPLE.read_text(encoding="utf-8").splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    path = ROOT / first.removeprefix(prefix)
    assert json.loads(path.read_text(encoding="utf-8")) == schema()


def test_every_key_of_the_reader_is_in_the_schema_and_the_other_way_round() -> None:
    defs = schema()["$defs"]
    assert set(defs["host"]["properties"]) == set(hosts._HOST)
    assert set(schema()["properties"]["defaults"]["properties"]) == set(hosts._SHARED)
    assert set(defs["group"]["properties"]) == set(groups._GROUP)
    assert set(defs["member"]["anyOf"][1]["properties"]) == set(groups._MEMBER)
    assert set(defs["sysctl"]["properties"]) == set(settings.SYSCTLS)
    assert defs["arch"]["enum"] == list(hosts.ARCHES)
    assert defs["backend"]["enum"] == list(hosts.BACKENDS)
    assert defs["becomeMethod"]["enum"] == list(settings.BECOME_METHODS)
    assert defs["kernel"]["properties"]["method"]["enum"] == list(settings.KERNEL_METHODS)


def test_every_property_is_described_for_editors() -> None:
    defs = schema()["$defs"]

    def described(entry: dict[str, Any]) -> bool:
        while "$ref" in entry and "description" not in entry:
            entry = defs[entry["$ref"].rsplit("/", 1)[1]]
        return (
            bool(entry.get("description"))
            or entry.get("enum") == ["carp"]
            or "becomeMethod" in str(entry)
            or "enum" in entry
        )

    for name, definition in (*defs.items(), ("top", schema())):
        for key, entry in definition.get("properties", {}).items():
            assert described(entry) or (name, key) == ("group", "peer"), (name, key)


def mappings(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all mappings with fixed keys in ``data``."""
    found = []
    if isinstance(data, dict):
        if path not in {("hosts",), ("groups",)} and path[-1:] != ("interfaces",):
            found.append(path)
        for key, value in data.items():
            found += mappings(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            found += mappings(value, (*path, index))
    return found


@pytest.mark.parametrize("path", mappings(example()), ids=lambda path: "/".join(map(str, path)) or "top")
def test_an_unknown_key_is_refused_by_both(path: tuple[Any, ...], tmp_path: Any) -> None:
    data = copy.deepcopy(example())
    place = data
    for key in path:
        place = place[key]
    place["nonsense"] = 1
    assert not valid(data)
    written = tmp_path / "inventory.yml"
    written.write_text(json.dumps(data))
    assert "unknown-key" in {found.rule for found in load(written).errors}


BAD: list[Change] = [
    {"version": ...},
    {"version": 2},
    {"version": "1"},
    {"hosts": ...},
    {"hosts": {}},
    {"hosts": []},
    {"hosts/a": None},
    {"hosts/a/address": ...},
    {"hosts/a/address": 5},
    {"hosts/a/address": ""},
    {"hosts/a b": {"address": "192.0.2.9"}},
    {"hosts/a/port": 0},
    {"hosts/a/port": 65536},
    {"hosts/a/port": "22"},
    {"hosts/a/user": "-x"},
    {"hosts/a/user": ""},
    {"hosts/a/interface": "em0 em1"},
    {"hosts/a/interface": "a" * 16},
    {"hosts/a/os": 14},
    {"hosts/a/arch": "x86_64"},
    {"hosts/a/ssh": "old"},
    {"hosts/a/ssh": {"legacy": 1}},
    {"hosts/a/ssh": {}},
    {"hosts/a/backend": "vrrpd"},
    {"hosts/a/become": "root"},
    {"hosts/a/become": {"password": "x"}},
    {"hosts/a/become": {"method": "su", "password": {"env": "1A"}}},
    {"hosts/a/interfaces": ["em0"]},
    {"hosts/a/interfaces": {"em0": "192.0.2.2"}},
    {"hosts/a/interfaces": {"em0": 1}},
    {"hosts/a/interfaces": {"em 0": None}},
    {"sysctl": []},
    {"sysctl/allow": 2},
    {"sysctl/allow": "1"},
    {"sysctl/log": 8},
    {"sysctl/arpbalance": "yes"},
    {"sysctl/demotion": 240},
    {"kernel/method": "loader"},
    {"kernel/ident": "GENERIC"},
    {"kernel/ident": "a b"},
    {"defaults/address": "192.0.2.1"},
    {"defaults": None},
    {"groups": []},
    {"groups/a b": {"vhid": 7, "password": {"env": "A"}, "addresses": ["192.0.2.77/24"], "members": ["a", "b"]}},
    {"groups/web/vhid": ...},
    {"groups/web/vhid": 0},
    {"groups/web/vhid": 256},
    {"groups/web/vhid": 1.5},
    {"groups/web/vhid": True},
    {"groups/web/vhid": "1"},
    {"groups/web/password": ...},
    {"groups/web/password": ""},
    {"groups/web/password": 1234},
    {"groups/web/password": {}},
    {"groups/web/password": {"env": "A", "file": "b"}},
    {"groups/web/password": {"env": ""}},
    {"groups/web/password": {"env": "$A"}},
    {"groups/web/password": {"file": ""}},
    {"groups/web/password": {"command": None}},
    {"groups/web/addresses": ...},
    {"groups/web/addresses": []},
    {"groups/web/addresses": "192.0.2.1/24"},
    {"groups/web/addresses": ["192.0.2.1"]},
    {"groups/web/addresses": ["foo/24"]},
    {"groups/web/addresses": [1]},
    {"groups/web/members": ...},
    {"groups/web/members": []},
    {"groups/web/members": ["a", 2]},
    {"groups/web/members": ["a", {"advskew": 2}]},
    {"groups/web/members": ["a", {"host": "b", "advskew": 255}]},
    {"groups/web/members": ["a", {"host": "b", "advskew": -1}]},
    {"groups/web/members": ["a", {"host": "b", "peer": "fw1"}]},
    {"groups/web/advbase": 0},
    {"groups/web/advbase": 256},
    {"groups/web/peer": "fw1"},
    {"groups/web/peer": []},
    {"groups/web/peer": ["192.0.2.2", "2001:db8::1", "192.0.2.3"]},
    {"groups/web/peer": {"a": 1}},
    {"groups/web/protocol": "vrrp"},
    {"groups/web/segment": ""},
    {"groups/web/segment": "a/b"},
    {"groups/web/sysctl": {"preempt": 2}},
]


@pytest.mark.parametrize("change", BAD, ids=map(str, BAD))
def test_what_a_schema_can_refuse_both_refuse(change: Change) -> None:
    assert not valid(sound(change))
    assert loaded(change).errors


GOOD: list[Change] = [
    {"groups": ...},
    {"groups": None},
    {"groups": {}},
    {"sysctl": {"allow": True, "preempt": 1, "log": 2, "arpbalance": "auto"}},
    {"kernel": {}},
    {"defaults": {}},
    {"hosts/a/interfaces": {"em0": None, "em1": [], "em2": ["198.51.100.2/24", "2001:db8::1/64"]}},
    {"hosts/a/ssh": {"legacy": False}},
    {"hosts/a/become": {"method": "sudo", "password": {"command": "pass x"}}},
    {"groups/web/peer": "auto"},
    {"groups/web/peer": {"a": ["192.0.2.3"], "b": "192.0.2.2"}},
    {"groups/web/members": ["a", {"host": "b", "advskew": 9, "interface": "em0", "peer": "192.0.2.2"}]},
    {"groups/web/protocol": "carp", "groups/web/segment": "lan 1", "groups/web/advbase": 2},
    {"groups/web/password": "plain"},
]


@pytest.mark.parametrize("change", GOOD, ids=map(str, GOOD))
def test_what_one_accepts_the_other_accepts(change: Change) -> None:
    assert valid(sound(change))
    assert loaded(change).errors == ()
