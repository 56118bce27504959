"""FreeBSD's errno texts (intro(2)), which differ from those of the system the lab runs on."""

from __future__ import annotations

import errno

__all__ = ["kernel_error", "strerror"]

_TEXTS = {
    errno.EPERM: "Operation not permitted",
    errno.ENOENT: "No such file or directory",
    errno.ENXIO: "Device not configured",
    errno.EEXIST: "File exists",
    errno.EBUSY: "Device busy",
    errno.EINVAL: "Invalid argument",
    errno.EACCES: "Permission denied",
    errno.ENOTDIR: "Not a directory",
    errno.EISDIR: "Is a directory",
    errno.EPROTONOSUPPORT: "Protocol not supported",
    errno.ENOPROTOOPT: "Protocol not available",
    errno.EOPNOTSUPP: "Operation not supported",
    errno.EADDRNOTAVAIL: "Can't assign requested address",
}


def strerror(code: int) -> str:
    """Return the text a FreeBSD program prints for an errno of this system."""
    return _TEXTS.get(code, f"Unknown error: {code}")


def kernel_error(code: int) -> OSError:
    """Build the error with which a simulated system call fails."""
    return OSError(code, strerror(code))
