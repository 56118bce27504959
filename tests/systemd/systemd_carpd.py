"""carpd on the hosts of ``systemd_cluster``: put there by hand, looked at from outside and from inside."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from systemd_cluster import Cluster
from systemd_host import SystemdHost

from bsdcarp.platforms.zipapp import carpd_zipapp

__all__ = [
    "CONFIG",
    "CTL",
    "MAC",
    "PROGRAM",
    "UNIT",
    "VHID",
    "config_text",
    "eventually",
    "holders",
    "install",
    "main_pid",
    "property_of",
    "roles",
    "status",
    "vips",
]

UNIT = "bsdcarp-carpd.service"
PROGRAM = "/usr/local/lib/bsdcarp/carpd.pyz"
CONFIG = "/etc/bsdcarp/carpd.json"
CTL = f"python3 -I {PROGRAM} ctl"
VHID = 7
MAC = f"00:00:5e:00:01:{VHID:02x}"
_UNIT_FILE = Path(__file__).parents[2] / "templates" / "linux" / UNIT


def vips(cluster: Cluster) -> tuple[str, str]:
    """The shared addresses of the tests, one of each family."""
    return f"{cluster.network}.100", f"{cluster.network6}100"


def config_text(cluster: Cluster, *, advskew: int, vhids: Iterable[Mapping[str, Any]] = (), preempt: int = 1) -> str:
    """The configuration of a member of one group with both addresses; ``vhids`` are more."""
    first, second = vips(cluster)
    own = vhid_document(VHID, [f"{first}/24", f"{second}/64"], advskew=advskew)
    settings = {"allow": 1, "preempt": preempt, "log": 1, "arpbalance": 0}
    return json.dumps({"version": 1, "settings": settings, "vhids": [own, *vhids]}, indent=2) + "\n"


def vhid_document(vhid: int, addresses: Iterable[str], *, advskew: int) -> dict[str, Any]:
    return {
        "group": f"group{vhid}",
        "vhid": vhid,
        "interface": "eth0",
        "advbase": 1,
        "advskew": advskew,
        "password": "geheim",
        "peer": None,
        "peer6": None,
        "addresses": list(addresses),
    }


def install(host: SystemdHost, config: str) -> None:
    """Put program, configuration and unit where bsdcarp puts them, and start the service for now and for good."""
    host.write(PROGRAM, carpd_zipapp(), 0o755)
    host.write(CONFIG, config, 0o600)
    host.write(f"/etc/systemd/system/{UNIT}", _UNIT_FILE.read_bytes())
    done = host.run(f"systemctl daemon-reload && systemctl enable --now {UNIT}")
    assert done.status == 0, f"{done.err}{host.journal(UNIT)}"


def status(host: SystemdHost) -> dict[str, Any]:
    """What the daemon says of itself; AssertionError if it says nothing."""
    document: dict[str, Any] = json.loads(host.output(f"{CTL} status --json"))
    return document


def roles(cluster: Cluster, vhid: int = VHID) -> dict[str, str]:
    """The state of ``vhid`` on every host; "" where the daemon does not answer."""
    found = {}
    for name, host in cluster.items():
        done = host.run(f"{CTL} status --json") if host.on else None
        document = json.loads(done.out) if done and done.status == 0 else {"vhids": []}
        found[name] = "".join(entry["state"] for entry in document["vhids"] if entry["vhid"] == vhid)
    return found


def holders(cluster: Cluster, address: str | None = None) -> list[str]:
    """Which hosts have the shared (IPv4) address on an interface."""
    wanted = address or vips(cluster)[0]
    return [name for name, host in cluster.items() if host.on and wanted in host.addresses()]


def property_of(host: SystemdHost, name: str, unit: str = UNIT) -> str:
    """A property of the unit, as systemctl show prints it."""
    return host.output(f"systemctl show --value -p {name} {unit}").strip()


def main_pid(host: SystemdHost) -> int:
    return int(property_of(host, "MainPID"))


def eventually(condition: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    """Wait until something becomes true; AssertionError with ``what`` if it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)
