"""From YAML to ``bsdcarp.model``, with a place for everything that is wrong: load, rules, secrets, JSON Schema."""

from __future__ import annotations

from bsdcarp.inventory.load import Loaded, load, load_text, require
from bsdcarp.inventory.rules import check_passwords

__all__ = ["Loaded", "check_passwords", "load", "load_text", "require"]
