"""What each era of each system does: capabilities by release, and the files and live state that follow."""

from __future__ import annotations
