"""Debian hosts with systemd as process 1 on a bridge of their own, and a client beside them that pings.

with Cluster.start(["web1", "web2"], directory) as cluster:
    host = cluster["web1"]
    host.run("systemctl is-active ssh")          # over SSH
    host.run("systemctl reboot"); host.await_boot(2)
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from realhosts.wires import Wires, in_namespace, lay_wires
from systemd_base import BaseError, base, missing_programs
from systemd_host import SystemdHost

from bsdcarp.lab.keys import HostKeys, client_keys, host_keys
from bsdcarp.lab.sshfiles import Reached, write_ssh_files

__all__ = ["Cluster", "Pings", "why_not"]

_INTERFACES = """\
auto eth0
iface eth0 inet static
    address {address}/24
    gateway {gateway}
iface eth0 inet6 static
    address {address6}/64
    dad-attempts 0
"""


@cache
def why_not() -> str | None:
    """Why such hosts cannot be had here; None if they can.  Makes the Debian system they boot, if it is not there."""
    if not sys.platform.startswith("linux"):
        return "needs Linux: systemd-nspawn"
    if os.geteuid() != 0:
        return "needs root: systemd-nspawn, namespaces and mounts"
    if lacking := missing_programs():
        return f"not installed: {', '.join(lacking)}"
    probe = "mount -t tmpfs tmpfs /mnt && mkdir /mnt/u /mnt/w /mnt/l /mnt/r && mount -t cgroup2 cgroup2 /mnt/l && "
    probe += "mount -t overlay o -o lowerdir=/usr,upperdir=/mnt/u,workdir=/mnt/w /mnt/r"
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c", probe],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return f"no namespaces, cgroup2 or overlay to be had: {done.stderr.strip()}"
    try:
        lay_wires(1).close()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no network namespaces to be had: {error}"
    try:
        base()
    except BaseError as error:
        return f"no Debian system to boot: {error}"
    return None


class Pings:
    """A client's pings to one address, from a third host on the bridge; ``lost`` once they have ended."""

    def __init__(self, argv: Sequence[str], namespace: int) -> None:
        self._process = subprocess.Popen(
            in_namespace(namespace, argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=(namespace,),
        )
        self.sent = self.received = 0

    def stop(self) -> Self:
        """End them, and count."""
        self._process.send_signal(2)  # ping writes its summary at SIGINT
        said, _ = self._process.communicate(timeout=10)
        found = re.search(r"(\d+) packets transmitted, (\d+) received", said)
        if found is None:
            raise AssertionError(f"ping said: {said}")
        self.sent, self.received = int(found[1]), int(found[2])
        return self

    @property
    def lost(self) -> int:
        return self.sent - self.received


class Cluster(Mapping[str, SystemdHost]):
    """Hosts by name on one bridge, a client beside them; leave the ``with`` block or call ``close`` to end them."""

    def __init__(self, directory: Path, wires: Wires, hosts: Mapping[str, SystemdHost]) -> None:
        self.directory = directory
        self.ssh_config = directory / "ssh_config"
        self.known_hosts = directory / "known_hosts"
        self.identity = directory / "id_ed25519"
        self.network = wires.addresses[0].rpartition(".")[0]  # "198.18.N": hosts are .21 and up, the client is .10
        self.network6 = f"fd18:{int(self.network.rpartition('.')[2]) + 1:x}::"
        self._wires = wires
        self._hosts = dict(hosts)
        self._closed = False

    @classmethod
    def start(cls, names: Sequence[str], directory: Path, *, seeds: Mapping[str, str] | None = None) -> Cluster:
        """Boot a host for each name and return when all have booted.

        ``seeds`` are files (path to text) that every host has from the beginning.
        """
        system = base()
        directory = directory.resolve()
        directory.mkdir(parents=True, exist_ok=True)
        clients = client_keys(directory)
        proofs = host_keys(directory / "keys", names)
        wires = lay_wires(1)
        cluster = cls(directory, wires, {})
        try:
            for number, name in enumerate(names):
                address, address6 = f"{cluster.network}.{21 + number}", f"{cluster.network6}{21 + number}"
                host = SystemdHost(name, directory / name, address, address6, cluster.ssh_config)
                _seed(host, proofs[name], clients[0].public, f"{cluster.network}.1", seeds or {})
                cluster._hosts[name] = host
            reached = [
                Reached(h.name, h.address, h.address, 22, proofs[h.name].of(["ed25519"])) for h in cluster.values()
            ]
            write_ssh_files(directory, reached)
            cluster.in_client(["ip", "addr", "add", f"{cluster.network6}10/64", "dev", "net0", "nodad"])
            for number, host in enumerate(cluster.values()):
                host.start(wires, number, system)
            cluster.each(SystemdHost.boot)
        except BaseException:
            cluster.close()
            raise
        return cluster

    def each(self, what: Callable[[SystemdHost], object], names: Iterable[str] | None = None) -> None:
        """Do something to several hosts (default: all) at the same time."""
        hosts = [self[name] for name in (self if names is None else names)]
        with ThreadPoolExecutor(max_workers=max(len(hosts), 1)) as pool:
            for done in [pool.submit(what, host) for host in hosts]:
                done.result()

    @property
    def client(self) -> int:
        """A descriptor of the client's network namespace."""
        return self._wires.namespaces[0]

    def in_client(self, argv: Sequence[str], *, check: bool = True) -> str:
        """Run a command in the network of the client."""
        namespace = self.client
        done = subprocess.run(
            in_namespace(namespace, argv),
            capture_output=True,
            text=True,
            check=False,
            pass_fds=(namespace,),
            timeout=60,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{shlex.join(argv)}: {done.stdout}{done.stderr}")
        return done.stdout

    def ping(self, address: str) -> bool:
        """Does ``address`` answer the client within a second?"""
        return " 1 received" in self.in_client(["ping", "-n", "-c1", "-W1", address], check=False)

    def pings(self, address: str, interval: float = 0.02) -> Pings:
        """Start pinging ``address`` from the client, every ``interval`` seconds."""
        return Pings(["ping", "-n", "-q", f"-i{interval}", address], self.client)

    def mac_of(self, address: str) -> str:
        """The MAC that the client is told for ``address`` when it asks now; empty when nobody answers."""
        self.in_client(["ip", "neigh", "flush", "to", address], check=False)
        self.ping(address)
        found = re.search(r"lladdr (\S+)", self.in_client(["ip", "neigh", "show", "to", address]))
        return found[1] if found else ""

    def close(self) -> None:
        """End all hosts as a power cut would, and take everything away."""
        hosts = list(self._hosts.values())
        with ThreadPoolExecutor(max_workers=max(len(hosts), 1)) as pool:
            closing = [pool.submit(host.close) for host in hosts]
        if not self._closed:
            self._closed = True
            self._wires.close()
        for done in closing:
            done.result()

    def __getitem__(self, name: str) -> SystemdHost:
        return self._hosts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._hosts)

    def __len__(self) -> int:
        return len(self._hosts)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _seed(host: SystemdHost, proof: HostKeys, login: str, gateway: str, more: Mapping[str, str]) -> None:
    """What makes this host differ from the base system, ready to be laid over it."""
    seed = host.directory / "seed"
    files = {
        "etc/network/interfaces.d/eth0": _INTERFACES.format(
            address=host.address, address6=host.address6, gateway=gateway
        ),
        "etc/machine-id": f"{os.urandom(16).hex()}\n",
        "etc/hosts": f"127.0.0.1 localhost\n{host.address} {host.name}\n",
        "etc/hostname": f"{host.name}\n",
        "root/.ssh/authorized_keys": f"{login}\n",
        **{path.lstrip("/"): text for path, text in more.items()},
    }
    for path, text in files.items():
        target = seed / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (seed / "root/.ssh").chmod(0o700)
    (seed / "root").chmod(0o700)
    (seed / "etc/ssh").mkdir()
    for pair in proof.of(["ed25519"]):
        key = seed / "etc/ssh" / pair.path.name
        key.write_bytes(pair.path.read_bytes())
        key.chmod(0o600)
