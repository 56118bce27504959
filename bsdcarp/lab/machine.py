"""One simulated FreeBSD host: its files, its kernel, its console, and the commands that run on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bsdcarp.errors import LabError
from bsdcarp.lab.boot import Stopped, boot
from bsdcarp.lab.client import write_clients
from bsdcarp.lab.commands.table import COMMANDS
from bsdcarp.lab.interface import Interface
from bsdcarp.lab.kernel import Kernel, KernelImage, MessageBuffer
from bsdcarp.lab.linker import Linker
from bsdcarp.lab.network import Network
from bsdcarp.lab.nic import Nic
from bsdcarp.lab.releases import Release, release_named
from bsdcarp.lab.reply import Call, Reply, failure
from bsdcarp.lab.segment import Frame
from bsdcarp.lab.tree import Tree

__all__ = ["Machine", "Reply"]

_NO_KERNEL_STATES = frozenset({"off", "rebooting", "panicked"})


class Machine:
    """A simulated host.  Methods may be called from any thread; they take the network's lock.

    ``state`` is one of ``off``, ``up``, ``rebooting``, ``hung`` (a boot that never ends) and ``panicked``.
    ``reboot_delay`` is how many seconds ``shutdown -r`` keeps it down.
    """

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
        self.name = name
        self.release = release if isinstance(release, Release) else release_named(release)
        self.tree = Tree(Path(root).resolve(), self.release)
        self.nics = tuple(nics)
        self.network = network
        self.reboot_delay = reboot_delay
        self.state = "off"
        self.generation = 0
        self.on_down: list[Callable[[], None]] = []
        self.on_up: list[Callable[[], None]] = []
        self._kernel_name = kernel or self.release.default_kernel
        self._kernel: Kernel | None = None
        self._messages = MessageBuffer()
        self._console: list[str] = []
        self._unplugged: set[str] = set()
        for nic in self.nics:
            network.segment(nic.segment).connect(self, nic)
        network.join(self)

    def __repr__(self) -> str:
        return f"<Machine {self.name} FreeBSD {self.release.name} {self.state}>"

    # -- files ----------------------------------------------------------------------------------------------------

    @property
    def root(self) -> Path:
        return self.tree.root

    @property
    def lab_directory(self) -> Path:
        """Where the client programs meet the lab (``BSDCARP_LAB_DIR``)."""
        return self.root / ".lab" / "wire"

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
            names = [name for name in COMMANDS if name not in self.release.absent_commands]
            write_clients(self.root, self.lab_directory, names)
        except OSError as error:
            raise LabError(
                f"cannot write the files of a machine: {error.strerror}", place=str(error.filename)
            ) from error

    def read(self, path: str) -> str | None:
        """Return the text of a file of the machine, or None."""
        return self.tree.read(path)

    # -- life -----------------------------------------------------------------------------------------------------

    @property
    def kernel(self) -> Kernel:
        """The running kernel; LabError when there is none."""
        if self._kernel is None:
            raise LabError(f"{self.name} is {self.state}")
        return self._kernel

    @kernel.setter
    def kernel(self, kernel: Kernel) -> None:
        self._kernel = kernel

    @property
    def alive(self) -> bool:
        """Whether it reached the login prompt, so that its sshd would answer."""
        return self.state == "up"

    @property
    def panicked(self) -> bool:
        return self.state == "panicked"

    @property
    def console(self) -> str:
        """What the console has shown since the last power-on or reboot."""
        with self.network.lock:
            return "".join(f"{line}\n" for line in self._console)

    def boot(self) -> None:
        """Build a new kernel from the files.  It may end ``up``, ``hung`` or ``panicked``; see ``state``."""
        with self.network.lock:
            self._console.clear()
            self.generation += 1
            try:
                boot(self)
                self.state = "up"
            except Stopped as stopped:
                self.state = stopped.state
                if stopped.state == "panicked":
                    self._kernel = None
            self.network.wake()
            callbacks = tuple(self.on_up) if self.alive else ()
        self.network.tell(callbacks)

    def reboot(self, delay: float | None = None) -> None:
        """Go down now and boot after ``delay`` seconds.  The message buffer survives."""
        self._go_down("rebooting")
        self.network.schedule(self.reboot_delay if delay is None else delay, self._boot_again)

    def power_off(self) -> None:
        """Pull the plug: nothing is written, and the message buffer is lost."""
        self._go_down("off")
        self._messages.lines.clear()

    def _boot_again(self) -> None:
        if self.state == "rebooting":
            self.boot()

    def _go_down(self, state: str) -> None:
        with self.network.lock:
            self._kernel = None
            self.state = state
        self.network.tell(tuple(self.on_down))

    def new_kernel(self, image: KernelImage, linker: Linker) -> Kernel:
        """Build the kernel object for a boot (called by :mod:`bsdcarp.lab.boot`)."""
        born = self.generation

        def later(delay: float, what: Callable[[], None]) -> None:
            def run() -> None:
                if self.generation == born and self._kernel is not None:
                    what()

            self.network.schedule(delay, run)

        kernel = Kernel(
            self.release,
            image,
            host=self.name,
            boots=born,
            clock=self.network.clock,
            messages=self._messages,
            linker=linker,
            transmit_frame=self._transmit,
            schedule=later,
            syslog=self._syslog,
            console=self.print_console,
        )
        self._kernel = kernel
        return kernel

    def complain(self, line: str) -> None:
        """Print a kernel message (called by the linker)."""
        self.kernel.printf(line)

    def print_console(self, line: str) -> None:
        """Show a line on the console."""
        self._console.append(line)

    def _syslog(self, text: str) -> None:
        stamp = time.strftime("%b %e %H:%M:%S", time.gmtime(self.network.clock.wall()))
        host = self.kernel.hostname.split(".", 1)[0]
        self.tree.append("/var/log/messages", f"{stamp} {host} {text}\n")

    # -- network --------------------------------------------------------------------------------------------------

    def _transmit(self, interface: Interface, frame: Frame) -> None:
        if interface.nic is not None:
            self.network.segment(interface.nic.segment).transmit(self, interface.nic, interface.tag, frame)

    def receive(self, nic: str, tag: int | None, frame: Frame) -> None:
        if self._kernel is not None:
            self._kernel.receive(nic, tag, frame)

    def deadline(self) -> float | None:
        if self._kernel is None or self._kernel.carp is None:
            return None
        return self._kernel.carp.deadline()

    def on_timer(self, now: float) -> None:
        if self._kernel is not None and self._kernel.carp is not None:
            self._kernel.carp.on_timer(now)

    def carp_states(self) -> dict[str, str]:
        """Return label -> role of every vhid, ``{"1@em0": "MASTER"}``; empty while it is down."""
        with self.network.lock:
            return {} if self._kernel is None else self._kernel.roles()

    def has_link(self, nic: str) -> bool:
        return nic not in self._unplugged

    def nic_down(self, nic: str) -> None:
        """Pull the cable of a card."""
        self._plug(nic, connected=False)

    def nic_up(self, nic: str) -> None:
        """Plug the cable of a card in again."""
        self._plug(nic, connected=True)

    def _plug(self, name: str, *, connected: bool) -> None:
        with self.network.lock:
            nic = next((each for each in self.nics if each.name == name), None)
            if nic is None:
                raise LabError(f"{self.name} has no card {name}")
            (self._unplugged.discard if connected else self._unplugged.add)(name)
            self.network.segment(nic.segment).plug(self.name, name, connected=connected)
            if self._kernel is not None:
                for interface in tuple(self._kernel.interfaces.values()):
                    if interface.nic == nic:
                        self._kernel.set_link(interface, link=connected)
            self.network.wake()

    def dmesg(self) -> list[str]:
        """Return the lines of the message buffer."""
        with self.network.lock:
            return list(self._messages.lines)

    def user_id(self, name: str) -> int | None:
        """Look a user up in /etc/passwd."""
        for line in (self.read("/etc/passwd") or "").splitlines():
            fields = line.split(":")
            if fields[0] == name and len(fields) > 2:
                return int(fields[2])
        return None

    # -- commands -------------------------------------------------------------------------------------------------

    def command(
        self, argv: Sequence[str], cwd: str = "/", env: Mapping[str, str] | None = None, user: str = "root"
    ) -> Reply:
        """Run one simulated command.  A machine that is down answers nothing, with status 255.

        ``argv[0]`` may carry a directory.
        """
        with self.network.lock:
            if self._kernel is None or self.state in _NO_KERNEL_STATES:
                return Reply(status=255)
            name = argv[0].rsplit("/", 1)[-1]
            command = COMMANDS.get(name)
            if command is None or name in self.release.absent_commands:
                return failure(f"{name}: not found", 127)
            before = self.deadline()
            reply = command(self, Call((name, *argv[1:]), cwd, env or {}, user))
            if self.deadline() != before:
                self.network.wake()
            return reply

    def session_env(self) -> dict[str, str]:
        """Return the environment for a session's shell; the lab's programs come first in PATH."""
        path = f"{self.root}/.lab/bin"
        return {
            "BSDCARP_ROOT": str(self.root),
            "BSDCARP_PATH": path,
            "BSDCARP_LAB_DIR": str(self.lab_directory),
            "HOME": f"{self.root}/root",
            "USER": "root",
            "LOGNAME": "root",
            "SHELL": f"/bin/{self.release.login_shell}",
            "PATH": f"{path}:/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin",
            "TZ": "UTC",
            "LC_ALL": "C",
        }
