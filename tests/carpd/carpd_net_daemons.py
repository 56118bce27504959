"""carpd, ucarp and keepalived as processes of a host."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from carpd_net import Host, Process, eventually

from bsdcarp.carpd import ctl

__all__ = ["PYTHON", "Carpd", "Keepalived", "Ucarp", "vhid"]

ROOT = Path(__file__).parents[2]
# The daemon is for Python 3.8 and later, these tests are not: another interpreter may run it.
PYTHON = os.environ.get("BSDCARP_TEST_PYTHON", sys.executable)
PASSWORD = "Mekmitasdigoat"


def vhid(number: int, *addresses: str, **others: Any) -> dict[str, Any]:
    """Return one entry of "vhids" in carpd's configuration."""
    entry: dict[str, Any] = {
        "group": f"group{number}",
        "vhid": number,
        "interface": "eth0",
        "advbase": 1,
        "advskew": 0,
        "password": PASSWORD,
        "peer": None,
        "peer6": None,
        "addresses": list(addresses),
    }
    return {**entry, **others}


class Carpd:
    """One carpd.  It is started with the object and again by `start`."""

    def __init__(
        self,
        host: Host,
        *vhids: dict[str, Any],
        notify: str | None = None,
        argv: Sequence[str] = (),
        environ: dict[str, str] | None = None,
        start: bool = True,
        **settings: int,
    ) -> None:
        self.host = host
        self.config = host.directory / "carpd.json"
        self.run_directory = host.segment.run_directory / host.name
        self.socket = str(self.run_directory / "carpd.sock")
        self.vhids, self.settings, self.notify = list(vhids), settings, notify
        self._argv = tuple(argv) or (PYTHON, "-m", "bsdcarp.carpd")
        self._environ = {"PYTHONPATH": str(ROOT), **(environ or {})}
        self.process: Process
        if start:
            self.start()

    def write(self) -> None:
        """Write the configuration file from ``vhids``, ``settings`` and ``notify``."""
        settings = {"allow": 1, "preempt": 0, "log": 1, "arpbalance": 0, **self.settings}
        document = {"version": 1, "settings": settings, "notify": self.notify, "vhids": self.vhids}
        fresh = self.config.with_suffix(".new")
        fresh.write_text(json.dumps(document))
        fresh.chmod(0o600)
        fresh.rename(self.config)

    def start(self, *, wait: bool = True) -> None:
        self.write()
        words = ("run", "-c", str(self.config), "-d", "--run-directory", str(self.run_directory))
        self.process = self.host.start(*self._argv, *words, name="carpd", environ=self._environ)
        if wait:
            eventually(self._answers, what=lambda: f"carpd answers\n{self.process.text()}")

    def _answers(self) -> bool:
        if not self.process.running:
            raise AssertionError(f"carpd ended: {self.process.child.returncode}\n{self.process.text()}")
        try:
            return bool(self.status()["pid"] == self.process.pid)
        except ctl.Refused:
            return False

    def ask(self, command: str, **words: Any) -> dict[str, Any]:
        """Send one request as ``carpd ctl`` does."""
        return ctl.ask(self.socket, {"command": command, **words})

    def ctl(self, *words: str) -> str:
        """Run the real ``carpd ctl``."""
        script = (PYTHON, "-m", "bsdcarp.carpd", "ctl", "--socket", self.socket, *words)
        return self.host.run("env", f"PYTHONPATH={ROOT}", *script)

    def status(self) -> dict[str, Any]:
        return dict(self.ask("status")["status"])

    def findings(self) -> list[dict[str, Any]]:
        return list(self.status()["findings"])

    def of(self, number: int = 1) -> dict[str, Any]:
        """Return the status of one vhid."""
        return next(dict(entry) for entry in self.status()["vhids"] if entry["vhid"] == number)

    def state(self, number: int = 1) -> str:
        return str(self.of(number)["state"])

    def wait(self, state: str, number: int = 1, patience: float = 15.0) -> None:
        """Wait for a state."""
        eventually(
            lambda: self.state(number) == state,
            patience,
            what=lambda: f"{self.host.name} {state} for vhid {number}, is {self.state(number)}",
        )

    def reload(self) -> None:
        """Write the file again, send SIGHUP and wait until the daemon says that it has read it."""
        before = self.process.text().count("reload")
        self.write()
        self.process.send(signal.SIGHUP)
        eventually(lambda: self.process.text().count("reload") > before, 5, what="reload in the log")

    def stop(self) -> None:
        status = self.process.end(signal.SIGTERM)
        assert status == 0, self.process.text()

    def kill(self) -> None:
        self.process.kill()


