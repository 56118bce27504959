"""ip(8): links, addresses, IPv4 routes and rules (recorded with iproute2 6.1.0)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bsdcarp.lab.linux.links import InterfaceIp, Link, address_text, as_json, as_text, read_interface_ip
from bsdcarp.lab.reply import Call, Reply, failure, text

if TYPE_CHECKING:
    from bsdcarp.lab.linux.kernel import LinuxKernel
    from bsdcarp.lab.linux.machine import LinuxMachine

__all__ = ["run"]

_OBJECTS = ("address", "link", "route", "rule", "neighbour", "help")
_NOT_PERMITTED = "RTNETLINK answers: Operation not permitted"


@dataclass(slots=True)
class _Ask:
    kernel: LinuxKernel
    is_root: bool
    words: list[str]
    version: int = 0
    flags: set[str] = field(default_factory=set)
    object: str = ""

    @property
    def json(self) -> bool:
        return "json" in self.flags

    def document(self, value: list[dict[str, Any]]) -> str:
        if "pretty" in self.flags:
            return json.dumps(value, indent=4) + "\n"
        return json.dumps(value, separators=(",", ":")) + "\n"


def run(machine: LinuxMachine, call: Call) -> Reply:
    """Run ip."""
    ask = _Ask(machine.kernel, call.is_root, list(call.args))
    while ask.words and ask.words[0].startswith("-"):
        option = ask.words.pop(0).lstrip("-")
        if option in {"V", "Version"}:
            return text("ip utility, iproute2-6.1.0, libbpf 1.1.2\n")
        known = {"4": "", "6": "", "j": "json", "json": "json", "p": "pretty", "pretty": "pretty", "d": "details",
                 "details": "details", "br": "brief", "brief": "brief", "o": "oneline", "oneline": "oneline",
                 "s": "", "N": "", "c": ""}  # fmt: skip
        if option not in known:
            return failure(f'Option "-{option}" is unknown, try "ip -help".', 255)
        if option in "46":
            ask.version = int(option)
        ask.flags.add(known[option])
    if not ask.words:
        return failure("Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }", 255)
    word = ask.words.pop(0)
    ask.object = next((name for name in _OBJECTS if name.startswith(word)), "")
    if not ask.object or ask.object == "help":
        return failure(f'Object "{word}" is unknown, try "ip help".')
    return _OBJECT[ask.object](ask)


def _verb(ask: _Ask, *known: str) -> str | None:
    if not ask.words or ask.words[0] in {"dev", "up", "type"}:
        return "show"
    word = ask.words.pop(0)
    return next((verb for verb in (*known, "list") if verb.startswith(word)), None)


def _unknown(ask: _Ask, word: str) -> Reply:
    return failure(f'Command "{word}" is unknown, try "ip {ask.object} help".', 255)


def _address(ask: _Ask) -> Reply:
    word = ask.words[0] if ask.words else ""
    verb = _verb(ask, "add", "delete", "show", "flush", "replace")
    if verb in {"show", "list"}:
        return _show(ask, addresses=True)
    if verb in {"add", "replace", "delete", "flush"}:
        return _change_address(ask, verb)
    return _unknown(ask, word)


def _show(ask: _Ask, *, addresses: bool) -> Reply:
    names = [word for word in ask.words if word not in {"dev", "up"}]
    chosen = list(ask.kernel.links.values())
    if names:
        link = _link(ask, names[0])
        if link is None:
            return failure(f'Device "{names[0]}" does not exist.')
        chosen = [link]
    if "up" in ask.words:
        chosen = [link for link in chosen if link.up]
    if ask.json:
        details = "details" in ask.flags
        shown = [as_json(link, addresses=addresses, details=details, version=ask.version) for link in chosen]
        return text(ask.document([each for each in shown if not ask.version or each.get("addr_info", True)]))
    if "brief" in ask.flags:
        return text("".join(_brief(link, addresses=addresses, version=ask.version) for link in chosen))
    if "oneline" in ask.flags and addresses:
        lines = [
            f"{link.index}: {link.name}    {address_text(link, each)}\\       valid_lft forever preferred_lft forever\n"
            for link in chosen
            for each in sorted(link.addresses, key=lambda address: address.version)
            if ask.version in (0, each.version)
        ]
        return text("".join(lines))
    if ask.version and addresses:
        chosen = [link for link in chosen if any(each.version == ask.version for each in link.addresses)]
    details = "details" in ask.flags
    return text("".join(as_text(link, addresses=addresses, version=ask.version, details=details) for link in chosen))


def _brief(link: Link, *, addresses: bool, version: int) -> str:
    if not addresses:
        return f"{link.title:<16} {link.operstate:<14} {link.ether} <{','.join(link.flags())}> \n"
    own = sorted(link.addresses, key=lambda address: address.version)
    shown = "".join(f"{each.with_prefixlen} " for each in own if version in (0, each.version))
    return f"{link.title:<16} {link.operstate:<14} {shown}\n"


def _link(ask: _Ask, name: str) -> Link | None:
    return ask.kernel.links.get(name.split("@", maxsplit=1)[0])


def _change_address(ask: _Ask, verb: str) -> Reply:
    words = ask.words
    device = words[words.index("dev") + 1] if "dev" in words[:-1] else ""
    given = next((word for word in words if word[:1].isdigit() or ":" in word), "")
    link = _link(ask, device)
    address: InterfaceIp | None = None
    if verb != "flush":
        try:
            address = read_interface_ip(given)
        except ValueError:
            return failure(f'Error: any valid prefix is expected rather than "{given or device}".')
        if not device:
            return failure('Not enough information: "dev" argument is required.', 255)
    if link is None:
        return failure(f'Cannot find device "{device}"')
    if not ask.is_root:
        return failure(_NOT_PERMITTED, 2)
    try:
        if address is None:
            link.addresses = [each for each in link.addresses if ask.version not in (0, each.version)]
        elif verb == "delete":
            ask.kernel.remove_address(link, address)
        elif verb == "add" or address not in link.addresses:
            ask.kernel.add_address(link, address, nodad="nodad" in words)
    except FileExistsError:
        version = "ipv4: Address" if address is not None and address.version == 4 else "ipv6: address"
        return failure(f"Error: {version} already assigned.", 2)
    except KeyError:
        version = "ipv4: Address" if address is not None and address.version == 4 else "ipv6: address"
        return failure(f"Error: {version} not found.", 2)
    return text()


def _links(ask: _Ask) -> Reply:
    word = ask.words[0] if ask.words else ""
    verb = _verb(ask, "set", "show", "delete", "add")
    if verb in {"show", "list"}:
        return _show(ask, addresses=False)
    if verb == "set":
        return _set(ask)
    if verb == "delete":
        names = [each for each in ask.words if each != "dev"]
        link = _link(ask, names[0]) if names else None
        if link is None:
            return failure(f'Cannot find device "{names[0] if names else ""}"')
        if not ask.is_root:
            return failure(_NOT_PERMITTED, 2)
        if link.kind not in {"vlan", "macvlan"}:
            return failure("RTNETLINK answers: Operation not supported", 2)
        ask.kernel.remove(link.name)
        return text()
    if verb == "add":
        return failure("RTNETLINK answers: Operation not supported", 2)
    return _unknown(ask, word)


def _set(ask: _Ask) -> Reply:
    names = [each for each in ask.words if each not in {"dev", "up", "down"}]
    link = _link(ask, names[0]) if names else None
    if link is None:
        return failure(f'Cannot find device "{names[0] if names else ""}"')
    if not ask.is_root:
        return failure(_NOT_PERMITTED, 2)
    if "up" in ask.words or "down" in ask.words:
        ask.kernel.set_up(link, up="up" in ask.words)
    return text()


def _routes(ask: _Ask) -> Reply:
    lines: list[str] = []
    documents: list[dict[str, Any]] = []
    gateway = ask.kernel.gateway
    for link in ask.kernel.links.values():
        for each in link.addresses if link.up and link.kind != "loopback" else ():
            if each.version != 4 or each.network.prefixlen == 32:
                continue
            if gateway is not None and gateway in each.network:
                lines.insert(0, f"default via {gateway} dev {link.name} onlink \n")
                documents.insert(0, {"dst": "default", "gateway": str(gateway), "dev": link.name, "flags": ["onlink"]})
            lines.append(f"{each.network} dev {link.name} proto kernel scope link src {each.ip} \n")
            documents.append(
                {"dst": str(each.network), "dev": link.name, "protocol": "kernel", "scope": "link",
                 "prefsrc": str(each.ip), "flags": []}
            )  # fmt: skip
    if ask.version == 6:
        lines, documents = [], []
    return text(ask.document(documents) if ask.json else "".join(lines))


def _rules(_ask: _Ask) -> Reply:
    return text("0:\tfrom all lookup local\n32766:\tfrom all lookup main\n32767:\tfrom all lookup default\n")


def _neighbours(ask: _Ask) -> Reply:
    return text(ask.document([]) if ask.json else "")


_OBJECT: dict[str, Callable[[_Ask], Reply]] = {
    "address": _address,
    "link": _links,
    "route": _routes,
    "rule": _rules,
    "neighbour": _neighbours,
}
