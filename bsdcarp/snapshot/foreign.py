"""Other programs on a Linux host that speak for a vhid: ucarp's processes, Debian's ifupdown lines, keepalived.

VRRP counts too: both protocols use the MAC 00:00:5e:00:01:NUMBER for IPv4, so a virtual_router_id and a vhid of one
number on one segment collide.  No password of these programs is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from bsdcarp.snapshot.linuxfacts import Foreign
from bsdcarp.snapshot.ucarp import read_ucarp

__all__ = ["find_foreign"]

_KEEPALIVED = "/etc/keepalived/keepalived.conf"
_INSTANCE = re.compile(
    r"^[ \t]*vrrp_instance\b(?P<body>.*?)(?=^[ \t]*(?:vrrp_instance|virtual_server)\b|\Z)", re.MULTILINE | re.DOTALL
)
_INTERFACE = re.compile(r"^[ \t]*interface[ \t]+(\S+)", re.MULTILINE)
_ROUTER = re.compile(r"^[ \t]*virtual_router_id[ \t]+(\d+)", re.MULTILINE)


def find_foreign(processes: Iterable[str], files: Mapping[str, str]) -> tuple[Foreign, ...]:
    """Return who else carries which vhid.

    ``processes`` are command lines, one argument a line; ucarp started by bsdcarp itself is left out.
    """
    arguments = [process.splitlines() for process in processes]
    ucarps = [process for words in arguments if (process := read_ucarp(words)) and not process.ours]
    found = [Foreign("ucarp", process.interface, process.vhid) for process in ucarps]
    running = any(words[:1] and words[0].rpartition("/")[2] == "keepalived" for words in arguments)
    found += _keepalived(files.get(_KEEPALIVED, ""), running=running)
    found += [
        entry
        for path, text in files.items()
        if path.startswith("/etc/network/interfaces")
        for entry in _ifupdown(text)
        if not any((e.interface, e.vhid) == (entry.interface, entry.vhid) for e in found)
    ]
    return tuple(dict.fromkeys(found))


def _keepalived(text: str, *, running: bool) -> Iterator[Foreign]:
    bare = re.sub(r"[!#].*", "", text)
    for instance in _INSTANCE.finditer(bare):
        interface, router = _INTERFACE.search(instance["body"]), _ROUTER.search(instance["body"])
        if interface and router:
            yield Foreign("keepalived", interface[1], int(router[1]), running)


def _ifupdown(text: str) -> Iterator[Foreign]:
    """Debian's ucarp package starts from ``ucarp-vid`` in the parent's stanza (if-up.d/ucarp)."""
    interface = ""
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["iface"] and len(words) > 1:
            interface = words[1]
        elif words[:1] == ["ucarp-vid"] and len(words) > 1 and words[1].isdecimal():
            yield Foreign("ucarp", interface, int(words[1]), running=False)
