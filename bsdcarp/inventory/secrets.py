"""Passwords from where the inventory says they are: the environment, a file, the output of a command.

A password is only ever inside a ``Secret``.  Messages name the variable, the file or the kind of source, never what was
found there, and a command's own words are not shown at all: tools that fetch passwords print them by mistake.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import SecretError
from bsdcarp.inventory.rules.registry import finding
from bsdcarp.model import Finding, Inventory, PasswordSource, Secret
from bsdcarp.plaintext import printable

__all__ = ["COMMAND_SECONDS", "Resolved", "resolve", "resolve_all", "resolve_become"]

COMMAND_SECONDS = 30.0
"""How long a command may take, for instance to wait for a hardware key to be touched."""

_LONGEST = 65536


@dataclass(frozen=True, slots=True)
class Resolved:
    """A password, and what is worth saying about where it came from."""

    secret: Secret
    findings: tuple[Finding, ...] = ()


def resolve(source: PasswordSource, *, base_dir: Path | str = "") -> Secret:
    """Return the password that ``source`` leads to; relative files are below ``base_dir``.

    Raises ``SecretError`` with the source's place, the cause and what to do.
    """
    return _resolve(source, Path(base_dir), seconds=COMMAND_SECONDS).secret


def resolve_all(
    inventory: Inventory, *, seconds: float = COMMAND_SECONDS
) -> tuple[dict[str, Secret], tuple[Finding, ...]]:
    """Return the passwords of all groups by name, and findings about those that are missing or lie open.

    A source that several groups share is asked once, so a command does not prompt twice.
    """
    base_dir = Path(inventory.path).parent
    known: dict[tuple[str, str], Resolved | SecretError] = {}
    secrets: dict[str, Secret] = {}
    findings: list[Finding] = []
    for group in inventory.groups.values():
        source = group.password
        key = (source.kind, source.argument)
        if key not in known:
            try:
                known[key] = _resolve(source, base_dir, seconds=seconds)
            except SecretError as error:
                known[key] = error
        result = known[key]
        if isinstance(result, SecretError):
            message = f"no password for group {group.name}: {result.cause}"
            findings.append(finding("password-unavailable", source.place, message, result.remedy, group=group.name))
            continue
        secrets[group.name] = result.secret
        findings += result.findings
    return secrets, tuple(dict.fromkeys(findings))


def resolve_become(inventory: Inventory, host: str) -> Secret | None:
    """Return the become password of ``host``, or None when the inventory gives none.  Raises ``SecretError``."""
    source = inventory.hosts[host].become.password
    if source is None:
        return None
    try:
        return resolve(source, base_dir=Path(inventory.path).parent)
    except SecretError as error:
        raise SecretError(
            f"no become password for {host}: {error.cause}", place=error.place, remedy=error.remedy
        ) from None


def _resolve(source: PasswordSource, base_dir: Path, *, seconds: float) -> Resolved:
    if source.kind == "plain":
        return Resolved(Secret(source.argument))
    if source.kind == "env":
        return Resolved(_from_environment(source, os.environ))
    if source.kind == "file":
        return _from_file(source, base_dir)
    return Resolved(_from_command(source, base_dir, seconds))


def _from_environment(source: PasswordSource, environment: Mapping[str, str]) -> Secret:
    value = environment.get(source.argument)
    if not value:
        problem = "is not set" if value is None else "is empty"
        remedy = f"export {source.argument}=... before you start bsdcarp"
        raise SecretError(
            f"the environment variable {source.argument} {problem}", place=str(source.place), remedy=remedy
        )
    return Secret(value)


def _from_file(source: PasswordSource, base_dir: Path) -> Resolved:
    path = base_dir / Path(source.argument).expanduser()
    shown = printable(str(path))
    place = str(source.place)
    try:
        # A FIFO without a writer would block for ever; a directory or a device is refused just below.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            status = os.fstat(opened.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SecretError(
                    f"{shown} is not a regular file", place=place, remedy="name the file with the password"
                )
            content = opened.read(_LONGEST)
    except OSError as error:
        reason = error.strerror or "cannot be read"
        remedy = (
            "a relative path is looked up beside the inventory" if not path.is_absolute() else "check path and owner"
        )
        raise SecretError(f"{shown}: {reason}", place=place, remedy=remedy) from None
    value = _first_line(content)
    if not value:
        raise SecretError(f"the first line of {shown} is empty", place=place, remedy="put the password there")
    findings: tuple[Finding, ...] = ()
    if status.st_mode & (stat.S_IRGRP | stat.S_IROTH):
        message = f"{shown} can be read by others"
        findings = (finding("password-file-open", source.place, message, f"chmod 600 {shown}"),)
    return Resolved(Secret(value), findings)


def _from_command(source: PasswordSource, base_dir: Path, seconds: float) -> Secret:
    place = str(source.place)
    # With a terminal the command stays in its foreground, where it may ask for a passphrase or a touch; without one it
    # gets a session of its own, so that all of it can be ended.
    own_session = not _has_terminal()
    process = subprocess.Popen(
        ["/bin/sh", "-c", source.argument],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=base_dir if base_dir.is_dir() else None,
        start_new_session=own_session,
    )
    with process:
        try:
            content, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            _end(process, own_session=own_session)
            cause = f"the password command took longer than {seconds:g} s"
            raise SecretError(cause, place=place, remedy="run it by hand; does it wait for an answer?") from None
    if process.returncode:
        cause = f"the password command left with status {process.returncode}"
        if process.returncode < 0:
            cause = f"the password command was ended by signal {-process.returncode}"
        raise SecretError(cause, place=place, remedy="run it by hand to see why")
    value = _first_line(content)
    if not value:
        raise SecretError("the password command printed nothing", place=place, remedy="run it by hand to see why")
    return Secret(value)


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _end(process: subprocess.Popen[bytes], *, own_session: bool) -> None:
    with contextlib.suppress(ProcessLookupError):
        if own_session:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _first_line(content: bytes) -> str:
    """Return the first line without its end; blanks are part of a password, a rule refuses them later."""
    line = content.split(b"\n", 1)[0]
    return line.removesuffix(b"\r").decode("utf-8", "surrogateescape")
