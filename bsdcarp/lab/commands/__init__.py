"""The simulated base-system commands, one small module per family, and the table that finds them by name."""

from __future__ import annotations

__all__: list[str] = []
