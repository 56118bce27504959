"""``python -m bsdcarp``."""

from __future__ import annotations

from bsdcarp.cli import main

main()
