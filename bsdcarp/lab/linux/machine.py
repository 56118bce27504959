"""One simulated Linux host: its files, its kernel, systemd, the journal, and the commands that run on it."""

from __future__ import annotations

import functools
import os
import random
import shutil
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from bsdcarp.errors import LabError
from bsdcarp.lab.client import write_clients
from bsdcarp.lab.filetree import FileTree
from bsdcarp.lab.host import Command, Host
from bsdcarp.lab.linux.carpd import Carpd
from bsdcarp.lab.linux.commands.programs import COMMANDS
from bsdcarp.lab.linux.commands.sysctl import apply_files
from bsdcarp.lab.linux.firstfiles import PROGRAMS, first_files
from bsdcarp.lab.linux.ifupdown import bring_up
from bsdcarp.lab.linux.journal import Journal
from bsdcarp.lab.linux.kernel import LinuxKernel
from bsdcarp.lab.linux.proc import Proc
from bsdcarp.lab.linux.programs import LinuxPrograms
from bsdcarp.lab.linux.releases import LinuxRelease, linux_release_named
from bsdcarp.lab.linux.systemd import Systemd
from bsdcarp.lab.linux.units import UnitFiles
from bsdcarp.lab.network import Network
from bsdcarp.lab.nic import Nic
from bsdcarp.lab.segment import Frame

__all__ = ["LinuxMachine"]


