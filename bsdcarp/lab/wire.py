"""Between the client programs of the sessions and the machines: one thread that answers for all machines of a lab."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import threading
from collections.abc import Callable, Iterable

from bsdcarp.errors import LabError
from bsdcarp.lab.client import SLOTS
from bsdcarp.lab.host import Host
from bsdcarp.lab.reply import Reply

__all__ = ["CommandServer", "plain_answer", "shell_fragment", "short_fragment"]

_IDLE_MS = 1000
_SHORT = 400
"""Bytes of an answer that goes through the FIFO; a longer one is quicker read from a file."""
_MANY = 65536
_AT_ONCE = 32768
"""Bytes of an answer that surely fit into an empty FIFO with its first line."""
_LINE = re.compile(rb"[ -~\n\t]*")


def shell_fragment(reply: Reply) -> str:
    """Write a reply as the shell text that prints it and leaves with its status."""
    parts = []
    if reply.stdout:
        parts.append(_printing(reply.stdout))
    if reply.stderr:
        parts.append(_printing(reply.stderr) + " >&2")
    if reply.script:
        parts.append(f"exec 9<&-\n{reply.script}")
    else:
        parts.append(f"exit {reply.status}")
    return "\n".join(parts) + "\n"


def short_fragment(reply: Reply) -> str | None:
    """Write a reply as one line of shell text; None if it is long, starts programs or holds more than plain text."""
    if reply.script or len(reply.stdout) + len(reply.stderr) > _SHORT:
        return None
    if not (_LINE.fullmatch(reply.stdout) and _LINE.fullmatch(reply.stderr)):
        return None
    out = f"printf {_format(reply.stdout)};" if reply.stdout else ""
    err = f"printf {_format(reply.stderr)} >&2;" if reply.stderr else ""
    return f"{out}{err}exit {reply.status}"


def plain_answer(reply: Reply) -> bytes | None:
    """Write a reply for a client that is no shell: its status and how long both outputs are, and the outputs.

    None if it starts programs, or is more than a FIFO takes at once.
    """
    size = len(reply.stdout) + len(reply.stderr)
    if reply.script or size > _AT_ONCE:
        return None
    return b"%d %d %d\n%b%b" % (reply.status, len(reply.stdout), len(reply.stderr), reply.stdout, reply.stderr)


def _format(data: bytes) -> str:
    text = data.decode("ascii").replace("\\", "\\\\").replace("%", "%%").replace("\n", "\\n").replace("\t", "\\t")
    # printf would take a leading hyphen for an option.
    return shlex.quote(f"\\055{text[1:]}" if text.startswith("-") else text)


def _printing(data: bytes) -> str:
    if b"\0" in data:  # no shell can hold a NUL, so these bytes are spelled out
        return "printf '" + "".join(f"\\{octet:03o}" for octet in data) + "'"
    return "printf %s " + shlex.quote(data.decode("utf-8", "surrogateescape"))


class CommandServer:
    """Serves the clients of ``machines``.  Raises :class:`LabError` when a FIFO cannot be made.

    ``failed`` is told of an exception that a simulated command raised; the client then sees status 70.
    """

    def __init__(self, machines: Iterable[Host] = (), failed: Callable[[Host, Exception], None] | None = None) -> None:
        self._stations: dict[int, _Station] = {}
        self._failed = failed or (lambda _machine, _error: None)
        self._poll = select.poll()
        self._wake_read, self._wake_write = os.pipe()
        self._poll.register(self._wake_read, select.POLLIN)
        self._thread: threading.Thread | None = None
        for machine in machines:
            self.add(machine)

    def add(self, machine: Host) -> None:
        """Serve one more machine; before :meth:`start`."""
        try:
            station = _Station(machine)
        except OSError as error:
            raise LabError(f"cannot make a FIFO: {error.strerror}", place=str(machine.lab_directory)) from error
        self._stations[station.request] = station
        self._poll.register(station.request, select.POLLIN)

    def start(self) -> None:
        """Start answering."""
        self._thread = threading.Thread(target=self._serve, name="lab commands", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, remove the FIFOs and tell every waiting client that the machine is down."""
        os.write(self._wake_write, b"x")
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for station in self._stations.values():
            station.close()
        self._stations.clear()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _serve(self) -> None:
        while True:
            busy = any(station.busy for station in self._stations.values())
            events = self._poll.poll(_IDLE_MS if busy else None)
            for ready, _event in events:
                if ready == self._wake_read:
                    return
                self._stations[ready].serve(self._failed)
            if not events:
                for station in self._stations.values():
                    station.reclaim()


