"""Arbitrary text: loading never ends in anything but findings with a place in the file, or one InventoryError."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from inventories import EXAMPLE, sound

from bsdcarp.errors import InventoryError
from bsdcarp.inventory import Loaded, load_text, require
from bsdcarp.inventory.rules import REGISTRY

TEXT = EXAMPLE.read_text(encoding="utf-8")
LINES = TEXT.splitlines(keepends=True)
SLOW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

ODD = st.sampled_from(
    [
        *(
            "\t",
            ":",
            "- ",
            "{",
            "}",
            "[",
            "]",
            "*a",
            "&a ",
            "!x ",
            '"',
            "'",
            "|",
            ">",
            "#",
            "\0",
            "\x85",
            "\u2028",
            "\ufeff",
        ),
        *(
            "---\n",
            "...\n",
            "? ",
            "<<: ",
            "null",
            "~",
            "-1",
            "1e9",
            "0x1",
            "yes",
            "%",
            "@",
            "`",
            "\r",
            "\r\n",
            "\ud800",
            "é",
        ),
    ]
)


def judge(text: str) -> Loaded | None:
    """Load ``text`` and check what must hold for every text."""
    try:
        result = load_text(text, "f")
    except InventoryError as error:
        one_line(error)
        return None
    lines = text.split("\n")
    for found in result.findings:
        assert REGISTRY[found.rule].severity is found.severity
        assert found.message
        assert found.remedy
        assert found.place.file == "f"
        assert 1 <= found.place.line <= len(lines)
        assert 1 <= found.place.column <= len(lines[found.place.line - 1]) + 1
    assert len(set(result.findings)) == len(result.findings)
    assert list(result.findings) == sorted(result.findings, key=lambda found: found.place)
    assert result.inventory is not None or result.errors
    if result.errors:
        with pytest.raises(InventoryError) as caught:
            require(result)
        one_line(caught.value)
    else:
        assert require(result) is result.inventory
    return result


def one_line(error: InventoryError) -> None:
    assert str(error).isprintable()


@SLOW
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    judge(text)


@SLOW
@given(st.lists(st.one_of(ODD, st.sampled_from([" ", "\n", "a", "b", "1", ": ", ", "])), max_size=40).map("".join))
def test_any_heap_of_yaml_signs(text: str) -> None:
    judge(text)


@SLOW
@given(st.data())
def test_the_example_with_characters_changed(data: st.DataObject) -> None:
    text = TEXT
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        gone = data.draw(st.integers(0, 12))
        text = text[:at] + data.draw(ODD) + text[at + gone :]
    judge(text)


@SLOW
@given(st.data())
def test_the_example_with_lines_lost_doubled_and_moved(data: st.DataObject) -> None:
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(lines) - 1))
        kind = data.draw(st.sampled_from(["drop", "double", "move", "indent", "cut"]))
        line = lines[at]
        if kind == "drop" and len(lines) > 1:
            del lines[at]
        elif kind == "double":
            lines.insert(at, line)
        elif kind == "move":
            lines.insert(data.draw(st.integers(0, len(lines) - 1)), lines.pop(at))
        elif kind == "indent":
            lines[at] = "  " + line
        else:
            lines[at] = line[: data.draw(st.integers(0, len(line)))] + "\n"
    judge("".join(lines))


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 300),
        st.floats(allow_nan=False),
        st.sampled_from(
            ["", "a", "b", "auto", "em0", "192.0.2.1", "192.0.2.1/24", "2001:db8::1/64", "fe80::1%1/64", "freebsd-9.3"]
        ),
        st.text(max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["a", "b", "env", "host", "advskew", "peer", "method", "legacy", "em0", "allow", "address"]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)


def paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    here: list[tuple[Any, ...]] = [path] if path else []
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return here + [deeper for key, value in items for deeper in paths(value, (*path, key))]


RICH = sound(
    {
        "defaults": {"user": "root", "port": 22, "become": "none"},
        "kernel": {"method": "auto", "ident": "CARP"},
        "hosts/a/interfaces": {"em0": ["192.0.2.2/24"]},
        "hosts/a/ssh": {"legacy": False},
        "hosts/a/become": {"method": "su", "password": {"env": "X"}},
        "groups/web/peer": {"a": "192.0.2.3", "b": "192.0.2.2"},
        "groups/web/members": ["a", {"host": "b", "advskew": 100}],
        "groups/web/segment": "lan",
    }
)


@settings(SLOW, max_examples=50)
@given(st.sampled_from(paths(RICH)), VALUES)
def test_any_value_in_any_place(path: tuple[Any, ...], value: Any) -> None:
    data = json.loads(json.dumps(RICH))
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert judge(json.dumps(data, indent=1)) is not None
