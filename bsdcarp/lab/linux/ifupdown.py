"""/etc/network/interfaces as ifupdown reads it (interfaces(5)): stanzas, files it names, VLANs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_interface

from bsdcarp.lab.filetree import FileTree
from bsdcarp.lab.linux.kernel import LinuxKernel
from bsdcarp.lab.linux.links import InterfaceIp, Link

__all__ = ["INTERFACES", "Stanza", "bring_up", "read_stanzas"]

INTERFACES = "/etc/network/interfaces"
_TAGGED = re.compile(r"(?P<parent>[^.:]+)\.(?P<tag>[0-9]+)")
_VLAN = re.compile(r"vlan(?P<tag>[0-9]+)")


@dataclass(slots=True)
class Stanza:
    """One ``iface``: a name, inet or inet6, a method, and its options."""

    name: str
    family: str
    method: str
    options: dict[str, str] = field(default_factory=dict)

    def address(self) -> InterfaceIp | None:
        """The static address; None without any.  ValueError when it is no address."""
        text = self.options.get("address", "")
        if self.method != "static" or not text:
            return None
        mask = self.options.get("netmask", "")
        return ip_interface(text if "/" in text or not mask else f"{text}/{mask}")


def read_stanzas(tree: FileTree) -> tuple[list[Stanza], set[str]]:
    """Return the stanzas in order, and the interfaces that come up by themselves."""
    stanzas: list[Stanza] = []
    automatic: set[str] = set()
    for words in _lines(tree, INTERFACES, frozenset()):
        if words[0] in {"auto", "allow-auto", "allow-hotplug"}:
            automatic.update(words[1:])
        elif words[0] == "iface" and len(words) >= 4:
            stanzas.append(Stanza(words[1], words[2], words[3]))
        elif stanzas and len(words) > 1:
            stanzas[-1].options[words[0]] = " ".join(words[1:])
    return stanzas, automatic


def _lines(tree: FileTree, path: str, seen: frozenset[str]) -> Iterator[list[str]]:
    for line in (tree.read(path) or "").replace("\\\n", " ").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] not in {"source", "source-directory"} or len(words) < 2:
            yield words
            continue
        folder, _, pattern = words[1].rpartition("/") if words[0] == "source" else (words[1], "", "*")
        base = tree.path(folder, "/etc/network")
        for found in sorted(base.glob(pattern)) if base.is_dir() else ():
            inside = "/" + str(found.relative_to(tree.root))
            if found.is_file() and inside not in seen:
                yield from _lines(tree, inside, seen | {path, inside})


def bring_up(tree: FileTree, kernel: LinuxKernel) -> list[str]:
    """Do what ``ifup -a`` does; return its complaints."""
    complaints: list[str] = []
    stanzas, automatic = read_stanzas(tree)
    for stanza in stanzas:
        if stanza.name not in automatic:
            continue
        link = kernel.links.get(stanza.name) or _vlan(kernel, stanza)
        if link is None:
            complaints.append(f'Cannot find device "{stanza.name}"')
            complaints.append(f"ifup: failed to bring up {stanza.name}")
            continue
        kernel.set_up(link, up=True)
        try:
            address = stanza.address()
        except ValueError:
            complaints.append(f'Error: any valid prefix is expected rather than "{stanza.options["address"]}".')
            complaints.append(f"ifup: failed to bring up {stanza.name}")
            continue
        if address is not None and address not in link.addresses:
            kernel.add_address(link, address)
        gateway = stanza.options.get("gateway", "")
        if gateway and stanza.family == "inet":
            kernel.gateway = IPv4Address(gateway)
    return complaints


def _vlan(kernel: LinuxKernel, stanza: Stanza) -> Link | None:
    """Make a VLAN interface as the vlan package's scripts do: eth0.20, or vlan20 with a raw device."""
    tagged, plain = _TAGGED.fullmatch(stanza.name), _VLAN.fullmatch(stanza.name)
    parent = kernel.links.get(stanza.options.get("vlan-raw-device", tagged["parent"] if tagged else ""))
    found = tagged or plain
    tag = int(stanza.options.get("vlan-id", found["tag"] if found else 0))
    if parent is None or not 1 <= tag <= 4094:
        return None
    kernel.set_up(parent, up=True)
    return kernel.add_vlan(stanza.name, parent, tag)
