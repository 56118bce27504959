"""Writes docs/boot-traps.md from the boot traps of the tests.

PYTHONPATH=tests/judge:tests/kernel python tests/kernel/write_traps_page.py
"""

from __future__ import annotations

from pathlib import Path

from traps_page import page

if __name__ == "__main__":
    (Path(__file__).parents[2] / "docs" / "boot-traps.md").write_text(page(), encoding="utf-8")
