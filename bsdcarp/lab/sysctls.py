"""The sysctl tree of a simulated kernel: a table of leaves, each with a type, a reader and, if writable, a writer."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bsdcarp.lab.errnos import kernel_error

if TYPE_CHECKING:
    from bsdcarp.lab.carp_stack import CarpStack
    from bsdcarp.lab.kernel import Kernel

__all__ = ["CARP", "Oid", "leaves"]

CARP = "net.inet.carp"

_CARP_TEXTS = {
    "vhid": {
        "stats": "CARP statistics (struct carpstats, netinet/ip_carp.h)",
        "ifdown_demotion_factor": "Interface down demotion factor adjustment",
        "senderr_demotion_factor": "Send error demotion factor adjustment",
        "demotion": "Adjust demotion factor (skew of advskew)",
        "log": "CARP log level",
        "preempt": "High-priority backup preemption mode",
        "dscp": "DSCP value for carp packets",
        "allow": "Accept incoming CARP packets",
    },
    "pseudo": {
        "allow": "Accept incoming CARP packets",
        "preempt": "high-priority backup preemption mode",
        "log": "log bad carp packets",
        "stats": "CARP statistics (struct carpstats, netinet/ip_carp.h)",
        "arpbalance": "balance arp responses",
        "suppress_preempt": "Preemption is suppressed",
    },
}
_STATS_SIZE = 128


@dataclass(frozen=True, slots=True)
class Oid:
    """One leaf.  ``read`` returns the text that sysctl prints, ``raw`` the bytes of ``sysctl -b``."""

    name: str
    kind: str  # integer, string, opaque, or the name of a structure
    text: str
    read: Callable[[], str]
    write: Callable[[int], None] | None = None
    raw: Callable[[], bytes] | None = None

    @property
    def opaque(self) -> bool:
        return self.kind == "opaque"


def leaves(kernel: Kernel) -> list[Oid]:
    """Return every leaf the kernel has at this moment, in the order of the tree."""
    return [*_kern(kernel), *_net(kernel), *_hw(kernel)]


def _string(name: str, text: str, value: str) -> Oid:
    return Oid(name, "string", text, lambda: value)


def _integer(name: str, text: str, value: int) -> Oid:
    return Oid(name, "integer", text, lambda: str(value))


def _kern(kernel: Kernel) -> list[Oid]:
    release, image = kernel.release, kernel.image

    def set_securelevel(value: int) -> None:
        if value < kernel.securelevel:
            raise kernel_error(errno.EPERM)
        kernel.securelevel = value

    seconds = int(kernel.boottime)
    boottime = struct.pack("<qq", seconds, int((kernel.boottime - seconds) * 1_000_000))
    return [
        _string("kern.ostype", "Operating system type", "FreeBSD"),
        _string("kern.osrelease", "Operating system release", release.uname_r),
        _string("kern.version", "Kernel version", release.kernel_version(image.ident)),
        Oid("kern.hostname", "string", "Hostname", lambda: kernel.hostname),
        Oid(
            "kern.securelevel",
            "integer",
            "Current secure level",
            lambda: str(kernel.securelevel),
            set_securelevel,
        ),
        Oid("kern.boottime", "struct timeval", "System boottime", kernel.boottime_text, raw=lambda: boottime),
        _integer("kern.osreldate", "Kernel release date", release.osreldate),
        _string("kern.bootfile", "Name of kernel file booted", image.bootfile),
        _string("kern.ident", "Kernel identifier", image.ident),
        _string("kern.conftxt", "Kernel configuration file", image.config),
        _string("kern.module_path", "module load search path", ";".join(kernel.linker.path)),
    ]


def _net(kernel: Kernel) -> list[Oid]:
    def plain(name: str, text: str, default: int) -> Oid:
        def write(value: int) -> None:
            kernel.plain_oids[name] = value

        return Oid(name, "integer", text, lambda: str(kernel.plain_oids.get(name, default)), write)

    oids = [plain("net.inet.ip.forwarding", "Enable IP forwarding between interfaces", 0)]
    if kernel.release.era == "pseudo":
        oids.append(
            plain("net.inet.ip.same_prefix_carp_only", "Refuse to create same prefixes on different interfaces", 0)
        )
    if kernel.carp is not None:
        oids.extend(_carp(kernel, kernel.carp))
    oids.append(plain("net.inet6.ip6.forwarding", "Enable forwarding of IPv6 packets between interfaces", 0))
    oids.append(plain("security.bsd.see_other_uids", "Unprivileged processes may see others", 1))
    return oids


def _carp(kernel: Kernel, stack: CarpStack) -> list[Oid]:
    texts = _CARP_TEXTS[kernel.release.era]

    def leaf(short: str) -> Oid:
        name = f"{CARP}.{short}"
        if short == "stats":
            return Oid(name, "opaque", texts[short], lambda: "", lambda _value: None, lambda: bytes(_STATS_SIZE))

        def write(value: int) -> None:
            stack.write(short, value)

        writer = None if short == "suppress_preempt" else write
        return Oid(name, "integer", texts[short], lambda: str(stack.value(short)), writer)

    return [leaf(short) for short in kernel.release.carp_oids]


def _hw(kernel: Kernel) -> list[Oid]:
    arch = kernel.release.arch
    return [
        _string("hw.machine", "Machine class", arch),
        _integer("hw.ncpu", "Number of active CPUs", 1),
        _string("hw.machine_arch", "System architecture", arch),
    ]
