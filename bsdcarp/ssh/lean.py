"""paramiko without what bsdcarp never uses of it.

``invoke``, which only paramiko's own ssh_config reader uses, costs a tenth of a second's processor time at every start;
paramiko takes its absence calmly (paramiko/config.py).  ``importlib.metadata``, which brings ``email`` and ``zipfile``,
it imports for nothing but its own version (paramiko/__init__.py), which the name of a directory tells as well.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["import_paramiko"]

_METADATA = "importlib.metadata"
_once = threading.Lock()


def import_paramiko() -> None:
    """Import paramiko, unless somebody has."""
    modules: dict[str, Any] = sys.modules
    with _once:
        if "paramiko" in modules:
            return
        # None is what makes an import fail: Python reference, "The module cache".
        stand_ins = {"invoke": None, _METADATA: _version_teller()}
        lent = [name for name in stand_ins if name not in modules]
        modules.update({name: stand_ins[name] for name in lent})
        try:
            import_module("paramiko")
        finally:
            for name in lent:
                if modules.get(name) is stand_ins[name]:
                    modules.pop(name, None)


def _version_teller() -> ModuleType:
    """Return what stands in for ``importlib.metadata``: anything but a version is asked of the real one."""
    module = ModuleType(_METADATA)

    def version(distribution: str) -> str:
        spec = find_spec(distribution)
        beside = Path(spec.origin).parent.parent if spec and spec.origin else Path()
        found = [path.name.split("-")[1] for path in beside.glob(f"{distribution}-*.dist-info")]
        answer: str = found[0].removesuffix(".dist") if len(found) == 1 else real("version")(distribution)
        return answer

    def real(name: str) -> Any:
        sys.modules.pop(_METADATA, None)
        return getattr(import_module(_METADATA), name)

    vars(module).update(version=version, __getattr__=real)
    return module
