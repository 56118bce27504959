"""What sudo, doas, su and login shells say when they do not let a script run, and what to do about it."""

from __future__ import annotations

import re

from bsdcarp.errors import SshError
from bsdcarp.model import BecomeMethod

__all__ = ["refusal"]

# In this order: a message may fit more than one.  {0} is the method.  The wordings are those of sudo 1.8 and 1.9,
# OpenBSD's and Duncaen's doas, FreeBSD's and util-linux' su, and of sh, bash and csh for a missing command.
_KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r"not found|no such file",
        "{0} is not installed on this host, or not in the login's PATH",
        "install it, or set another 'become'",
    ),
    (
        r"must have a tty|no tty present|askpass",
        "sudo insists on a terminal",
        "remove 'requiretty' from sudoers for this user, or give 'become' a password",
    ),
    (
        r"not in the sudoers|not allowed to|may not run|operation not permitted|not in wheel|correct group",
        "{0} does not let this user become root",
        "allow it in sudoers or doas.conf; su on FreeBSD wants membership in group wheel",
    ),
    (
        r"password is required|no password was provided|authentication required|authorization required",
        "{0} asks for a password",
        "give 'become' a password in the inventory, or allow this user without one",
    ),
)


def refusal(method: BecomeMethod, said: str, *, asked: bool) -> SshError:
    """Return the error for ``method`` having said ``said``; ``asked`` if a password was given on request."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", said) if line.strip()]
    last = lines[-1][-300:] if lines else "nothing was said"
    if method == "none":
        said = " / ".join(lines[-2:]) or last
        return SshError(
            f"the login shell did not start /bin/sh: {said[-300:]}", remedy="the login needs a shell that runs commands"
        )
    for pattern, cause, remedy in _KNOWN:
        if re.search(pattern, said, re.IGNORECASE) and not (asked and "asks" in cause):
            return SshError(f"{cause.format(method)}: {last}", remedy=remedy)
    if asked:
        return SshError(
            f"the become password was refused by {method}: {last}", remedy="correct it; whose it is differs by method: "
            "sudo and doas want the login's own, su wants root's"
        )  # fmt: skip
    return SshError(f"{method} did not start root's shell: {last}", remedy="try it by hand on the host")
