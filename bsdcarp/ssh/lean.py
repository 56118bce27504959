"""paramiko without ``invoke``, which only its own ssh_config reader uses, and ours is another one.

The package costs a tenth of a second's processor time at every start.  paramiko takes its absence calmly
(paramiko/config.py), so it is made absent for as long as paramiko is imported.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from typing import Any

__all__ = ["import_paramiko"]

_once = threading.Lock()


def import_paramiko() -> None:
    """Import paramiko, unless somebody has."""
    modules: dict[str, Any] = sys.modules
    with _once:
        absent = not {"paramiko", "invoke"} & set(modules)
        if absent:
            modules["invoke"] = None  # what makes an import fail: Python reference, "The module cache"
        try:
            import_module("paramiko")
        finally:
            if absent:
                modules.pop("invoke", None)
