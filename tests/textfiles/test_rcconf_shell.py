"""RcConf against real shells: they are the judges of what an rc.conf says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shell_oracle import HOSTILE_VALUE, NAMES, PLAIN_SCRIPT, SCRIPT, SHELLS, SOUP, evaluate, parses

from bsdcarp.errors import TextFileError
from bsdcarp.textfiles import RcConf
from bsdcarp.textfiles.rcconf import quoted

MANY = settings(max_examples=60, deadline=None, derandomize=True)
FEW = settings(MANY, max_examples=30)


@pytest.mark.parametrize("shell", SHELLS)
@given(values=st.lists(HOSTILE_VALUE, min_size=1, max_size=8))
@MANY
def test_a_shell_reads_back_exactly_the_value_that_was_set(shell: str, values: list[str]) -> None:
    texts = [RcConf.parse("b='kept'\na=old # why\nc=\"also $b\"").set("a", value).text for value in values]
    assert evaluate(shell, texts) == [{"a": value, "b": "kept", "c": "also kept", "d": None} for value in values]


@pytest.mark.parametrize("shell", SHELLS)
@given(values=st.lists(HOSTILE_VALUE, min_size=1, max_size=8))
@MANY
def test_a_shell_reads_back_exactly_the_value_that_was_appended(shell: str, values: list[str]) -> None:
    texts = [RcConf.parse("b=1 \\\n").set("a", value).text for value in values]
    assert evaluate(shell, texts) == [{"a": value, "b": "1", "c": None, "d": None} for value in values]


@given(scripts=st.lists(PLAIN_SCRIPT, min_size=1, max_size=5), value=HOSTILE_VALUE, name=st.sampled_from(NAMES))
@FEW
def test_an_edit_leaves_the_other_variables_as_a_shell_sees_them(scripts: list[str], value: str, name: str) -> None:
    confs = [RcConf.parse(script) for script in scripts]
    confs = [conf for conf in confs if not conf.problems and all(used != name for used, _ in conf.references)]
    variants = [(conf.text, conf.set(name, value).text, conf.unset(name).text) for conf in confs]
    found = iter(evaluate("/bin/sh", [text for variant in variants for text in variant]))
    for was, is_set, is_unset in zip(found, found, found, strict=True):
        assert was is not None
        assert is_set == {**was, name: value}
        assert is_unset == {**was, name: None}


@given(scripts=st.lists(SCRIPT | SOUP, min_size=1, max_size=4))
@FEW
def test_what_is_understood_is_what_a_shell_evaluates(scripts: list[str]) -> None:
    for script, variables in zip(scripts, evaluate("/bin/sh", scripts), strict=True):
        conf = RcConf.parse(script)
        assert conf.text == script
        if variables is None or conf.problems:
            continue
        for name, actual in variables.items():
            understood = conf.get(name)
            assert understood is None or understood == actual, script
            if actual is not None and not conf.unseen:
                assert conf.line_of(name), f"{name} comes from nowhere in {script!r}"


@given(scripts=st.lists(SOUP | SCRIPT, min_size=1, max_size=5))
@FEW
def test_what_sh_cannot_parse_is_a_problem(scripts: list[str]) -> None:
    silent = [script for script in scripts if not RcConf.parse(script).problems]
    assert all(parses("/bin/sh", silent))


@given(scripts=st.lists(SCRIPT | SOUP, min_size=1, max_size=4), value=HOSTILE_VALUE, name=st.sampled_from(NAMES))
@FEW
def test_an_edit_that_is_not_refused_holds_in_any_script(scripts: list[str], value: str, name: str) -> None:
    edited = []
    for script in scripts:
        try:
            edited.append(RcConf.parse(script).set(name, value).text)
        except TextFileError:
            continue
    for text, variables in zip(edited, evaluate("/bin/sh", edited), strict=True):
        if variables is not None:
            assert variables[name] == value, text


@given(HOSTILE_VALUE)
def test_what_is_quoted_is_understood(value: str) -> None:
    assert RcConf.parse(f"a={quoted(value)}").get("a") == value
