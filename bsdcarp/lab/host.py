"""What every simulated host has, whatever it runs: a tree of files, cards, power, a console, room for sessions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Literal, Protocol

from bsdcarp.errors import LabError
from bsdcarp.lab.filetree import FileTree
from bsdcarp.lab.marks import MARK
from bsdcarp.lab.network import Network
from bsdcarp.lab.nic import Nic
from bsdcarp.lab.reply import Call, Reply, failure
from bsdcarp.lab.segment import Frame

__all__ = ["Command", "Host", "SimulatedKernel", "Stopped", "System"]

_NO_KERNEL_STATES = frozenset({"off", "rebooting", "panicked"})


class Stopped(Exception):
    """The boot did not reach the login prompt; ``state`` is what the machine is in from here on."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class System(Protocol):
    """What the lab asks of a release, FreeBSD's or Linux'."""

    @property
    def family(self) -> Literal["freebsd", "linux"]: ...

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def version(self) -> tuple[int, int]: ...

    @property
    def login_shell(self) -> Literal["csh", "sh"]: ...


class SimulatedKernel(Protocol):
    """What a host needs of whatever kernel it runs; everything comes under the lock of the network."""

    def roles(self) -> dict[str, str]: ...

    def deadline(self) -> float | None: ...

    def on_timer(self, now: float) -> None: ...

    def receive(self, nic: str, tag: int | None, frame: Frame) -> None: ...

    def set_carrier(self, nic: Nic, *, link: bool) -> None: ...


Command = Callable[[Call], Reply]


class Host(ABC):
    """A simulated host.  Methods may be called from any thread; they take the network's lock.

    ``state`` is one of ``off``, ``up``, ``rebooting``, ``hung`` (a boot that never ends) and ``panicked``.
    ``reboot_delay`` is how many seconds a reboot keeps it down.
    """

    def __init__(
        self, name: str, tree: FileTree, nics: Sequence[Nic], *, network: Network, reboot_delay: float = 0.5
    ) -> None:
        self.name = name
        self.nics = tuple(nics)
        self.network = network
        self.reboot_delay = reboot_delay
        self.state = "off"
        self.generation = 0
        self.dying = False
        """Its kernel is gone, and its processes are about to be: nobody answers them any more."""
        self.on_down: list[Callable[[], None]] = []
        self.on_up: list[Callable[[], None]] = []
        self._files = tree
        self._console: list[str] = []
        self._unplugged: set[str] = set()
        self._mark = token_hex(8)
        for nic in self.nics:
            network.segment(nic.segment).connect(self, nic)
        network.join(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.system.title} {self.state}>"

    # -- what a system has to say -----------------------------------------------------------------------------------

    @property
    @abstractmethod
    def system(self) -> System:
        """The release it runs."""

    @property
    @abstractmethod
    def running(self) -> SimulatedKernel | None:
        """The kernel, or None while there is none."""

    @abstractmethod
    def start(self) -> None:
        """Build the kernel from the files and run the start-up; raise :class:`Stopped` when that does not end."""

    @abstractmethod
    def forget_kernel(self) -> None:
        """Drop all that lives in memory."""

    @abstractmethod
    def programs(self) -> Collection[str]:
        """Name the simulated programs."""

    @abstractmethod
    def lookup(self, program: str) -> Command | None:
        """Find a simulated program."""

    @abstractmethod
    def dmesg(self) -> list[str]:
        """Return the lines of the kernel's message buffer."""

    # -- files ------------------------------------------------------------------------------------------------------

    @property
    def root(self) -> Path:
        return self._files.root

    @property
    def lab_directory(self) -> Path:
        """Where the client programs meet the lab (``BSDCARP_LAB_DIR``)."""
        return self.root / ".lab" / "wire"

    def read(self, path: str) -> str | None:
        """Return the text of a file of the machine, or None."""
        return self._files.read(path)

    def user_id(self, name: str) -> int | None:
        """Look a user up in /etc/passwd."""
        for line in (self.read("/etc/passwd") or "").splitlines():
            fields = line.split(":")
            if fields[0] == name and len(fields) > 2:
                return int(fields[2])
        return None

    # -- life -------------------------------------------------------------------------------------------------------

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

    def print_console(self, line: str) -> None:
        """Show a line on the console."""
        self._console.append(line)

    def boot(self) -> None:
        """Build a new kernel from the files.  It may end ``up``, ``hung`` or ``panicked``; see ``state``."""
        with self.network.lock:
            self._console.clear()
            self.generation += 1
            self.dying = False
            try:
                self.start()
                self.state = "up"
            except Stopped as stopped:
                self.state = stopped.state
                if stopped.state == "panicked":
                    self.forget_kernel()
            self.network.wake()
            callbacks = tuple(self.on_up) if self.alive else ()
        self.network.tell(callbacks)

    def reboot(self, delay: float | None = None) -> None:
        """Go down now and boot after ``delay`` seconds."""
        self._go_down("rebooting")
        self.network.schedule(self.reboot_delay if delay is None else delay, self.boot_again)

    def power_off(self) -> None:
        """Pull the plug: nothing is written."""
        self._go_down("off")

    def boot_again(self) -> None:
        """Boot after a reboot's time down, unless somebody pulled the plug meanwhile."""
        if self.state == "rebooting":
            self.boot()

    def _go_down(self, state: str) -> None:
        with self.network.lock:
            self.forget_kernel()
            self.state = state
            self.dying = True
        self.network.tell((*self.on_down, self._dead))

    def _dead(self) -> None:
        self.dying = False

    def later(self, delay: float, what: Callable[[], None]) -> None:
        """Run ``what`` after ``delay`` seconds, unless this boot is over by then."""
        born = self.generation

        def run() -> None:
            if self.generation == born and self.running is not None:
                what()

        self.network.schedule(delay, run)

    # -- network ----------------------------------------------------------------------------------------------------

    def receive(self, nic: str, tag: int | None, frame: Frame) -> None:
        if self.running is not None:
            self.running.receive(nic, tag, frame)

    def deadline(self) -> float | None:
        return None if self.running is None else self.running.deadline()

    def on_timer(self, now: float) -> None:
        if self.running is not None:
            self.running.on_timer(now)

    def carp_states(self) -> dict[str, str]:
        """Return label -> role of every vhid, ``{"1@em0": "MASTER"}``; empty while it is down."""
        with self.network.lock:
            return {} if self.running is None else self.running.roles()

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
            if self.running is not None:
                self.running.set_carrier(nic, link=connected)
            self.network.wake()

    # -- commands ---------------------------------------------------------------------------------------------------

    def command(
        self, argv: Sequence[str], cwd: str = "/", env: Mapping[str, str] | None = None, user: str = "root"
    ) -> Reply:
        """Run one simulated command.  A machine that is down answers nothing, with status 255.

        ``argv[0]`` may carry a directory.
        """
        with self.network.lock:
            if self.running is None or self.state in _NO_KERNEL_STATES:
                return Reply(status=255)
            name = argv[0].rsplit("/", 1)[-1]
            command = self.lookup(name)
            if command is None:
                return failure(f"{name}: not found", 127)
            before = self.deadline()
            reply = command(Call((name, *argv[1:]), cwd, env or {}, user))
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
            "SHELL": f"/bin/{self.system.login_shell}",
            "PATH": f"{path}:/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin",
            MARK: self._mark,
            "TZ": "UTC",
            "LC_ALL": "C",
        }
