"""Modules of other rooms that these tests share: boot traps and simulated machines."""

from __future__ import annotations

import sys
from pathlib import Path

for room in ("judge", "lab", "kernel"):
    sys.path.insert(0, str(Path(__file__).parents[1] / room))
