"""ucarp's command line, which is all that a running ucarp tells about itself (ucarp(8), options of 1.5.2).

Of a password on it nothing is kept.
"""

from __future__ import annotations

from ipaddress import ip_interface

from bsdcarp.dataclass import dataclass
from bsdcarp.model import IfAddress

__all__ = ["UcarpProcess", "read_ucarp"]

_SHORT = {
    "-i": "interface",
    "-v": "vhid",
    "-a": "addr",
    "-b": "advbase",
    "-k": "advskew",
    "-o": "passfile",
    "-x": "xparam",
    "-P": "preempt",
    **dict.fromkeys(("-p", "-s", "-u", "-d", "-r", "-f"), "other"),
}
_FLAGS = frozenset({"preempt", "neutral", "shutdown", "daemonize", "ignoreifstate", "nomcast"})
_OURS = "/etc/bsdcarp/"


@dataclass(frozen=True, slots=True)
class UcarpProcess:
    """One running ucarp."""

    interface: str
    vhid: int
    address: IfAddress | None
    """With the prefix length that bsdcarp hands over as ``--xparam``, else that of a single address."""
    advbase: int = 1
    advskew: int = 0
    preempt: bool = False
    ours: bool = False
    """Whether bsdcarp's unit started it, which its password file shows."""


def read_ucarp(arguments: list[str]) -> UcarpProcess | None:
    """Return what a command line says, None when it is not one of ucarp."""
    if not arguments or arguments[0].rpartition("/")[2] != "ucarp":
        return None
    said = _options(arguments[1:])
    vhid = _number(said.get("vhid", ""), -1)
    if vhid < 0:
        return None
    return UcarpProcess(
        said.get("interface", ""),
        vhid,
        _address(said.get("addr", ""), said.get("xparam", "")),
        _number(said.get("advbase", ""), 1),
        _number(said.get("advskew", ""), 0),
        "preempt" in said,
        said.get("passfile", "").startswith(_OURS),
    )


def _options(words: list[str]) -> dict[str, str]:
    said: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            name = name[2:]
            said[name] = value if equals or name in _FLAGS else next(rest, "")
        elif word[:2] in _SHORT:
            name = _SHORT[word[:2]]
            said[name] = word[2:] if len(word) > 2 or name in _FLAGS else next(rest, "")
    said.pop("other", None)
    return said


def _number(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdecimal() else default


def _address(text: str, length: str) -> IfAddress | None:
    try:
        return ip_interface(f"{text}/{length}" if length.isdecimal() else text)
    except ValueError:
        return None