class _Station:
    """The FIFOs of one machine."""

    def __init__(self, machine: Host) -> None:
        self._machine = machine
        self._directory = machine.lab_directory
        # Paths as text: this runs for every command, and building a Path costs as much as opening the file.
        self._place = str(self._directory)
        self._answered: dict[str, str] = {}
        self._count = 0
        self._directory.mkdir(parents=True, exist_ok=True)
        for old in self._directory.iterdir():
            old.unlink()
        for slot in range(SLOTS):
            os.mkfifo(self._directory / f"r.{slot}")
        os.mkfifo(self._directory / "request")
        self.request = os.open(self._directory / "request", os.O_RDWR | os.O_NONBLOCK)

    @property
    def busy(self) -> bool:
        """Whether clients were answered that have not been seen to end."""
        return bool(self._answered)

    def serve(self, failed: Callable[[Host, Exception], None]) -> None:
        """Answer what is waiting."""
        try:
            waiting = os.read(self.request, select.PIPE_BUF).decode("ascii", "replace").split()
        except BlockingIOError:
            return
        self.reclaim()
        for slot in waiting:
            if slot.isdigit() and int(slot) < SLOTS:
                self._answer(slot, failed)

    def _answer(self, slot: str, failed: Callable[[Host, Exception], None]) -> None:
        try:
            fields = _content(f"{self._place}/q.{slot}").split(b"\0")[:-1]
        except OSError:
            return
        # A client that is no shell says so by a first field that is empty (tests/realhosts/client.c).
        plain = fields[:1] == [b""]
        name, cwd, user, *args = (field.decode("utf-8", "surrogateescape") for field in fields[plain:])
        inside = cwd.removeprefix(str(self._machine.root)) or "/"
        try:
            reply = self._machine.command([name, *args], inside, user=user)
        except Exception as error:  # noqa: BLE001  # a mistake in one simulated command must not stop the lab
            failed(self._machine, error)
            reply = Reply(stderr=f"{name}: the lab failed: {error!r}\n".encode(errors="backslashreplace"), status=70)
        if self._machine.dying:
            # A program that failed now would have its script go on to what it does about failures.
            self._answered[slot] = ""
            return
        answer, file = self._worded(reply, plain=plain)
        self._tell(slot, answer)
        self._answered[slot] = file

    def _worded(self, reply: Reply, *, plain: bool) -> tuple[bytes, str]:
        """Return what to answer, and the file that holds the rest of it, if any."""
        if plain and (answer := plain_answer(reply)) is not None:
            return answer, ""
        if not plain and (line := short_fragment(reply)) is not None:
            return f"{line}\n".encode("ascii"), ""
        self._count += 1
        file = f"a.{self._count}"
        (self._directory / file).write_bytes(shell_fragment(reply).encode("utf-8", "surrogateescape"))
        return f'. "$d/{file}"\n'.encode("ascii"), file

    def _tell(self, slot: str, answer: bytes) -> None:
        with contextlib.suppress(OSError):  # the client is gone
            fifo = os.open(f"{self._place}/r.{slot}", os.O_WRONLY | os.O_NONBLOCK)
            os.write(fifo, answer)
            os.close(fifo)

    def reclaim(self) -> None:
        """Free the slots whose clients have ended: nobody reads their FIFO any more."""
        for slot, file in list(self._answered.items()):
            try:
                os.close(os.open(f"{self._place}/r.{slot}", os.O_WRONLY | os.O_NONBLOCK))
            except OSError:
                del self._answered[slot]
                for name in filter(None, (file, f"q.{slot}")):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(f"{self._place}/{name}")  # noqa: PTH108  # a Path costs more than the call

    def close(self) -> None:
        (self._directory / "request").unlink(missing_ok=True)
        for path in self._directory.glob("q.*"):
            self._tell(path.name.removeprefix("q."), b"exit 255\n")
        os.close(self.request)
        for path in self._directory.iterdir():
            path.unlink(missing_ok=True)


def _content(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        parts = [os.read(descriptor, _MANY)]
        while len(parts[-1]) == _MANY:
            parts.append(os.read(descriptor, _MANY))
    finally:
        os.close(descriptor)
    return b"".join(parts)
