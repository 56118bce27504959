"""The small parts that stand at several levels of an inventory: sysctls, kernel, become, passwords, releases."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Literal, cast

from bsdcarp.inventory.nodes import Mapping, Node, Scalar
from bsdcarp.inventory.reader import Path, Reader, in_words
from bsdcarp.model import (
    Become,
    BecomeMethod,
    KernelMethod,
    KernelWish,
    PasswordSource,
    Place,
    Release,
    SysctlWish,
)
from bsdcarp.platforms.capabilities import parse_release

__all__ = [
    "BECOME_METHODS",
    "KERNEL_METHODS",
    "SYSCTLS",
    "read_become",
    "read_kernel",
    "read_password",
    "read_release",
    "read_sysctl",
]

SYSCTLS = {"allow": 1, "preempt": 1, "log": 7, "arpbalance": 1}
"""The sysctls an inventory may set, with the highest value of each; log knows levels, 2 and above are the same."""

BECOME_METHODS = ("none", "sudo", "doas", "su")
KERNEL_METHODS = ("auto", "static", "module")
PASSWORD_KINDS = ("env", "file", "command")

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFUSED = {
    "demotion": "each write adds to it, and sysctl.conf is applied twice at boot; use the maintenance command",
    "suppress_preempt": "it is a read-only counter; drop it",
    "ifdown_demotion_factor": "a change while an interface is down is never undone; set it by hand if you must",
    "senderr_demotion_factor": "a change while sending fails is never undone; set it by hand if you must",
    "stats": "writing it only clears the statistics; drop it",
    "dscp": "it is not managed; put it in sysctl.conf by hand, bsdcarp leaves it alone",
}


def read_sysctl(reader: Reader, node: Node, path: Path) -> SysctlWish:
    """Read ``{allow: 1, preempt: 1, log: 1, arpbalance: auto}``; true and false stand for 1 and 0."""
    if isinstance(node, Mapping):
        refused = [(key, value) for key, value in node.entries if _leaf(key) in _REFUSED]
        for key, _ in refused:
            message = f"net.inet.carp.{_leaf(key)} is not for an inventory"
            reader.report("sysctl-refused", key.place, message, _REFUSED[_leaf(key)], path=path)
        node = Mapping(tuple(entry for entry in node.entries if entry not in refused), node.place)
    elsewhere = {f"net.inet.carp.{leaf}": f"write {leaf}" for leaf in SYSCTLS}
    values: dict[str, int] = {}
    auto: Literal["auto"] | None = None
    places: dict[str, Place] = {}
    for leaf, value in (reader.fields(node, path, SYSCTLS, elsewhere=elsewhere) or {}).items():
        if leaf == "arpbalance" and isinstance(value, Scalar) and value.text == "auto":
            auto = "auto"
            places[leaf] = value.place
        elif (number := _sysctl_value(reader, value, (*path, leaf), SYSCTLS[leaf])) is not None:
            values[leaf] = number
            places[leaf] = value.place
    return SysctlWish(
        allow=values.get("allow"),
        preempt=values.get("preempt"),
        log=values.get("log"),
        arpbalance=auto or values.get("arpbalance"),
        places=MappingProxyType(places),
    )


def _leaf(key: Scalar) -> str:
    return key.text.removeprefix("net.inet.carp.")


def _sysctl_value(reader: Reader, node: Node, path: Path, highest: int) -> int | None:
    if isinstance(node, Scalar) and node.kind == "bool":
        return int(node.text.lower() == "true")
    if isinstance(node, Scalar) and node.kind == "text":
        remedy = (
            "write 1 or 0" + (" or auto" if path[-1] == "arpbalance" else "") + "; yes and on are texts in YAML 1.2"
        )
        reader.wrong(node, path, "a whole number", remedy)
        return None
    number = reader.integer(node, path)
    if number is not None and not 0 <= number <= highest:
        message = f"net.inet.carp.{path[-1]} cannot be {number}"
        reader.report("wrong-value", node.place, message, f"write a number from 0 to {highest}", path=path)
        return None
    return number


def read_kernel(reader: Reader, node: Node, path: Path, base: KernelWish) -> KernelWish:
    """Read ``{method: auto, ident: CARP}``; what is left out comes from ``base``."""
    fields = reader.fields(node, path, ("method", "ident")) or {}
    method = reader.choice(fields["method"], (*path, "method"), KERNEL_METHODS) if "method" in fields else None
    ident = reader.text(fields["ident"], (*path, "ident")) if "ident" in fields else None
    return KernelWish(cast("KernelMethod", method or base.method), ident or base.ident, node.place)


def read_become(reader: Reader, node: Node, path: Path) -> Become | None:
    """Read ``sudo``, or ``{method: sudo, password: SOURCE}``."""
    if isinstance(node, Scalar):
        method = reader.choice(node, path, BECOME_METHODS)
        return Become(cast("BecomeMethod", method)) if method else None
    fields = reader.fields(node, path, ("method", "password"), required=("method",))
    if fields is None or "method" not in fields:
        return None
    method = reader.choice(fields["method"], (*path, "method"), BECOME_METHODS)
    password = read_password(reader, fields["password"], (*path, "password")) if "password" in fields else None
    return Become(cast("BecomeMethod", method), password) if method else None


def read_password(reader: Reader, node: Node, path: Path) -> PasswordSource | None:
    """Read ``{env: NAME}``, ``{file: PATH}``, ``{command: LINE}`` or a plain text.  No message repeats a value."""
    if isinstance(node, Scalar):
        text = reader.text(node, path, "a mapping with env, file or command")
        return PasswordSource("plain", text, node.place) if text else None
    fields = reader.fields(node, path, PASSWORD_KINDS, secret=True)
    if fields is None:
        return None
    if len(fields) != 1:
        message = f"a password needs one of {', '.join(PASSWORD_KINDS)}" + (", not several" if fields else "")
        reader.report("wrong-value" if fields else "missing-key", node.place, message, "write {env: NAME}", path=path)
        return None
    (kind, value), *_ = fields.items()
    argument = reader.text(value, (*path, kind))
    if argument is None:
        return None
    if kind == "env" and not _ENV_NAME.fullmatch(argument):
        remedy = "write the name alone, without $ and =, as in {env: CARP1_PASSWORD}"
        reader.report("wrong-value", value.place, "this is not the name of an environment variable", remedy, path=path)
        return None
    if "\0" in argument:
        reader.report("wrong-value", value.place, "a NUL character cannot be here", "remove it", path=path)
        return None
    return PasswordSource(cast("Literal['env', 'file', 'command']", kind), argument, value.place)


def read_release(reader: Reader, node: Node, path: Path) -> Release | None:
    """Read ``freebsd-14.2`` or ``debian-12``."""
    remedy = "write it as freebsd-14.2, debian-12 or linux"
    text = reader.text(node, path, "a release such as freebsd-14.2")
    if text is None:
        return None
    try:
        return parse_release(text)
    except ValueError as error:
        reader.report("os-unknown", node.place, f"{in_words(path)}: {error}", remedy, path=path)
        return None
