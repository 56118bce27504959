"""Reads ``defaults:`` and ``hosts:``."""

from __future__ import annotations

from dataclasses import field, replace
from types import MappingProxyType
from typing import Literal, cast

from bsdcarp.dataclass import dataclass
from bsdcarp.inventory.nodes import Mapping, Node, Scalar, Sequence
from bsdcarp.inventory.reader import Path, Reader
from bsdcarp.inventory.settings import read_become, read_kernel, read_release, read_sysctl
from bsdcarp.model import Become, Host, IfAddress, KernelWish, Release, SysctlWish

__all__ = ["ARCHES", "BACKENDS", "Defaults", "OwnAddresses", "read_defaults", "read_host"]

ARCHES = (
    *("amd64", "i386", "arm64", "arm", "powerpc", "riscv"),
    *("sparc64", "ia64", "mips", "pc98", "alpha"),
)
"""Directories below /usr/src/sys that hold kernel configurations, in some release since 5.4."""

BACKENDS = ("carpd", "ucarp")

_SHARED = ("user", "become", "port", "interface", "os", "arch", "ssh", "backend", "virtual_mac", "notify")
_HOST = ("address", *_SHARED, "interfaces", "sysctl", "kernel")
_BELONGS_TO_TOP = {key: f"{key} stands at the top level, beside defaults" for key in ("sysctl", "kernel")}
_BELONGS_TO_GROUP = {
    key: f"{key} belongs to a group" for key in ("vhid", "password", "advbase", "addresses", "members")
}
_ARCH_ALIASES = {"x86_64": "amd64", "x86-64": "amd64", "x64": "amd64", "aarch64": "arm64", "i686": "i386"}

OwnAddresses = dict[str, tuple[IfAddress, ...]]
"""Own addresses by interface; an interface without a known address maps to ()."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a host gets where it says nothing itself."""

    user: str | None = None
    become: Become = field(default_factory=Become)
    port: int | None = None
    interface: str | None = None
    os: Release | None = None
    arch: str = "amd64"
    legacy_ssh: bool = False
    backend: Literal["carpd", "ucarp"] = "carpd"
    virtual_mac: bool = True
    notify: str | None = None


def read_defaults(reader: Reader, node: Node) -> Defaults:
    """Read the mapping below ``defaults:``."""
    path = ("defaults",)
    fields = reader.fields(node, path, _SHARED, elsewhere=_BELONGS_TO_TOP)
    return _read_shared(reader, fields or {}, path, Defaults())


def read_host(
    reader: Reader, key: Scalar, node: Node, defaults: Defaults, kernel: KernelWish
) -> tuple[Host | None, OwnAddresses]:
    """Read one entry of ``hosts:``; None when it has no usable address.

    The inventory's sysctls are not merged in here, because the host's groups come between: ``Host.sysctl`` of the
    result holds only what the host itself says.
    """
    path = ("hosts", key.text)
    fields = reader.fields(node, path, _HOST, required=("address",), elsewhere=_BELONGS_TO_GROUP)
    if fields is None:
        return None, {}
    shared = _read_shared(reader, fields, path, defaults)
    own = _read_interfaces(reader, fields["interfaces"], (*path, "interfaces")) if "interfaces" in fields else {}
    wish = read_sysctl(reader, fields["sysctl"], (*path, "sysctl")) if "sysctl" in fields else SysctlWish()
    kernel = read_kernel(reader, fields["kernel"], (*path, "kernel"), kernel) if "kernel" in fields else kernel
    address = (
        reader.text(fields["address"], (*path, "address"), "an address or a name") if "address" in fields else None
    )
    if address is None:
        return None, own
    host = Host(
        name=key.text,
        address=address,
        interface=shared.interface,
        os=shared.os,
        arch=shared.arch,
        port=shared.port,
        user=shared.user,
        become=shared.become,
        interfaces=MappingProxyType(dict(own)),
        sysctl=wish,
        kernel=kernel,
        legacy_ssh=shared.legacy_ssh,
        backend=shared.backend,
        virtual_mac=shared.virtual_mac,
        notify=shared.notify,
        place=key.place,
    )
    return host, own


def _read_shared(reader: Reader, fields: dict[str, Node], path: Path, base: Defaults) -> Defaults:
    """Read the keys that ``defaults`` and a host have in common, over ``base``."""
    result = base
    for key, node in fields.items():
        where = (*path, key)
        if key == "user" and (user := reader.text(node, where)):
            result = replace(result, user=user)
        elif key == "become" and (become := read_become(reader, node, where)):
            result = replace(result, become=become)
        elif key == "port" and (port := _read_port(reader, node, where)):
            result = replace(result, port=port)
        elif key == "interface" and (interface := reader.text(node, where)):
            result = replace(result, interface=interface)
        elif key == "os" and (release := read_release(reader, node, where)):
            result = replace(result, os=release)
        elif key == "arch" and (arch := _read_arch(reader, node, where)):
            result = replace(result, arch=arch)
        elif key == "ssh" and (legacy := _read_ssh(reader, node, where)) is not None:
            result = replace(result, legacy_ssh=legacy)
        elif key == "backend" and (backend := reader.choice(node, where, BACKENDS)):
            result = replace(result, backend=cast("Literal['carpd', 'ucarp']", backend))
        elif key == "virtual_mac" and (flag := _read_flag(reader, node, where)) is not None:
            result = replace(result, virtual_mac=flag)
        elif key == "notify" and (notify := reader.text(node, where, "the path of a script")):
            result = replace(result, notify=notify)
    return result


def _read_flag(reader: Reader, node: Node, path: Path) -> bool | None:
    if isinstance(node, Scalar) and node.kind == "bool":
        return node.text.lower() == "true"
    reader.wrong(node, path, "true or false")
    return None


def _read_port(reader: Reader, node: Node, path: Path) -> int | None:
    port = reader.integer(node, path)
    if port is not None and not 1 <= port <= 65535:
        reader.report("wrong-value", node.place, f"{port} is not a port", "write a number from 1 to 65535", path=path)
        return None
    return port


def _read_arch(reader: Reader, node: Node, path: Path) -> str | None:
    if isinstance(node, Scalar) and node.text in _ARCH_ALIASES:
        message = f"FreeBSD has no directory sys/{node.text}/conf"
        reader.report("wrong-value", node.place, message, f"write {_ARCH_ALIASES[node.text]}", path=path)
        return None
    return reader.choice(node, path, ARCHES)


def _read_ssh(reader: Reader, node: Node, path: Path) -> bool | None:
    """Read ``legacy``, ``modern`` or ``{legacy: true}``."""
    if not isinstance(node, Mapping):
        chosen = reader.choice(node, path, ("modern", "legacy"))
        return None if chosen is None else chosen == "legacy"
    fields = reader.fields(node, path, ("legacy",), required=("legacy",)) or {}
    flag = fields.get("legacy")
    return None if flag is None else _read_flag(reader, flag, (*path, "legacy"))


def _read_interfaces(reader: Reader, node: Node, path: Path) -> OwnAddresses:
    """Read ``{em0: 192.0.2.2/24, em1: [198.51.100.2/24, "2001:db8::2/64"], em2: null}``."""
    own: OwnAddresses = {}
    for key, value in reader.entries(node, path):
        where = (*path, key.text)
        if isinstance(value, Scalar) and value.kind == "null":
            own[key.text] = ()
            continue
        nodes = value.items if isinstance(value, Sequence) else (value,)
        read = (reader.interface_address(item, where) for item in nodes)
        own[key.text] = tuple(address for address in read if address is not None)
    return own