class LinuxMachine(Host):
    """A simulated Linux host.  Everything but the journal and the files is gone after a boot.

    ``python`` is the version of its python3, or None where there is none; by default the release's.
    ``sudoers`` are the users who become root by sudo without a password.
    """

    def __init__(
        self,
        name: str,
        release: str | LinuxRelease,
        root: Path,
        nics: Sequence[Nic] = (),
        *,
        network: Network,
        python: str | None = "",
        sudoers: Collection[str] = (),
        reboot_delay: float = 0.5,
    ) -> None:
        self.release = release if isinstance(release, LinuxRelease) else linux_release_named(release)
        self.tree = FileTree(Path(root).resolve())
        super().__init__(name, self.tree, nics, network=network, reboot_delay=reboot_delay)
        self.python = self.release.python if python == "" else python
        self.sudoers = frozenset(sudoers)
        self.journal = Journal()
        self.proc = Proc(self.tree)
        self.carpd: Carpd | None = None
        """The running daemon."""
        self._kernel: LinuxKernel | None = None
        self._systemd: Systemd | None = None

    @property
    def system(self) -> LinuxRelease:
        return self.release

    @property
    def running(self) -> LinuxKernel | None:
        return self._kernel

    @property
    def kernel(self) -> LinuxKernel:
        """The running kernel; LabError when there is none."""
        if self._kernel is None:
            raise LabError(f"{self.name} is {self.state}")
        return self._kernel

    @property
    def systemd(self) -> Systemd:
        """The service manager; LabError when it does not run."""
        if self._systemd is None:
            raise LabError(f"{self.name} is {self.state}")
        return self._systemd

    @property
    def systemd_files(self) -> UnitFiles:
        """The unit files, also while the machine is off."""
        return UnitFiles(self.tree)

    @property
    def hostname(self) -> str:
        return self.proc.get("kernel/hostname") or "localhost"

    @property
    def python_version(self) -> tuple[int, ...]:
        """The version as numbers; empty without python3."""
        return tuple(int(part) for part in (self.python or "").split(".") if part.isdigit())

    def create(self, interfaces: str = "", *, files: Mapping[str, str] | None = None) -> None:
        """Write the initial tree: ``interfaces`` is /etc/network/interfaces, ``files`` are more, by relative path."""
        try:
            for path, text in (
                first_files(self.name, self.release, interfaces, self.sudoers) | dict(files or {})
            ).items():
                self.tree.write(path, text)
            for program in PROGRAMS:
                (self.root / program).chmod(0o755)
            for directory in ("run", "tmp", "var/lib", "var/log", "root", "sbin", "usr/bin", "usr/sbin"):
                (self.root / directory).mkdir(parents=True, exist_ok=True)
            for link, target in (("var/run", "../run"), ("etc/sysctl.d/99-sysctl.conf", "../sysctl.conf")):
                if not (self.root / link).is_symlink():
                    (self.root / link).parent.mkdir(parents=True, exist_ok=True)
                    (self.root / link).symlink_to(target)
            write_clients(self.root, self.lab_directory, COMMANDS)
            for name in COMMANDS:
                if name != "python3" or self.python is not None:
                    place = self.root / "usr" / "bin" / name
                    place.unlink(missing_ok=True)
                    place.symlink_to(os.path.relpath(self.root / ".lab" / "bin" / ".client", place.parent))
        except OSError as error:
            raise LabError(
                f"cannot write the files of a machine: {error.strerror}", place=str(error.filename)
            ) from error

    # -- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        shutil.rmtree(self.root / "run", ignore_errors=True)
        (self.root / "run" / "systemd" / "system").mkdir(parents=True)
        clock = self.network.clock
        dice = random.Random(f"boot {self.name} {self.generation}")  # noqa: S311  # repeatable on purpose
        self.proc.reset(
            boot_id=str(uuid.UUID(int=dice.getrandbits(128), version=4)),
            btime=int(clock.wall()),
            hostname=(self.read("/etc/hostname") or "localhost").strip(),
            kernel={"osrelease": self.release.uname_r, "version": self.release.uname_v, "ostype": "Linux"},
        )
        kernel = self._kernel = LinuxKernel(clock=clock, proc=self.proc, transmit=self._transmit)
        for nic in self.nics:
            kernel.attach(nic, link=self.has_link(nic.name))
        self._say_kernel(f"Linux version {self.release.uname_r} ({self.release.uname_v})")
        systemd = self._systemd = Systemd(self.tree, LinuxPrograms(self), now=clock.now, later=self.later, log=self.log)
        for line in apply_files(self.tree, self.proc):
            self.log("systemd-sysctl.service", "systemd-sysctl", systemd.new_pid(), line)
        kernel.set_up(kernel.loopback, up=True)
        if "networking.service" in systemd.files.enabled():
            before = set(kernel.links)
            for line in bring_up(self.tree, kernel):
                self.log("networking.service", "ifup", systemd.new_pid(), line)
            for name in set(kernel.links) - before:
                for family in ("ipv4", "ipv6"):  # udev has systemd-sysctl look again for every new interface
                    apply_files(self.tree, self.proc, prefix=f"net/{family}/conf/{name}/")
        for name in systemd.files.enabled():
            systemd.start(name)
        self.print_console(f"\n{self.release.pretty} {self.hostname} ttyS0\n\n{self.hostname} login: ")

    def forget_kernel(self) -> None:
        self._kernel = None
        self._systemd = None
        self.carpd = None

    def reboot(self, delay: float | None = None) -> None:
        self._shut_down()
        super().reboot(delay)

    def halt(self) -> None:
        """Shut down in order, and stay off."""
        self._shut_down()
        self.power_off()

    def _shut_down(self) -> None:
        with self.network.lock:
            if self._systemd is not None:
                self._systemd.shutdown()
                # What was sent last is still on the wire when the kernel goes.
                self._kernel = None

    # -- surroundings ---------------------------------------------------------------------------------------------

    def log(self, unit: str, identifier: str, pid: int, text: str) -> None:
        """Write a line to the journal."""
        self.journal.add(self.network.clock.wall(), self.generation, unit, identifier, pid, text)

    def _say_kernel(self, text: str) -> None:
        self.log("", "kernel", 0, text)

    def draw(self, salt: int) -> Callable[[int], int]:
        """Return a source of random bits: the same for the same boot, so that a lab can be repeated."""
        return random.Random(f"{self.name} {self.generation} {salt}").getrandbits  # noqa: S311  # a simulation's counters

    def has_program(self, path: str) -> bool:
        """Whether an executable is there; those the lab does not know are as long as their file is."""
        return os.access(self.tree.path(path), os.X_OK)

    def _transmit(self, nic: Nic, tag: int | None, frame: Frame) -> None:
        self.network.segment(nic.segment).transmit(self, nic, tag, frame)

    def dmesg(self) -> list[str]:
        with self.network.lock:
            return self.journal.kernel(self.generation)

    def programs(self) -> Collection[str]:
        return COMMANDS

    def lookup(self, program: str) -> Command | None:
        command = COMMANDS.get(program)
        return None if command is None else functools.partial(command, self)
