"""A whole lab from an inventory: one simulated machine for each host, each behind its own SSH server.

    with Lab.start(inventory, directory) as lab:
        ...  # bsdcarp apply INVENTORY --ssh-config {lab.ssh_config}

Everything lives in ``directory``: the machines' file trees, the keys, ``ssh_config`` and ``known_hosts``.  The same
inventory that names real addresses works, since ``ssh_config`` leads each of them to a loopback port.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from bsdcarp.errors import LabError
from bsdcarp.lab.addressing import client_of
from bsdcarp.lab.algorithms import algorithms
from bsdcarp.lab.clock import Clock, ManualClock
from bsdcarp.lab.config import MachinePlan, plan_machines
from bsdcarp.lab.host import Host
from bsdcarp.lab.keys import HostKeys, client_keys, host_keys
from bsdcarp.lab.linux.machine import LinuxMachine
from bsdcarp.lab.machine import Machine
from bsdcarp.lab.network import Network
from bsdcarp.lab.releases import Release
from bsdcarp.lab.server import LOOPBACK, Served, SshServer
from bsdcarp.lab.sshfiles import Reached, write_ssh_files
from bsdcarp.lab.wire import CommandServer
from bsdcarp.model import Inventory

__all__ = ["Lab", "build_machine"]


class Lab:
    """A running lab; leave the ``with`` block or call ``close`` to end it."""

    def __init__(
        self,
        directory: Path,
        network: Network,
        machines: Mapping[str, Host],
        ports: Mapping[str, int],
        undo: contextlib.ExitStack,
    ) -> None:
        self.directory = directory
        self.machines = MappingProxyType(dict(machines))
        """By name, in the order of the inventory."""
        self.network = network
        self.ssh_config = directory / "ssh_config"
        self.known_hosts = directory / "known_hosts"
        self.identity = directory / "id_ed25519"
        self.identity_rsa = directory / "id_rsa"
        self._ports = dict(ports)
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
        clock: Clock | None = None,
    ) -> Lab:
        """Build and boot the machines and return when every one answers.

        ``hosts``, ``releases`` and ``noise`` are those of ``plan_machines``.  ``keys`` is a directory to keep host
        keys in (default: inside ``directory``), ``clock`` the network's.  Machines start from fresh files each time.
        Raises ``LabError`` if the directory cannot be used or a host cannot be simulated.
        """
        plans = plan_machines(inventory, hosts=hosts, releases=releases, noise=noise)
        if not plans:
            raise LabError("no host to simulate", place=inventory.path)
        directory = _prepare(directory)
        clients = client_keys(keys or directory)
        if keys is not None:
            _copy_keys([pair.path for pair in clients], directory)
        proofs = host_keys((keys or directory) / "keys", [plan.name for plan in plans])
        network = Network(clock=clock) if clock else Network()
        with contextlib.ExitStack() as undo:
            machines = {plan.name: build_machine(plan, directory / "hosts" / plan.name, network) for plan in plans}
            commands = CommandServer(list(machines.values()))
            commands.start()
            undo.callback(commands.stop)
            for machine in machines.values():
                machine.boot()
            if not isinstance(network.clock, ManualClock):
                network.start()
                undo.callback(network.stop)
            sshd = SshServer(clients)
            undo.callback(sshd.close)
            reached = [_serve(plan, machines[plan.name], proofs[plan.name], sshd) for plan in plans]
            write_ssh_files(directory, reached)
            ports = {host.name: host.port for host in reached}
            return cls(directory, network, machines, ports, undo.pop_all())

    def machine(self, name: str) -> Host:
        """The machine called ``name``; raises ``LabError`` if there is none."""
        try:
            return self.machines[name]
        except KeyError:
            raise LabError(f"no machine {name!r} in this lab", remedy=f"there is {', '.join(self.machines)}") from None

    def freebsd(self, name: str) -> Machine:
        """The machine called ``name``; raises ``LabError`` if it does not run FreeBSD."""
        machine = self.machine(name)
        if not isinstance(machine, Machine):
            raise LabError(f"{name} runs {machine.system.title}, not FreeBSD")
        return machine

    def linux(self, name: str) -> LinuxMachine:
        """The machine called ``name``; raises ``LabError`` if it does not run Linux."""
        machine = self.machine(name)
        if not isinstance(machine, LinuxMachine):
            raise LabError(f"{name} runs {machine.system.title}, not Linux")
        return machine

    def port(self, name: str) -> int:
        """The loopback port of its sshd, the same over reboots."""
        self.machine(name)
        return self._ports[name]

    def root(self, name: str) -> Path:
        """The directory that is the machine's file system."""
        return self.machine(name).root

    def close(self) -> None:
        """End all sessions and processes, then all threads; the files stay."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _prepare(directory: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory = directory.resolve()
        # Files of the last run are evidence of that run only; machines begin anew.
        shutil.rmtree(directory / "hosts", ignore_errors=True)
        (directory / "hosts").mkdir()
    except OSError as error:
        raise LabError(
            f"cannot keep a lab here: {error.strerror}", place=str(directory), remedy="name a directory of your own"
        ) from error
    return directory


def _copy_keys(paths: Collection[Path], directory: Path) -> None:
    for path in paths:
        for source in (path, path.with_name(f"{path.name}.pub")):
            target = directory / source.name
            target.unlink(missing_ok=True)
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(source.read_bytes())


def build_machine(plan: MachinePlan, root: Path, network: Network) -> Host:
    """The machine of ``plan``, off, with its first files under ``root``."""
    if not isinstance(plan.release, Release):
        sudoers = () if plan.user == "root" else (plan.user,)
        host = LinuxMachine(plan.name, plan.release, root, plan.nics, network=network, sudoers=sudoers)
        host.create(plan.interfaces, files=plan.files)
        return host
    machine = Machine(plan.name, plan.release, root, plan.nics, network=network)
    machine.create(plan.rc_conf, loader_conf=plan.loader_conf, files=plan.files)
    return machine


def _serve(plan: MachinePlan, machine: Host, proofs: HostKeys, sshd: SshServer) -> Reached:
    offer = algorithms(plan.release.version[0], plan.release.family)
    connection = (client_of(plan.ssh_address), str(plan.ssh_address.ip))
    port = sshd.serve(Served(machine, proofs, offer, plan.release.login_shell, connection))
    pairs = proofs.of(offer.key_types)
    return Reached(plan.name, plan.address, LOOPBACK, port, pairs, legacy=offer.legacy, user=plan.user)
