"""The tokens of transactions that wait for the operator: kept where only they can read them.

That of an ended transaction opens nothing any more; it still tells that it was made from here.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["keep_claims", "known_claims"]

_KEPT = 20
"""As many as a host keeps transactions."""


def _path() -> Path:
    # XDG Base Directory Specification: what should survive, but is not portable or important enough for XDG_DATA_HOME.
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(base) / "bsdcarp" / "pending.json"


def known_claims() -> dict[str, str]:
    """Return token by transaction name; empty when there are none or the file cannot be read."""
    try:
        found = json.loads(_path().read_text(encoding="utf-8"))
        return {str(name): str(claim) for name, claim in found.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def keep_claims(claims: Mapping[str, str]) -> None:
    """Add tokens; a directory that cannot be written only means that they have to be given by hand."""
    if claims:
        # Names sort by time.
        _write(dict(sorted({**known_claims(), **claims}.items())[-_KEPT:]))


def _write(claims: Mapping[str, str]) -> None:
    path = _path()
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(dict(claims), stream)
        draft.replace(path)