class Ucarp:
    """Debian's ucarp with one IPv4 address, which its scripts put on ``eth0``."""

    def __init__(
        self,
        host: Host,
        number: int,
        address: str,
        *,
        advskew: int = 0,
        advbase: int = 1,
        password: str = PASSWORD,
        preempt: bool = False,
        shutdown: bool = True,
    ) -> None:
        self.host, self.address = host, address
        up, down = (host.directory / f"vip-{word}" for word in ("up", "down"))
        secret = host.directory / f"password-{number}"
        secret.write_text(password + "\n")
        # Others of this host may be about to run them: never written twice.
        if not down.exists():
            up.write_text('#!/bin/sh\nexec ip address add "$2"/32 dev "$1"\n')
            down.write_text('#!/bin/sh\nexec ip address delete "$2"/32 dev "$1"\n')
            for script in (up, down):
                script.chmod(0o755)
        own = host.addresses[0].split("/")[0]
        self._argv = ["ucarp", "-i", "eth0", "-s", own, "-v", str(number), "-o", str(secret), "-a", address]
        self._argv += ["-b", str(advbase), "-k", str(advskew), "-u", str(up), "-d", str(down), "-f", "none", "-n"]
        self._argv += ["-P"] if preempt else []
        self._argv += ["-z"] if shutdown else []
        self.start()

    def start(self) -> None:
        self.process = self.host.start(*self._argv, name="ucarp")

    @property
    def master(self) -> bool:
        return self.host.holds(self.address)

    def kill(self) -> None:
        self.process.kill()

    def stop(self) -> None:
        self.process.end(signal.SIGTERM)


class Keepalived:
    """keepalived as a VRRPv2 router with one address."""

    def __init__(
        self,
        host: Host,
        number: int,
        address: str,
        *,
        priority: int = 100,
        preempt: bool = True,
        use_vmac: bool = True,
        count: int = 1,
    ) -> None:
        self.host, self.address = host, address
        instances = []
        for each in range(count):
            own = address if count == 1 else f"198.51.{each >> 8}.{each & 255}"
            instances.append(
                f"vrrp_instance v{number + each} {{\n state BACKUP\n interface eth0\n"
                f" virtual_router_id {number + each}\n priority {priority}\n advert_int 1\n"
                + (f" use_vmac vrrp{number + each}\n" if use_vmac else "")
                + ("" if preempt else " nopreempt\n")
                + f" virtual_ipaddress {{\n {own}/32\n }}\n}}\n"
            )
        config = host.directory / "keepalived.conf"
        config.write_text("global_defs {\n vrrp_version 2\n router_id x\n}\n" + "".join(instances))
        run = host.directory
        self._argv = ["keepalived", "-n", "-l", "-D", "-P", "-f", str(config), "-p", str(run / "k.pid")]
        self._argv += ["-r", str(run / "vrrp.pid"), "-i", host.name]
        self.start()

    def start(self) -> None:
        self.process = self.host.start(*self._argv, name="keepalived", environ={"PATH": os.environ["PATH"]})

    @property
    def master(self) -> bool:
        return self.host.holds(self.address)

    def kill(self) -> None:
        """SIGKILL to parent and children, which have process groups of their own."""
        for pid in self.host.pids():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if Path("/proc", str(pid), "comm").read_text().strip() == "keepalived":
                    os.kill(pid, signal.SIGKILL)
        self.process.kill()

    def stop(self) -> None:
        self.process.end(signal.SIGTERM)
