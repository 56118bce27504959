"""How carp should get into a host's kernel, and why so."""

from __future__ import annotations

from typing import Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.model import Host, Release
from bsdcarp.platforms.capabilities import Capabilities

__all__ = ["Method", "choose_method"]


@dataclass(frozen=True, slots=True)
class Method:
    """``static``, ``module``, or ``none`` where no kernel is concerned; ``why`` is a sentence without its full stop."""

    name: Literal["static", "module", "none"]
    why: str
    variable: str = ""
    """What loads the module in loader.conf."""


def choose_method(host: Host, release: Release, can: Capabilities, *, wanted: bool) -> Method:
    """Choose for ``host``; ``wanted`` says whether any group names it.

    ``auto`` takes the module where the release has one: nothing has to be built, and freebsd-update(8) keeps kernel
    and module together.
    """
    if can.syntax == "linux":
        return Method("none", "on Linux a daemon speaks CARP; the kernel needs nothing")
    if not wanted:
        return Method("none", "no group names this host")
    if not can.module:
        return Method("static", f"{release} has CARP only compiled in; the module came with 8.2")
    variable = f"{can.module}_load"
    if host.kernel.method == "static":
        return Method("static", f"the inventory asks for it; {release} has {can.module}.ko, too")
    asked = "the inventory asks for it" if host.kernel.method == "module" else "nothing has to be built"
    return Method("module", f"{release} has {can.module}.ko ({variable}), and {asked}", variable)
