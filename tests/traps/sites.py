"""The hosts that traps are set on, each in a lab of its own that all its cases share, and the command line against it.

A site is named after what it runs: ``12.1``, or ``12.1 static`` where more than the release matters.
"""

from __future__ import annotations

import io
import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from typer.main import get_command

from bsdcarp.cli.app import application
from bsdcarp.errors import BsdcarpError
from bsdcarp.inventory import load, require
from bsdcarp.lab.clock import ManualClock
from bsdcarp.lab.tree import Tree
from bsdcarp.lab.up import Lab
from traps.case import LOADER, Edit, append
from traps.seen import differences, early_sysctls, seen

__all__ = ["HOST", "SITES", "Run", "Site", "start"]

HOST = "fw1"
_SECRETS = {"ONE_PASSWORD": "secret1", "TWO_PASSWORD": "secret2"}
_ELECTION = 8.0
"""Seconds until it is settled who is MASTER, also with advbase 2."""
_CHANGED = (
    "etc",
    "boot",
    "root",
    "var/db/bsdcarp",
    "var/lib/bsdcarp",
    "var/cron",
    "usr/lib/sysctl.d",
    "usr/local",
    "usr/bin",
)
"""Where traps are set and apply writes."""


@dataclass(frozen=True)
class Description:
    """An inventory with one host, and what is done to it before anything is applied."""

    inventory: str
    first: tuple[Edit, ...] = ()
    kernel: str = ""
    """A directory that gets a kernel with carp compiled in and no module beside it."""
    zfs: bool = False
    pair: bool = False
    """Both hosts run, so that there is somebody to be heard by."""


def _hosts(system: str, interface: str = "em0", *, v6: bool = True, more: str = "") -> str:
    """Two members; only the first is ever started."""
    lines = ["version: 1", "sysctl: {allow: 1, preempt: 1, log: 1, arpbalance: auto}", "hosts:"]
    for name, number in ((HOST, 2), ("fw2", 3)):
        own = f"192.168.90.{number}/24" + (f", '2001:db8::{number}/64'" if v6 else "")
        lines.append(
            f"  {name}: {{address: 192.168.90.{number}, interface: {interface}, os: {system},"
            f" interfaces: {{{interface}: [{own}]}}{more}}}"
        )
    return "\n".join([*lines, "groups:\n"])


def _group(name: str, vhid: int, addresses: str, *members: str, more: str = "") -> str:
    """The first member is preferred."""
    secret = "ONE_PASSWORD" if vhid == 1 else "TWO_PASSWORD"
    return (
        f"  {name}: {{vhid: {vhid}, password: {{env: {secret}}}, members: [{', '.join(members)}],"
        f" addresses: [{addresses}]{more}}}\n"
    )


def _vhids(release: str, interface: str = "em0", *, more: str = "", group: str = "") -> str:
    """Vhid 1 with addresses of both families, and vhid 7, for which the other host is preferred."""
    return (
        _hosts(f"freebsd-{release}", interface, more=more)
        + _group("lan", 1, "192.168.90.1/32, 192.168.90.4/32, '2001:db8::1/128'", HOST, "fw2", more=group)
        + _group("dns", 7, "192.168.90.7/32", "fw2", HOST, more=group)
    )


def _units(release: str) -> str:
    """Two groups with one address and the roles crossed; the second has one more."""
    return (
        _hosts(f"freebsd-{release}", v6=False, more=", ssh: legacy")
        + _group("one", 1, "192.168.90.1/24", HOST, "fw2")
        + _group("two", 2, "192.168.90.1/24, 192.168.90.5/24", "fw2", HOST)
    )


_DEBIAN = _hosts("debian-12", "eth0", v6=False) + _group("lan", 1, "192.168.90.1/32", HOST, "fw2")

SITES = {
    "7.2": Description(_units("7.2"), kernel="kernel"),
    "9.3": Description(_units("9.3")),
    **{release: Description(_vhids(release)) for release in ("10.4", "11.2", "12.1", "14.2", "15.0")},
    "12.1 pair": Description(_vhids("12.1"), pair=True),
    "12.1 static": Description(
        _vhids("12.1", more=", kernel: {method: static}"),
        (append(LOADER, 'kernel="kernel.CARP"\n'),),
        kernel="kernel.CARP",
    ),
    "12.1 static in /boot/kernel": Description(_vhids("12.1", more=", kernel: {method: static}"), kernel="kernel"),
    "12.1 ZFS": Description(_vhids("12.1"), zfs=True),
    "12.1 VLAN": Description(_vhids("12.1", "em0.5")),
    "12.1 renamed": Description(_vhids("12.1", "lan")),
    "14.2 unicast": Description(_vhids("14.2", group=", peer: auto")),
    "Debian 12": Description(_DEBIAN),
}


@cache
def _command() -> Any:
    """Return the command line; making it takes as long as running a verb."""
    return get_command(application())


@dataclass(frozen=True)
class Run:
    """One run of the command line with ``--json``."""

    status: int
    document: Any
    said: str

    @property
    def findings(self) -> list[dict[str, Any]]:
        return list(self.document["findings"])


