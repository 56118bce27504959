"""paramiko without ``invoke``, which only its own ssh_config reader uses, and ours is another one.

The package costs a tenth of a second's processor time at every start.  paramiko takes its absence calmly
(paramiko/config.py), so it is made absent for as long as paramiko is imported.
"""

from __future__ import annotations

import sys
from typing import Any

__all__: list[str] = []

_modules: dict[str, Any] = sys.modules
_absent = "invoke" not in _modules
if _absent:
    _modules["invoke"] = None  # what makes an import fail: Python reference, "The module cache"
try:
    import paramiko
finally:
    if _absent:
        _modules.pop("invoke", None)
del paramiko
