"""The hosts under acceptance: how to reach them, what they looked like before, and how to bring that back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from bsdcarp.fleet.hosts import Fleet, Options
from bsdcarp.inventory import load, require
from bsdcarp.model import Inventory
from bsdcarp.shellwords import quote
from bsdcarp.snapshot import Snapshot

WATCHED = ("/etc/rc.conf", "/etc/sysctl.conf", "/boot/loader.conf")
_HEAD = "R=${BSDCARP_ROOT-}\nPATH=${BSDCARP_PATH:+$BSDCARP_PATH:}/sbin:/bin:/usr/sbin:/usr/bin\nexport PATH\n"


@dataclass(frozen=True)
class Answer:
    """One run of the command line."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.out)
        return loaded

    def __str__(self) -> str:
        return f"exit status {self.status}\n{self.out}\n{self.err}"


@dataclass
class Site:
    """An inventory of real or simulated FreeBSD hosts."""

    path: Path
    ssh_config: Path | None
    scratch: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def inventory(self) -> Inventory:
        return require(load(self.path))

    @property
    def hosts(self) -> list[str]:
        """The hosts that can be changed; Linux members are left out while their daemon is not part of bsdcarp."""
        return [n for n, h in self.inventory.hosts.items() if not (h.os and h.os.family == "linux")]

    def bsdcarp(self, verb: str, *arguments: str, inventory: Path | None = None, reach: bool = True) -> Answer:
        """Run the command line as an operator would."""
        words = [sys.executable, "-m", "bsdcarp", verb, str(inventory or self.path), *arguments]
        if reach:
            words += ["--ssh-config", str(self.ssh_config)] if self.ssh_config else []
            if "--host" not in arguments:
                words += [word for name in self.hosts for word in ("--host", name)]
        done = subprocess.run(
            words,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Answer(done.returncode, done.stdout, done.stderr)

    def fleet(self) -> Fleet:
        return Fleet(self.inventory, Options(ssh_config=self.ssh_config))

    def look(self) -> dict[str, Snapshot]:
        """Read every host; all of them must answer."""
        with self.fleet() as fleet:
            looks = fleet.look(self.hosts)
        for look in looks.values():
            assert look.snapshot is not None, look.error
        return {name: look.snapshot for name, look in looks.items() if look.snapshot}

    def run(self, host: str, script: str) -> str:
        """Run a script on one host by hand, as somebody who knows nothing of bsdcarp would."""
        with self.fleet() as fleet:
            body = f"{_HEAD}by_hand() {{\n{script}\n}}\nby_hand </dev/null 2>&1\n"
            return fleet.run(host, body.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")

    def without(self, *groups: str) -> Path:
        """Write the inventory again with fewer groups."""
        yaml = YAML()
        document = yaml.load(self.path)
        for name in groups:
            del document["groups"][name]
        for group in (document["groups"] or {}).values():
            source = group.get("password")
            if isinstance(source, dict) and "file" in source:
                source["file"] = str((self.path.parent / source["file"]).resolve())
        target = self.scratch / f"without-{'-'.join(groups)[:60]}.yml"
        with target.open("w", encoding="utf-8") as stream:
            yaml.dump(document, stream)
        return target

    def restore(self, before: Mapping[str, Snapshot], *, managed: bool) -> list[str]:
        """Bring the hosts back and return what differs from ``before`` all the same.

        Hosts that were as the inventory says (``managed``) stay so.  From others bsdcarp itself removes what it put
        there; live sysctls, and a module that was not loaded, are put back by hand.
        """
        nothing = self.without(*self.inventory.groups)
        answer = self.bsdcarp("apply", "--yes", inventory=self.path if managed else nothing)
        assert answer.status == 0, answer
        for name, snapshot in before.items():
            lines = [
                f"sysctl net.inet.carp.{leaf}={value}"
                for leaf, value in snapshot.sysctls.items()
                if leaf in ("allow", "preempt", "log", "arpbalance")
            ]
            lines += ["kldstat -q -n carp.ko && kldunload carp"] if snapshot.carp == "absent" else []
            lines += [] if _had_state(snapshot) else ["rm -rf $R/var/db/bsdcarp"]
            self.run(name, "\n".join([*lines, ":"]))
        return [
            f"{name}: {path}"
            for name, after in self.look().items()
            for path in WATCHED
            if after.text(path) != before[name].text(path)
        ] + [
            f"{name}: {interface}"
            for name, after in self.look().items()
            for interface in {*after.interfaces, *before[name].interfaces}
            if _addresses(after, interface) != _addresses(before[name], interface)
        ]


def _had_state(snapshot: Snapshot) -> bool:
    return any(path.startswith("/var/db/bsdcarp") for path in snapshot.files)


def _addresses(snapshot: Snapshot, interface: str) -> tuple[set[str], set[int]]:
    there = snapshot.interfaces.get(interface)
    if there is None:
        return set(), set()
    return {str(a.interface) for a in there.addresses}, {v.vhid for v in there.vhids}


def change_line(path: str, old: str, new: str) -> str:
    """Return sh text that changes one line by hand with nothing but POSIX tools."""
    expression = quote(f"s/{old}/{new}/")
    return f'sed -e {expression} "$R{path}" >"$R{path}.hand" && cat "$R{path}.hand" >"$R{path}" && rm "$R{path}.hand"'
