"""What carpd has changed on this host, on disk before it is done, so that the next start can undo it after a crash.

A JSON file in the run directory: sysctls with their values before, and the presence of each vhid.  /run is empty after
a boot, and so is the kernel's state.  A lock beside it tells a dead carpd from one that is running.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from bsdcarp.carpd.errors import Busy, CarpdError

__all__ = ["Journal", "Recorded", "Setting", "parse"]

_VERSION = 1
# Only what carpd itself writes may be restored, whatever the file says.
_SYSCTL = re.compile(r"net/ipv[46]/conf/(?!\.{1,2}/)[^/\0]{1,15}/[a-z0-9_]+")


@dataclass(frozen=True)
class Setting:
    """A value under /proc/sys: before, and as carpd set it."""

    was: str
    now: str


@dataclass(frozen=True)
class Recorded:
    """A presence that there may be: its device, and the addresses that may be on it."""

    vhid: int
    interface: str
    parent: int
    """Index of the interface, so that one that was made anew is not taken for the old one."""
    device: str
    """The macvlan, or the interface itself without virtual MAC."""
    addresses: tuple[str, ...]
    virtual_mac: bool


def _setting(value: object) -> Setting | None:
    if isinstance(value, dict) and isinstance(value.get("was"), str) and isinstance(value.get("now"), str):
        return Setting(value["was"], value["now"])
    return None


def _recorded(value: object) -> Recorded | None:
    if not isinstance(value, dict):
        return None
    vhid, parent, addresses = value.get("vhid"), value.get("parent"), value.get("addresses")
    names = value.get("interface"), value.get("device")
    if not isinstance(vhid, int) or not isinstance(parent, int) or not isinstance(addresses, list):
        return None
    if not all(isinstance(name, str) for name in names) or not all(_is_address(text) for text in addresses):
        return None
    return Recorded(vhid, str(names[0]), parent, str(names[1]), tuple(addresses), value.get("virtual_mac") is True)


def _is_address(text: object) -> bool:
    if not isinstance(text, str):
        return False
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def parse(text: str) -> tuple[dict[str, Setting], dict[str, Recorded]]:
    """The sysctls and presences of a journal.  Of a damaged one what can be read; it never raises."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}, {}
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        return {}, {}
    raw_settings, raw_presences = document.get("sysctls"), document.get("presences")
    settings: dict[str, Setting] = {}
    for path, value in (raw_settings if isinstance(raw_settings, dict) else {}).items():
        setting = _setting(value)
        if setting and _SYSCTL.fullmatch(path):
            settings[path] = setting
    presences: dict[str, Recorded] = {}
    for label, value in (raw_presences if isinstance(raw_presences, dict) else {}).items():
        recorded = _recorded(value)
        if recorded:
            presences[label] = recorded
    return settings, presences


class Journal:
    """The file; every change of ``settings`` and ``presences`` through the methods is on disk when they return."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = -1
        self.settings: dict[str, Setting] = {}
        self.presences: dict[str, Recorded] = {}

    def acquire(self) -> None:
        """Take the lock for the life of this process, and read what a dead predecessor left.

        Raise Busy if another process has it, and CarpdError if the directory cannot be used.
        """
        lock = self._path.with_name(self._path.name + ".lock")
        try:
            self._lock = os.open(str(lock), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._unlock()
            raise Busy(
                "another carpd is running", place=str(self._path.parent), remedy="stop it first, or use carpd ctl"
            ) from None
        except OSError as error:
            self._unlock()
            raise CarpdError(f"cannot be locked: {error.strerror}", place=str(lock)) from None
        try:
            self.settings, self.presences = parse(self._path.read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            pass
        except OSError as error:
            self._unlock()
            raise CarpdError(f"cannot be read: {error.strerror}", place=str(self._path)) from None

    def close(self) -> None:
        """Give the lock back.  The file goes too if there is nothing left to undo."""
        if self._lock >= 0 and not self.settings and not self.presences:
            with contextlib.suppress(OSError):  # never written, or the directory was cleared: both are fine
                self._path.unlink()
        self._unlock()

    def set(self, path: str, setting: Setting | None) -> None:
        """Record a sysctl, or forget it."""
        if self.settings.get(path) != setting:
            if setting is None:
                del self.settings[path]
            else:
                self.settings[path] = setting
            self._write()

    def note(self, label: str, recorded: Recorded | None) -> None:
        """Record the presence of a vhid, or forget it."""
        if self.presences.get(label) != recorded:
            if recorded is None:
                del self.presences[label]
            else:
                self.presences[label] = recorded
            self._write()

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _write(self) -> None:
        document = {
            "version": _VERSION,
            "sysctls": {path: vars(setting) for path, setting in self.settings.items()},
            "presences": {label: vars(recorded) for label, recorded in self.presences.items()},
        }
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            descriptor = os.open(str(fresh), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(json.dumps(document))
            fresh.replace(self._path)
        except OSError as error:
            raise CarpdError(f"cannot be written: {error.strerror}", place=str(self._path)) from None
