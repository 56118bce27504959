"""Writes docs/lab-fidelity.md from the tables of the fidelity tests."""

from __future__ import annotations

from pathlib import Path

from fidelity_report import page

if __name__ == "__main__":
    (Path(__file__).parents[2] / "docs" / "lab-fidelity.md").write_text(page(), encoding="utf-8")
