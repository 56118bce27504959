"""The JSON Schema of an inventory, for editors and for ``bsdcarp schema``.

It is written by hand and says what a schema can say: keys, types, ranges.  The rules say the rest, and a test holds the
schema and the reader against each other.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

__all__ = ["schema", "schema_text"]


def schema_text() -> str:
    """Return the schema as it is shipped, ready to be written to a file."""
    return resources.files("bsdcarp.inventory").joinpath("inventory.schema.json").read_text(encoding="utf-8")


def schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) as data."""
    loaded: dict[str, Any] = json.loads(schema_text())
    return loaded
