"""Inventories for tests: a sound one as data, and ways to load data or text."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bsdcarp.inventory import Loaded, load_text, require
from bsdcarp.model import Finding, Inventory

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "inventory.example.yml"

_SOUND: dict[str, Any] = {
    "version": 1,
    "sysctl": {"allow": 1, "preempt": 1, "log": 1},
    "hosts": {
        "a": {"address": "192.0.2.2", "interface": "em0", "os": "freebsd-14.2"},
        "b": {"address": "192.0.2.3", "interface": "em0", "os": "freebsd-14.2"},
    },
    "groups": {
        "web": {"vhid": 1, "password": {"env": "WEB"}, "addresses": ["192.0.2.10/24"], "members": ["a", "b"]},
    },
}

Change = Mapping[str, Any]


def sound(change: Change | None = None) -> dict[str, Any]:
    """Return an inventory without findings, with ``change`` put in: keys are paths like ``groups/web/vhid``.

    ``...`` as a value removes the key.
    """
    data = copy.deepcopy(_SOUND)
    for path, value in (change or {}).items():
        *parents, last = path.split("/")
        place = data
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is ...:
            del place[last]
        else:
            place[last] = value
    return data


def loaded(change: Change | None = None) -> Loaded:
    """Load the sound inventory with ``change``; JSON is YAML."""
    return load_text(json.dumps(sound(change), indent=1), "test.yml")


def inventory(change: Change | None = None) -> Inventory:
    """Return the sound inventory with ``change``; it must have no errors."""
    return require(loaded(change))


def rules(change: Change | None = None) -> set[str]:
    """Return the ids of the rules that the sound inventory with ``change`` breaks."""
    return {found.rule for found in loaded(change).findings}


def found(rule: str, change: Change) -> list[Finding]:
    """Return the findings of one rule."""
    return [finding for finding in loaded(change).findings if finding.rule == rule]