@dataclass(frozen=True)
class _File:
    data: bytes = b""
    mode: int = 0
    leads_to: str = ""
    """Of a link."""

    @classmethod
    def read(cls, path: Path) -> _File:
        if path.is_symlink():
            return cls(leads_to=str(path.readlink()))
        return cls(path.read_bytes(), path.stat().st_mode)

    def write(self, path: Path) -> None:
        if self.leads_to:
            path.symlink_to(self.leads_to)
        else:
            path.write_bytes(self.data)
            path.chmod(self.mode)


@dataclass
class Site:
    """A running lab with one host, on which everything is applied."""

    lab: Lab
    path: Path
    files: dict[Path, _File] = field(default_factory=dict)
    """All files as they were when everything was well."""
    well: dict[str, str] = field(default_factory=dict)
    """What it was like then."""
    before: dict[str, str] = field(default_factory=dict)
    """What it was like before the boot that is coming."""

    @property
    def root(self) -> Path:
        return self.lab.root(HOST)

    def run(self, verb: str, *arguments: str, host: str = HOST) -> Run:
        """Run a verb as an operator does, over SSH, in this process."""
        words = [verb, str(self.path), "--ssh-config", str(self.lab.ssh_config), "--json", "--host", host, *arguments]
        out, err = io.StringIO(), io.StringIO()
        environment = {**_SECRETS, "XDG_STATE_HOME": str(self.path.parent / "operator")}
        with patch.dict(os.environ, environment), redirect_stdout(out), redirect_stderr(err):
            try:
                status = _command().main(words, standalone_mode=False) or 0
            except BsdcarpError as error:
                status = error.exit_code
                err.write(str(error))
        said = out.getvalue() + err.getvalue()
        return Run(status, json.loads(out.getvalue() or "{}"), said)

    def reboot(self) -> tuple[str, ...]:
        """Pull the plug, let others take over, boot, wait for the election; return what is not as it was before."""
        self.lab.machine(HOST).power_off()
        self.lab.network.advance(_ELECTION)
        self.lab.machine(HOST).boot()
        self.lab.network.advance(_ELECTION)
        return differences(self.before, self.seen())

    def seen(self) -> dict[str, str]:
        return seen(self.lab.machine(HOST), [each for name, each in self.lab.machines.items() if name != HOST])

    def make(self, *edits: Edit) -> None:
        """Change files, or what runs; what is not as it was after the next boot counts from here."""
        for edit in edits:
            match edit.how:
                case "live":
                    reply = self.lab.machine(HOST).command(shlex.split(edit.text))
                    assert reply.status == 0, reply.stderr
                case "apply":
                    applied = self.run("apply", "--yes", "--no-wait")
                    assert applied.status == 0, applied.said
                case "back":
                    self.restore()
                case _:
                    edit.make(self.root)
        self.lab.network.advance(_ELECTION)
        self.before = self.seen()

    def begin(self) -> None:
        """Make it the host on which everything is well, whatever the last case did to it."""
        self.restore()
        self.before = self.well
        assert self.reboot() == ()

    def restore(self) -> None:
        """Make all files what they were when everything was well."""
        now = _files(self.root)
        for path in now.keys() - self.files.keys():
            path.unlink()
        for path, file in self.files.items():
            if now.get(path) != file:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                file.write(path)


def _files(root: Path) -> dict[Path, _File]:
    paths = (path for name in _CHANGED for path in (root / name).rglob("*"))
    return {path: _File.read(path) for path in paths if path.is_symlink() or path.is_file()}


def _kernels(tree: Tree, name: str) -> None:
    """Have a static kernel boot, with a copy of it and a plain one at hand."""
    for file in tree.path(f"/boot/{name}").glob("*"):
        file.unlink()
    for directory in (name, "kernel.spare"):
        tree.install_kernel("CARP", directory, module=False)
    tree.install_kernel("GENERIC", "kernel.old")


@contextmanager
def start(name: str, directory: Path, keys: Path) -> Iterator[Site]:
    """Start the lab of a site, apply its inventory, and see what a boot makes of it."""
    described = SITES[name]
    path = directory / "inventory.yml"
    path.write_text(described.inventory, encoding="utf-8")
    with (
        Lab.start(
            require(load(path)),
            directory / "lab",
            hosts=None if described.pair else [HOST],
            keys=keys,
            clock=ManualClock(),
        ) as lab,
        early_sysctls(),
    ):
        site = Site(lab, path)
        if described.kernel:
            _kernels(lab.freebsd(HOST).tree, described.kernel)
        if described.zfs:
            lab.freebsd(HOST).disk.filesystem = "zfs"
        site.make(*described.first)
        site.reboot()
        for name in lab.machines:
            assert site.run("apply", "--yes", "--no-wait", host=name).status == 0
        site.files = _files(site.root)
        site.reboot()
        site.well = site.seen()
        assert site.run("persist").findings == []
        yield site
