"""ifconfig(8): options, lists, creation, and handing the rest to :mod:`ifconfig_set`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bsdcarp.lab.commands.ifconfig_set import Change
from bsdcarp.lab.commands.ifconfig_words import FAMILIES, WordError
from bsdcarp.lab.ifconfig_text import describe
from bsdcarp.lab.interface import Interface
from bsdcarp.lab.kernel import Kernel
from bsdcarp.lab.reply import Call, Reply, failure, text

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine

__all__ = ["ifconfig", "run"]

_OPTIONS = frozenset("aCdDgkLlmnuv")
_GROUPS = {"carp": "carp", "lo": "loop", "vlan": "vlan", "bridge": "bridge"}


def run(machine: Machine, call: Call) -> Reply:
    """Run ifconfig as a user typed it."""
    return ifconfig(machine.kernel, call.args, is_root=call.is_root)


def ifconfig(kernel: Kernel, args: Sequence[str], *, is_root: bool = True) -> Reply:
    """Run ifconfig on a kernel; the boot uses it as well."""
    words = list(args)
    flags: set[str] = set()
    while words and words[0].startswith("-") and words[0] != "-alias":
        option = words.pop(0)[1:]
        if option.startswith(("g", "f")):
            value = option[1:] or (words.pop(0) if words else "")
            if option[0] == "g":
                members = [each.name for each in kernel.interfaces.values() if _in_group(each, value)]
                return text("".join(f"{name}\n" for name in members))
            continue
        known = _OPTIONS if kernel.release.ifconfig.keys else _OPTIONS - {"k"}
        if unknown := set(option) - known:
            return failure(f"ifconfig: illegal option -- {min(unknown)}\nusage: ifconfig [-f type:format] ...")
        flags |= set(option)
    keys = "k" in flags and is_root
    if "C" in flags:
        return text(" ".join(clones(kernel)) + "\n")
    if "l" in flags:
        wanted = words[0] if words else ""
        names = [each.name for each in _chosen(kernel, flags) if wanted != "ether" or each.ether]
        return text(" ".join(names) + "\n")
    if "a" in flags or not words:
        return text("".join(describe(kernel, each, keys=keys) for each in _chosen(kernel, flags)))
    return _one(kernel, words.pop(0), words, keys=keys, is_root=is_root)


def clones(kernel: Kernel) -> tuple[str, ...]:
    """Return the names that can be cloned now; carp only while CARP is in the kernel."""
    return tuple(name for name in kernel.release.clones if name != "carp" or kernel.carp is not None)


def _one(kernel: Kernel, name: str, words: list[str], *, keys: bool, is_root: bool) -> Reply:
    _autoload(kernel, name)
    interface = kernel.interfaces.get(name)
    created = ""
    try:
        if interface is None and words and words[0] in {"create", "plumb"}:
            words.pop(0)
            interface = _create(kernel, name, words, is_root=is_root)
            created = f"{interface.name}\n" if interface.name != name else ""
            if not words:
                return text(created)
        if interface is None:
            return failure(f"ifconfig: interface {name} does not exist")
        if not words:
            return text(describe(kernel, interface, keys=keys))
        if len(words) == 1 and words[0] in FAMILIES:
            return text(_of_family(describe(kernel, interface, keys=keys), words[0]))
        Change(kernel, interface, is_root=is_root).run(words)
    except WordError as error:
        return failure(f"ifconfig: {error}", stdout=created)
    return text(created)


def _of_family(whole: str, family: str) -> str:
    """Keep what ifconfig prints when one family was asked for: flags, options, and that family's addresses."""
    lines = whole.splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith(("\toptions", f"\t{family} ")) or line[0] != "\t")


def _autoload(kernel: Kernel, name: str) -> None:
    """Try the module if_NAME.ko for an interface that is not there, as ifmaybeload() does for root and others."""
    driver = name.rstrip("0123456789")
    module = f"if_{driver}"
    absent = name not in kernel.interfaces and kernel.linker.find_module(driver) is None
    if absent and kernel.linker.locate(module) is not None:
        kernel.load_module(module)


def _create(kernel: Kernel, name: str, words: list[str], *, is_root: bool) -> Interface:
    driver = name.rstrip("0123456789")
    if not is_root:
        raise WordError("SIOCIFCREATE2: Operation not permitted")
    parent, dot, tag = name.rpartition(".")
    if dot and tag.isdigit() and parent in kernel.interfaces:
        return _vlan(kernel, name, parent, int(tag))
    if driver not in {*clones(kernel), "bridge", "lagg", "pflog", "pfsync"}:
        raise WordError("SIOCIFCREATE2: Invalid argument")
    if name == driver:
        number = next(n for n in range(len(kernel.interfaces) + 1) if f"{driver}{n}" not in kernel.interfaces)
        name = f"{driver}{number}"
    if driver == "carp" and kernel.pseudo is not None:
        return kernel.pseudo.create(name)
    if "vlandev" in words and "vlan" in words:
        return _vlan(kernel, name, _take(words, "vlandev"), int(_take(words, "vlan")))
    return kernel.new_interface(name, "bridge" if driver == "bridge" else "loop" if driver == "lo" else "other")


def _take(words: list[str], key: str) -> str:
    at = words.index(key)
    value = words[at + 1] if at + 1 < len(words) else ""
    del words[at : at + 2]
    return value


def _vlan(kernel: Kernel, name: str, parent: str, tag: int) -> Interface:
    if parent not in kernel.interfaces:
        raise WordError("SIOCSETVLAN: Device not configured")
    vlan = kernel.new_interface(name, "vlan")
    try:
        kernel.attach_vlan(vlan, parent, tag)
    except OSError as error:
        raise WordError(f"SIOCSETVLAN: {error.strerror}") from None
    return vlan


def _chosen(kernel: Kernel, flags: set[str]) -> list[Interface]:
    every = list(kernel.interfaces.values())
    if "u" in flags:
        return [each for each in every if each.up]
    return [each for each in every if not each.up] if "d" in flags else every


def _in_group(interface: Interface, group: str) -> bool:
    return group == "all" or interface.kind == _GROUPS.get(group)
