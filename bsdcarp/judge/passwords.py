"""Comparing a password found on a host with the one wanted."""

from __future__ import annotations

from bsdcarp.model import Secret
from bsdcarp.platforms.capabilities import Capabilities

__all__ = ["same_password"]


def same_password(found: Secret | None, wanted: Secret, can: Capabilities) -> bool:
    """Return whether the kernel's key would be the same: ifconfig(8) drops what follows the 19th character."""
    return found is not None and found.reveal() == wanted.reveal()[: can.max_password]
