"""Three system calls that the standard library does not offer, through ctypes.

A module of its own because it is imported late and may fail: where libffi wants memory that is writable and
executable, ctypes cannot be imported under systemd's MemoryDenyWriteExecute.
"""

from __future__ import annotations

import ctypes
import os

__all__ = ["capset", "mlockall", "prctl"]

_LIBC = ctypes.CDLL(None, use_errno=True)
_CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h


def prctl(option: int, argument: int) -> None:
    """Make the call with one argument.  Raise OSError."""
    zero = ctypes.c_ulong(0)
    if _LIBC.prctl(option, ctypes.c_ulong(argument), zero, zero, zero) < 0:
        _fail(f"prctl({option})")


def capset(permitted: int) -> None:
    """Make ``permitted`` (a mask, of capabilities below 32) all that this thread can and does use.  Raise OSError."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # effective, permitted, inheritable: first for capabilities 0 to 31, then for the others
    sets = (ctypes.c_uint32 * 6)(permitted, permitted, 0, 0, 0, 0)
    if _LIBC.capset(header, sets):
        _fail("capset")


def mlockall(flags: int) -> None:
    """Lock memory.  Raise OSError."""
    if _LIBC.mlockall(ctypes.c_int(flags)):
        _fail("mlockall")


def _fail(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")
