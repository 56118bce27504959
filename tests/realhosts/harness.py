"""A cluster of hosts for tests and benchmarks: each a root, a network namespace and OpenSSH's own sshd.

    with RealCluster.start(inventory, directory) as real:
        ...  # the same attributes as bsdcarp.lab.up.Lab: machines, ssh_config, known_hosts, port ...

Nothing outlives the process that started it: a host's processes live in a PID namespace whose first process ends when
its standard input does, its mounts in that process's mount namespace, its network with a file descriptor.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from bsdcarp.lab.algorithms import Algorithms, algorithms
from bsdcarp.lab.config import MachinePlan, plan_machines
from bsdcarp.lab.keys import HostKeys, KeyPair, client_keys, host_keys
from bsdcarp.lab.machine import Machine
from bsdcarp.lab.network import Network
from bsdcarp.lab.sshfiles import Reached, write_ssh_files
from bsdcarp.lab.up import build_machine
from bsdcarp.lab.wire import CommandServer
from bsdcarp.model import Inventory
from realhosts.roots import build_root, missing
from realhosts.wires import Wires, in_namespace, lay_wires

__all__ = ["RealCluster", "RealHost", "why_not"]

# The first process of a host.  Its end, at the end of its input or by a signal, ends every other process of the host.
# Of rc it runs the boot hook of a transaction, whose paths are those of this root; the rest is up to the lab's boot.
# This machine's console is none of the host's.
_INIT = """\
mount --bind /usr "$1/.host/usr" && mount -o remount,bind,ro "$1/.host/usr" || exit 1
mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && hostname "$2" || exit 1
[ ! -e "$1/dev/console" ] || mount --bind /dev/null "$1/dev/console" || exit 1
exec chroot "$1" /bin/sh -c '
if [ -x /etc/rc.d/bsdcarp_undo ]; then /etc/rc.d/bsdcarp_undo faststart </dev/null; fi
/.host/usr/sbin/sshd -D -e -f /etc/ssh/sshd_config 2>>/var/log/sshd.log & read -r _'
"""

_SSHD = """\
Port 22
AddressFamily inet
PidFile none
UsePAM no
UseDNS no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile .ssh/authorized_keys
MaxStartups 200
MaxSessions 50
PrintMotd no
PrintLastLog no
SetEnv PATH=/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin TZ=UTC
"""
# myproposal.h of OpenSSH 5.1, as far as the sshd of today can still be told to do the same.
_OLD = """\
HostKeyAlgorithms ssh-rsa
PubkeyAcceptedAlgorithms ssh-rsa
KexAlgorithms diffie-hellman-group-exchange-sha1,diffie-hellman-group14-sha1,diffie-hellman-group1-sha1
Ciphers aes128-cbc,3des-cbc,aes192-cbc,aes256-cbc,aes128-ctr,aes192-ctr,aes256-ctr
MACs hmac-md5,hmac-sha1,hmac-sha1-96,hmac-md5-96
"""
# OpenSSH 6.6: like today's but for RSA with SHA-2 (recorded on FreeBSD 9.3).
_NO_SHA2 = "HostKeyAlgorithms ssh-rsa,ssh-ed25519\nPubkeyAcceptedAlgorithms ssh-rsa,ssh-ed25519\n"


def why_not() -> str | None:
    """Why such hosts cannot be had here; None if they can."""
    if not sys.platform.startswith("linux"):
        return "needs Linux: namespaces"
    if os.geteuid() != 0:
        return "needs root: namespaces, mounts and chroot"
    if lacking := missing():
        return f"not installed: {', '.join(lacking)}"
    probe = ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "mount", "-t", "proc", "proc", "/proc"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"no namespaces to be had: {done.stderr.strip()}"
    try:
        lay_wires(0).close()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no network namespaces to be had: {error}"
    return None


class RealHost:
    """One host: its machine, its root and its sshd, which lives as long as the machine is up."""

    def __init__(self, machine: Machine, address: str, namespace: int) -> None:
        self.machine = machine
        self.address = address
        self.root = machine.root
        self._namespace = namespace
        self._init: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        machine.runs_hooks = False
        machine.on_down.append(self.stop)
        machine.on_up.append(self.start)

    def start(self) -> None:
        """Start the first process, and return when its sshd listens.

        With a boot hook, which may well restart the host, return at once.
        """
        hooked = (self.root / "etc/rc.d/bsdcarp_undo").exists()
        with self._lock:
            if self._init is not None:
                return
            unshare = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child"]
            self._init = subprocess.Popen(
                in_namespace(
                    self._namespace, [*unshare, "/bin/sh", "-c", _INIT, "init", str(self.root), self.machine.name]
                ),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(self._namespace,),
                bufsize=0,
            )
            if not hooked:
                self._await_sshd(self._init)

    def stop(self) -> None:
        """Kill every process of the host at once."""
        with self._lock:
            init, self._init = self._init, None
            if init is not None:
                # At the end of its input the first process ends, and the kernel kills all others before it is gone;
                # killing unshare would leave them a moment longer.
                try:
                    init.communicate(timeout=10)
                except subprocess.TimeoutExpired:
                    init.kill()
                    init.communicate()

    def small_disk(self, path: str, *, kilobytes: int) -> None:
        """Lay a file system of that size over a directory of the host; it goes away with the next stop."""
        with self._lock:
            if self._init is None:
                raise RuntimeError(f"{self.machine.name} is off")
            where = str(self.root / path.lstrip("/"))
            # The child of unshare lives in the host's own mount namespace, and so does unshare itself.
            enter = ["nsenter", "--mount", "--target", str(self._init.pid)]
            size = f"size={kilobytes}k"
            subprocess.run(
                [*enter, "mount", "-t", "tmpfs", "-o", size, "tmpfs", where], check=True, capture_output=True
            )

    def _await_sshd(self, init: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((self.address, 22), timeout=1):
                return
            if init.poll() is not None:
                break
            time.sleep(0.005)
        _, errors = init.communicate() if init.poll() is not None else (b"", b"it does not listen")
        log = self.root / "var/log/sshd.log"
        text = log.read_text() if log.exists() else ""
        raise RuntimeError(f"sshd of {self.machine.name} did not start: {errors.decode()}{text}")


class RealCluster:
    """Real hosts from an inventory; leave the ``with`` block or call ``close`` to end them."""

    def __init__(
        self,
        directory: Path,
        network: Network,
        hosts: Mapping[str, RealHost],
        undo: contextlib.ExitStack,
    ) -> None:
        self.directory = directory
        self.network = network
        self.hosts = MappingProxyType(dict(hosts))
        self.machines = MappingProxyType({name: host.machine for name, host in hosts.items()})
        self.ssh_config = directory / "ssh_config"
        self.known_hosts = directory / "known_hosts"
        self.identity = directory / "id_ed25519"
        self.identity_rsa = directory / "id_rsa"
        self._undo = undo

    @classmethod
    def start(
        cls,
        inventory: Inventory,
        directory: Path,
        *,
        hosts: Collection[str] | None = None,
        releases: Mapping[str, str] | None = None,
        noise: Collection[str] = (),
        keys: Path | None = None,
        small: bool = False,
    ) -> RealCluster:
        """Build and boot the hosts and return when every sshd answers; the arguments are those of ``Lab.start``.

        ``small``: commands that cost no more than FreeBSD's (``roots.SMALL``).
        """
        plans = plan_machines(inventory, hosts=hosts, releases=releases, noise=noise)
        directory = directory.resolve()
        directory.mkdir(parents=True, exist_ok=True)
        clients = client_keys(directory)
        proofs = host_keys((keys or directory) / "keys", [plan.name for plan in plans])
        network = Network()
        with contextlib.ExitStack() as undo:
            wires = lay_wires(len(plans))
            undo.callback(wires.close)
            built = [build_machine(plan, directory / "hosts" / plan.name, network) for plan in plans]
            machines = [machine for machine in built if isinstance(machine, Machine)]
            assert machines == built, "real hosts simulate FreeBSD only"
            commands = CommandServer(machines)
            commands.start()
            undo.callback(commands.stop)
            real = _real_hosts(plans, machines, clients, proofs, wires, small=small)
            for host in real.values():
                undo.callback(host.stop)
            with ThreadPoolExecutor(max_workers=8) as pool:
                # Booting starts the sshd; most of that is waiting for other processes.
                for booted in [pool.submit(machine.boot) for machine in machines]:
                    booted.result()
            network.start()
            undo.callback(network.stop)
            reached = [_reached(plan, real[plan.name].address, proofs[plan.name]) for plan in plans]
            write_ssh_files(directory, reached)
            return cls(directory, network, real, undo.pop_all())

    def machine(self, name: str) -> Machine:
        return self.machines[name]

    def root(self, name: str) -> Path:
        return self.machines[name].root

    def port(self, name: str) -> int:
        """Every one has an address of its own, so the port is SSH's."""
        del name
        return 22

    def address(self, name: str) -> str:
        return self.hosts[name].address

    def close(self) -> None:
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _real_hosts(
    plans: Collection[MachinePlan],
    machines: Collection[Machine],
    clients: Collection[KeyPair],
    proofs: Mapping[str, HostKeys],
    wires: Wires,
    *,
    small: bool,
) -> dict[str, RealHost]:
    real: dict[str, RealHost] = {}
    for plan, machine, address, namespace in zip(plans, machines, wires.addresses, wires.namespaces, strict=True):
        offer = algorithms(plan.release.version[0])
        pairs = proofs[plan.name].of(offer.key_types)
        build_root(
            machine.root,
            f"/bin/{plan.release.login_shell}",
            [pair.public for pair in clients],
            _sshd_config(offer, pairs),
            [pair.path for pair in pairs],
            small=small,
        )
        real[plan.name] = RealHost(machine, address, namespace)
    return real


def _sshd_config(offer: Algorithms, pairs: Collection[KeyPair]) -> str:
    keys = "".join(f"HostKey /etc/ssh/{pair.path.name}\n" for pair in pairs)
    addendum = offer.software.partition(" ")[2]
    algorithms_of_then = _OLD if offer.legacy else "" if offer.extensions else _NO_SHA2
    return f"{_SSHD}VersionAddendum {addendum}\n{keys}{algorithms_of_then}"


def _reached(plan: MachinePlan, address: str, proofs: HostKeys) -> Reached:
    offer = algorithms(plan.release.version[0])
    return Reached(
        plan.name, plan.address, address, 22, proofs.of(offer.key_types), legacy=offer.legacy, user=plan.user
    )
