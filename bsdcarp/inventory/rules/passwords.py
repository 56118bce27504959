"""Rules about passwords.  No message repeats one, nor any part of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bsdcarp.inventory.rules.registry import REGISTRY, Context, Hit, declare, password_rule, rule
from bsdcarp.model import Finding, Group, Inventory, Secret, Severity
from bsdcarp.platforms.capabilities import LINUX, Capabilities, capabilities

__all__ = ["check_passwords"]

_SECTION = "Passwords"
_SAFE = "letters, digits, underscore and dot"
_REMEDY = f"use up to 19 {_SAFE}; `bsdcarp genpass` makes one"
_HEX_HYPHEN = re.compile(r"[0-9a-fA-F]-")
_OTHERS = re.compile(r"[^A-Za-z0-9_.\-]")

declare(
    _SECTION,
    "password-unavailable",
    Severity.ERROR,
    "The variable, file or command that should give a password does not.",
)
declare(_SECTION, "password-file-open", Severity.WARNING, "Others than the owner can read a password file.")


@rule(_SECTION, "password-plain", Severity.WARNING, "A password stands in the inventory itself.")
def password_plain(context: Context) -> Iterator[Hit]:
    remedy = "write {env: NAME}, {file: PATH} or {command: LINE}"
    for group in context.inventory.groups.values():
        if group.password.kind == "plain":
            message = f"the password of group {group.name} can be read by everyone who has this file"
            yield Hit(message, remedy, group.password.place, group=group.name)
    for host in context.inventory.hosts.values():
        source = host.become.password
        if source is not None and source.kind == "plain":
            message = f"the become password of {host.name} can be read by everyone who has this file"
            yield Hit(message, remedy, source.place, host.name)


def check_passwords(inventory: Inventory, secrets: Mapping[str, Secret]) -> tuple[Finding, ...]:
    """Return what is wrong with the passwords in ``secrets`` (by group name); groups without one are passed over."""
    findings = []
    for group in inventory.groups.values():
        secret = secrets.get(group.name)
        if secret is None:
            continue
        for entry in REGISTRY.values():
            if entry.password_check is not None:
                findings += [entry.finding(hit) for hit in entry.password_check(inventory, group, secret)]
    return tuple(findings)


def _hit(group: Group, problem: str, remedy: str = _REMEDY) -> Hit:
    return Hit(f"the password of group {group.name} {problem}", remedy, group.password.place, group=group.name)


@password_rule(
    _SECTION, "password-empty", Severity.ERROR, "A password is not empty; the kernel would keep an older one."
)
def password_empty(_: Inventory, group: Group, secret: Secret) -> Iterator[Hit]:
    if not secret:
        yield _hit(group, "is empty")


@password_rule(
    _SECTION,
    "password-length",
    Severity.ERROR,
    "ifconfig cuts a password after 19 characters without a word, ucarp refuses it.",
)
def password_length(_: Inventory, group: Group, secret: Secret) -> Iterator[Hit]:
    length = len(secret.reveal().encode("utf-8", "surrogateescape"))
    if length > LINUX.max_password:
        yield _hit(group, f"has {length} bytes, and ifconfig uses only the first {LINUX.max_password}")


@password_rule(
    _SECTION,
    "password-characters",
    Severity.ERROR,
    f"A password is {_SAFE}; others are special to sh, which reads rc.conf.",
)
def password_characters(_: Inventory, group: Group, secret: Secret) -> Iterator[Hit]:
    if _OTHERS.search(secret.reveal()):
        yield _hit(group, f"has characters other than {_SAFE}")


@password_rule(
    _SECTION,
    "password-hyphen",
    Severity.ERROR,
    "rc takes a hyphen in an alias line for an address range and never ends.",
)
def password_hyphen(inventory: Inventory, group: Group, secret: Secret) -> Iterator[Hit]:
    if "-" not in secret.reveal():
        return
    hex_before = _HEX_HYPHEN.search(secret.reveal()) is not None
    caught = []
    for member in group.members:
        host = inventory.hosts.get(member.host)
        if host is not None and host.os is not None and _hangs(capabilities(host.os), hex_before=hex_before):
            caught.append(f"{host.name} ({host.os})")
    if caught:
        yield _hit(group, f"has a hyphen that rc takes for an address range: {', '.join(caught)} can hang at boot")
    else:
        yield _hit(
            group, "has a hyphen, which rc of FreeBSD 9 and later takes for an address range and can hang at boot"
        )


def _hangs(known: Capabilities, *, hex_before: bool) -> bool:
    return known.hyphen_trap == "any" or (known.hyphen_trap == "hex" and hex_before)


@password_rule(
    _SECTION, "password-word", Severity.ERROR, "inet, inet6, link and ether begin a new part of an alias line."
)
def password_word(_: Inventory, group: Group, secret: Secret) -> Iterator[Hit]:
    if secret.reveal() in {"inet", "inet6", "link", "ether"}:
        yield _hit(group, "is a key word of ifconfig, and rc would split the line there")
