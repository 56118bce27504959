"""docs/carpd.md names every key, command, event and variable there is, and its example is a configuration."""

from __future__ import annotations

import argparse
import re
from ipaddress import ip_interface
from pathlib import Path

import pytest

from bsdcarp.carp import Settings, State
from bsdcarp.carpd import app, config, ctl, hooks
from bsdcarp.carpd.observer import Change

TEXT = (Path(__file__).parents[2] / "docs" / "carpd.md").read_text("utf-8")


def section(title: str) -> str:
    return re.split(r"^## ", TEXT.split(f"## {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def commands(parser: argparse.ArgumentParser) -> set[str]:
    return {name for action in parser._actions if isinstance(action.choices, dict) for name in action.choices}


def test_the_example_is_a_configuration() -> None:
    example = "".join(re.findall(r"^    .*\n", section("The configuration file"), re.MULTILINE))
    found = config.parse(example)
    assert found.settings.preempt == 1
    assert found.notify == "/usr/local/sbin/carp-changed"
    assert found.vhids[0].addresses == (ip_interface("192.0.2.1/24"), ip_interface("2001:db8::1/64"))


@pytest.mark.parametrize("key", config._KEYS)
def test_every_key_of_a_vhid_is_in_the_table(key: str) -> None:
    assert re.search(rf"^\|[^|]*`(vhids\[\]\.)?{key}`", section("The configuration file"), re.MULTILINE)


@pytest.mark.parametrize("name", Settings.__dataclass_fields__)
def test_every_setting_is_in_the_table_with_its_default(name: str) -> None:
    row = re.search(rf"^\| `settings\.{name}` \|[^|]*\| (\d+) \|", section("The configuration file"), re.MULTILINE)
    assert row
    assert int(row[1]) == getattr(Settings(), name)


def test_every_command_is_in_a_table() -> None:
    assert commands(app._parser()) == set(re.findall(r"^\| `carpd (\w+)", TEXT, re.MULTILINE))
    parser = argparse.ArgumentParser()
    ctl.add_arguments(parser)
    assert commands(parser) == set(re.findall(r"^\| `(\w+)", section("carpd ctl").split("Only root")[0], re.MULTILINE))


def test_every_variable_of_the_script_is_in_the_table() -> None:
    change = Change("web", 1, "eth0", "1@eth0", State.BACKUP, State.MASTER, "master timed out", ("192.0.2.1/24",), 0.0)
    table = section("The notify script")
    assert set(re.findall(r"`(CARP_\w+|PATH)`", table)) == set(hooks.environment(change))
