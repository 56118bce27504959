"""One simulated FreeBSD host: its files, its kernel, its console, and the commands that run on it."""

from __future__ import annotations

import functools
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from bsdcarp.errors import LabError
from bsdcarp.lab.boot import boot
from bsdcarp.lab.client import RC_SCRIPTS, write_clients
from bsdcarp.lab.commands.make import Compiler
from bsdcarp.lab.commands.storage import Disk
from bsdcarp.lab.commands.table import COMMANDS
from bsdcarp.lab.host import Command, Host
from bsdcarp.lab.interface import Interface
from bsdcarp.lab.kernel import Kernel, KernelImage, MessageBuffer
from bsdcarp.lab.linker import Linker
from bsdcarp.lab.network import Network
from bsdcarp.lab.nic import Nic
from bsdcarp.lab.releases import Release, release_named
from bsdcarp.lab.reply import Reply
from bsdcarp.lab.segment import Frame
from bsdcarp.lab.tree import Tree

__all__ = ["Machine", "Reply"]


class Machine(Host):
    """A simulated FreeBSD host.  The message buffer survives a reboot, and is lost with the power."""

    def __init__(
        self,
        name: str,
        release: str | Release,
        root: Path,
        nics: Sequence[Nic] = (),
        *,
        network: Network,
        kernel: str | None = None,
        reboot_delay: float = 0.5,
    ) -> None:
        self.release = release if isinstance(release, Release) else release_named(release)
        self.tree = Tree(Path(root).resolve(), self.release)
        super().__init__(name, self.tree, nics, network=network, reboot_delay=reboot_delay)
        self._kernel_name = kernel or self.release.default_kernel
        self._kernel: Kernel | None = None
        self._messages = MessageBuffer()
        self.compiler = Compiler()
        self.disk = Disk()
        self.runs_hooks = True
        """Whether a boot runs the hook of a transaction; false where a real root, with processes of its own, does."""

    @property
    def system(self) -> Release:
        return self.release

    @property
    def running(self) -> Kernel | None:
        return self._kernel

    def start(self) -> None:
        boot(self)

    def forget_kernel(self) -> None:
        self._kernel = None

    def power_off(self) -> None:
        super().power_off()
        self._messages.lines.clear()

    def create(
        self,
        rc_conf: str = "",
        *,
        sysctl_conf: str | None = None,
        loader_conf: str | None = None,
        files: Mapping[str, str] | None = None,
    ) -> None:
        """Write the initial tree.  ``files`` maps paths relative to the root to texts."""
        given = {"etc/rc.conf": rc_conf or f'hostname="{self.name}"\nsshd_enable="YES"\n'}
        if sysctl_conf is not None:
            given["etc/sysctl.conf"] = sysctl_conf
        if loader_conf is not None:
            given["boot/loader.conf"] = loader_conf
        try:
            self.tree.create(self._kernel_name, given | dict(files or {}))
            write_clients(self.root, self.lab_directory, self.programs(), RC_SCRIPTS)
        except OSError as error:
            raise LabError(
                f"cannot write the files of a machine: {error.strerror}", place=str(error.filename)
            ) from error

    @property
    def kernel(self) -> Kernel:
        """The running kernel; LabError when there is none."""
        if self._kernel is None:
            raise LabError(f"{self.name} is {self.state}")
        return self._kernel

    @kernel.setter
    def kernel(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def new_kernel(self, image: KernelImage, linker: Linker) -> Kernel:
        """Build the kernel object for a boot (called by :mod:`bsdcarp.lab.boot`)."""
        kernel = Kernel(
            self.release,
            image,
            host=self.name,
            boots=self.generation,
            clock=self.network.clock,
            messages=self._messages,
            linker=linker,
            transmit_frame=self._transmit,
            schedule=self.later,
            syslog=self._syslog,
            console=self.print_console,
        )
        self._kernel = kernel
        return kernel

    def complain(self, line: str) -> None:
        """Print a kernel message (called by the linker)."""
        self.kernel.printf(line)

    def _syslog(self, text: str) -> None:
        stamp = time.strftime("%b %e %H:%M:%S", time.gmtime(self.network.clock.wall()))
        host = self.kernel.hostname.split(".", 1)[0]
        self.tree.append("/var/log/messages", f"{stamp} {host} {text}\n")

    def _transmit(self, interface: Interface, frame: Frame) -> None:
        if interface.nic is not None:
            self.network.segment(interface.nic.segment).transmit(self, interface.nic, interface.tag, frame)

    def dmesg(self) -> list[str]:
        with self.network.lock:
            return list(self._messages.lines)

    def programs(self) -> Collection[str]:
        return [name for name in COMMANDS if name not in self.release.absent_commands]

    def lookup(self, program: str) -> Command | None:
        command = COMMANDS.get(program)
        if command is None or program in self.release.absent_commands:
            return None
        return functools.partial(command, self)
