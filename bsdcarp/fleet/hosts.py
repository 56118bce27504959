"""Sessions to hosts: one connection each, opened when first needed, closed together, at most N at work at once."""

from __future__ import annotations

import contextlib
import secrets as randomness
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import BsdcarpError, HostRefused, SshError
from bsdcarp.fleet.interrupts import noted_interrupts
from bsdcarp.fleet.progress import Event, Listener, silent
from bsdcarp.inventory.secrets import resolve
from bsdcarp.model import Host, Inventory
from bsdcarp.platforms.paths import CARPD_CONFIG, LINUX_RECORD_PATH, RECORD_PATH, kernconf_path
from bsdcarp.ssh import Become, Session, connect
from bsdcarp.ssh import resolve as resolve_target

if TYPE_CHECKING:
    from bsdcarp.plan import Plan
    from bsdcarp.snapshot import Snapshot
    from bsdcarp.transaction import Ending, Outcome, Terms

__all__ = ["Fleet", "Look", "Options"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """How hosts are reached."""

    ssh_config: Path | None = None
    accept_new: bool = False
    parallel: int = 20
    """Hosts at work at the same time."""
    connect_timeout: float | None = None
    """Seconds, for TCP, banner and login each; None: ConnectTimeout of ssh_config, or 20."""
    read_timeout: float = 60.0
    """Seconds for reading a host."""
    apply_timeout: float = 120.0
    """Seconds for a transaction."""


@dataclass(frozen=True, slots=True)
class Look:
    """What came of looking at one host: a snapshot, or the error that prevented it."""

    host: str
    snapshot: Snapshot | None = None
    error: BsdcarpError | None = None


@dataclass(slots=True)
class _Line:
    """One host's connection; the lock keeps two threads off the same session."""

    session: Session | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Fleet:
    """Sessions to the hosts of one inventory.  Use as a context manager; closing it ends every session."""

    def __init__(self, inventory: Inventory, options: Options | None = None, listener: Listener = silent) -> None:
        self.inventory = inventory
        self.options = options or Options()
        self.tell = listener
        self._lines = {name: _Line() for name in inventory.hosts}
        self._stopping = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every session."""
        self.hang_up()
        for line in self._lines.values():
            session, line.session = line.session, None
            if session:
                with contextlib.suppress(Exception):
                    session.close()

    def hang_up(self) -> None:
        """Begin to end every session: there is nothing more to say, and nothing is waited for yet."""
        for line in self._lines.values():
            if line.session:
                with contextlib.suppress(Exception):
                    line.session.hang_up()

    def stop(self) -> None:
        """Begin nothing new; what runs on a host is left to finish."""
        self._stopping = True

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping

    def each(
        self, work: Callable[[T], object], items: Iterable[T], *, meanwhile: Callable[[], object] | None = None
    ) -> None:
        """Run ``work`` on every item, at most ``parallel`` at a time, and ``meanwhile`` once beside them.

        An interrupt stops what has not begun, waits for what has, and is raised then.
        """
        with noted_interrupts(self.stop) as interrupts:

            def unless_interrupted(item: T) -> None:
                if not interrupts.came:
                    work(item)

            with ThreadPoolExecutor(self.options.parallel, thread_name_prefix="host") as pool:
                futures: list[Future[None]] = [pool.submit(unless_interrupted, item) for item in items]
                try:
                    if meanwhile:
                        meanwhile()
                except BaseException:
                    self.stop()
                    pool.shutdown(cancel_futures=True)
                    raise
        if interrupts.came:
            raise KeyboardInterrupt
        for future in futures:
            future.result()

    def look(self, hosts: Iterable[str]) -> dict[str, Look]:
        """Read hosts side by side; a host that cannot be read carries its error instead."""
        names = list(hosts)
        found: dict[str, Look] = {}

        def one(name: str) -> None:
            found[name] = self.look_at(name)

        self.each(one, names)
        return {name: found[name] for name in names}

    def look_at(self, name: str) -> Look:
        """Read one host; an error becomes part of what is returned."""
        try:
            look = Look(name, snapshot=self.read(name))
            self.tell(Event(name, "read"))
        except BsdcarpError as error:
            look = Look(name, error=error)
            self.tell(Event(name, "failed", str(error)))
        return look

    def read(self, name: str, more_files: Iterable[str] = ()) -> Snapshot:
        """Read one host in one round trip, and ``more_files`` of it.

        Raises ``SshError``, ``RemoteError`` or ``HostRefused``.
        """
        usual = (RECORD_PATH, LINUX_RECORD_PATH, CARPD_CONFIG, kernconf_path(self.inventory.hosts[name]))
        files = (*usual, *(path for path in more_files if path not in usual))

        def script(token: str) -> bytes:
            # The host starts its sshd before this is imported.
            from bsdcarp.snapshot import read_script

            return read_script(token, files)

        self.tell(Event(name, "reading"))
        answer, token = self._ask(name, script, self.options.read_timeout)
        from bsdcarp.snapshot import parse

        snapshot = parse(answer, token, host=name)
        _manageable(name, snapshot)
        return snapshot

    def transact(self, plan: Plan, terms: Terms) -> Outcome:
        """Put one plan into force.  Raises ``SshError``; a session lost midway is an ``Outcome`` of state ``lost``."""
        from bsdcarp.transaction import Outcome, read_outcome, transaction_script

        if self.stopping:
            return Outcome(plan.host, "untouched", "interrupted")
        self.tell(Event(plan.host, "applying"))
        try:
            answer, token = self._ask(
                plan.host, lambda token: transaction_script(plan, terms, token=token), self.options.apply_timeout
            )
        except SshError as error:
            if not getattr(error, "sent", False):
                raise
            return Outcome(plan.host, "lost", str(error))
        return read_outcome(answer, token, plan)

    def end(self, host: str, script: Callable[[str], bytes]) -> tuple[Ending, str]:
        """Confirm or take back a transaction: run what ``script`` makes of a marker, and read how it ended."""
        from bsdcarp.transaction import read_ending

        try:
            return read_ending(*self._ask(host, script, self.options.apply_timeout))
        except SshError as error:
            if not getattr(error, "sent", False):
                raise
            return "lost", str(error)

    def run(self, name: str, script: bytes, *, timeout: float = 30.0) -> bytes:
        """Run a script on one host as root and return its standard output."""
        return self._run(name, lambda: script, timeout)

    def forget(self, name: str) -> None:
        """End the session to ``name``; the next use opens a new one."""
        line = self._lines[name]
        session, line.session = line.session, None
        if session:
            with contextlib.suppress(Exception):
                session.close()

    def _ask(self, name: str, script: Callable[[str], bytes], timeout: float) -> tuple[bytes, str]:
        """Run what ``script`` makes of a fresh marker in the shell that lasts; return the answer and the marker."""
        token = randomness.token_hex(16)
        return self._run(name, lambda: script(token), timeout, lasting=True), token

    def _run(self, name: str, script: Callable[[], bytes], timeout: float, *, lasting: bool = False) -> bytes:
        host, line = self.inventory.hosts[name], self._lines[name]
        with line.lock:
            if line.session is None:
                self.tell(Event(name, "connecting"))
                line.session = self._connect(host)
            return line.session.run(script(), timeout=timeout, become=self._become(host), lasting=lasting).stdout

    def _connect(self, host: Host) -> Session:
        target = resolve_target(
            host.name,
            host.address,
            user=host.user,
            port=host.port,
            ssh_config=self.options.ssh_config,
            accept_new=self.options.accept_new,
            legacy=host.legacy_ssh,
            connect_timeout=self.options.connect_timeout,
        )
        return connect(target)

    def _become(self, host: Host) -> Become:
        source = host.become.password
        password = resolve(source, base_dir=Path(self.inventory.path).parent) if source else None
        return Become(host.become.method, password)


def _manageable(name: str, snapshot: Snapshot) -> None:
    if snapshot.appliance:
        raise HostRefused(
            f"{snapshot.appliance} keeps its own configuration and would overwrite what bsdcarp writes",
            place=name,
            remedy="configure CARP in its web interface",
        )
    if snapshot.uid != 0:
        raise HostRefused(
            "not root on this host", place=name, remedy="log in as root, or set `become:` to sudo, doas or su"
        )
