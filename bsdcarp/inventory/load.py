"""From a path to an ``Inventory`` and all that is wrong with it: the first of bsdcarp's arrows."""

from __future__ import annotations

import os
from collections.abc import Iterable
from collections.abc import Mapping as ReadMapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import InventoryError
from bsdcarp.inventory.groups import read_group
from bsdcarp.inventory.hosts import Defaults, OwnAddresses, read_defaults, read_host
from bsdcarp.inventory.nodes import Node, Scalar, parse
from bsdcarp.inventory.reader import Reader
from bsdcarp.inventory.rules import apply_rules
from bsdcarp.inventory.rules.registry import Context
from bsdcarp.inventory.settings import read_kernel, read_sysctl
from bsdcarp.model import Finding, Group, Host, Inventory, KernelWish, Severity, SysctlWish

__all__ = ["Loaded", "load", "load_text", "require"]

_TOP = ("version", "defaults", "sysctl", "kernel", "hosts", "groups")
_DEFAULT_LIKE = {key: f"{key} belongs below defaults" for key in ("user", "become", "port", "interface", "os", "arch")}


@dataclass(frozen=True, slots=True)
class Loaded:
    """An inventory with everything there is to say about it.

    ``inventory`` is None when some part could not be read.  When it is there, ``require`` still refuses it if a rule
    found an error.  ``findings`` are in the order of the file.
    """

    inventory: Inventory | None
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop."""
        return tuple(found for found in self.findings if found.severity is Severity.ERROR)


def load(path: Path | str) -> Loaded:
    """Read an inventory file.  Raises ``InventoryError`` when there is no text to judge, never for what it says."""
    name = os.fspath(path)
    try:
        raw = Path(name).read_bytes()
    except FileNotFoundError:
        raise InventoryError("no such file", place=name, remedy="start from inventory.example.yml") from None
    except IsADirectoryError:
        raise InventoryError("a directory, not a file", place=name, remedy="name the inventory in it") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or "not a usable file name"
        raise InventoryError(f"cannot be read: {reason}", place=name) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        remedy = "save it as UTF-8"
        raise InventoryError(
            f"not UTF-8 text, byte 0x{raw[error.start]:02x} in line {line}", place=name, remedy=remedy
        ) from None
    return load_text(text, name)


def load_text(text: str, name: str = "inventory.yml") -> Loaded:
    """Read an inventory from ``text``; ``name`` is what findings call the file.  Raises ``InventoryError`` if empty."""
    tree, problems = parse(text, name)
    if not problems and (tree is None or (isinstance(tree, Scalar) and tree.kind == "null")):
        raise InventoryError("the file is empty", place=name, remedy="start from inventory.example.yml")
    if tree is None:
        return Loaded(None, tuple(problems))
    reader = Reader()
    reader.findings.extend(problems)
    reader.complete = not problems
    inventory, own, declared = _read(reader, tree, name)
    context = Context(inventory, reader.places, own, declared, reader.complete)
    findings = sorted(
        [*reader.findings, *apply_rules(context)], key=lambda found: (found.place, found.rule, found.message)
    )
    return Loaded(inventory if reader.complete else None, tuple(dict.fromkeys(findings)))


def require(loaded: Loaded) -> Inventory:
    """Return the inventory, or raise ``InventoryError`` when a finding is an error."""
    errors = loaded.errors
    if loaded.inventory is not None and not errors:
        return loaded.inventory
    first = errors[0]
    more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    raise InventoryError(f"{first.message}{more}", place=str(first.place), remedy=first.remedy)


def _read(reader: Reader, tree: Node, name: str) -> tuple[Inventory, dict[str, OwnAddresses], frozenset[str]]:
    fields = reader.fields(tree, (), _TOP, required=("version", "hosts"), elsewhere=_DEFAULT_LIKE) or {}
    if "version" in fields:
        _check_version(reader, fields["version"])
    defaults = read_defaults(reader, fields["defaults"]) if "defaults" in fields else Defaults()
    sysctl = read_sysctl(reader, fields["sysctl"], ("sysctl",)) if "sysctl" in fields else SysctlWish()
    kernel = read_kernel(reader, fields["kernel"], ("kernel",), KernelWish()) if "kernel" in fields else KernelWish()
    hosts: dict[str, Host] = {}
    own: dict[str, OwnAddresses] = {}
    declared = reader.entries(fields["hosts"], ("hosts",)) if "hosts" in fields else []
    if "hosts" in fields and not declared and reader.complete:
        reader.report("missing-key", fields["hosts"].place, "hosts is empty", "add a host: NAME: {address: 192.0.2.2}")
    for key, node in declared:
        host, own[key.text] = read_host(reader, key, node, defaults, kernel)
        if host is not None:
            hosts[key.text] = host
    groups: dict[str, Group] = {}
    for key, node in _group_entries(reader, fields):
        group = read_group(reader, key, node, hosts, own)
        if group is not None:
            groups[key.text] = group
    groups_of: dict[str, dict[str, Group]] = {name: {} for name in hosts}
    for group in groups.values():
        for member in group.members:
            groups_of.get(member.host, {})[group.name] = group
    merged = {
        name: replace(host, sysctl=_merge_sysctl(reader, host, groups_of[name].values(), sysctl))
        for name, host in hosts.items()
    }
    inventory = Inventory(name, MappingProxyType(merged), MappingProxyType(groups))
    return inventory, own, frozenset(key.text for key, _ in declared)


def _group_entries(reader: Reader, fields: ReadMapping[str, Node]) -> list[tuple[Scalar, Node]]:
    """Return the entries of ``groups:``; there may be none, for instance after the last one was removed."""
    node = fields.get("groups")
    if node is None or (isinstance(node, Scalar) and node.kind == "null"):
        return []
    return reader.entries(node, ("groups",))


def _check_version(reader: Reader, node: Node) -> None:
    version = reader.integer(node, ("version",))
    if version is not None and version != 1:
        reader.report("version-unknown", node.place, f"version {version} is not known", "write version: 1")


def _merge_sysctl(reader: Reader, host: Host, groups: Iterable[Group], base: SysctlWish) -> SysctlWish:
    """Return the sysctls of ``host``: its own, over what its ``groups`` say, over the inventory's."""
    merged = SysctlWish()
    for group in groups:
        for leaf, place in group.sysctl.places.items():
            earlier, now = getattr(merged, leaf), getattr(group.sysctl, leaf)
            if getattr(host.sysctl, leaf) is None and earlier is not None and earlier != now:
                message = f"group {group.name} wants net.inet.carp.{leaf}={now} on {host.name}, another group {earlier}"
                remedy = f"a host has one value: give host {host.name} its own sysctl: {{{leaf}: {now}}}"
                reader.report("sysctl-conflict", place, message, remedy, path=("groups", group.name))
        merged = merged.over(group.sysctl)
    return host.sysctl.over(merged).over(base)
