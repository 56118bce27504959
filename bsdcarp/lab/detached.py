"""A lab as the command line runs it: in the foreground until interrupted, or as a process of its own.

The process that runs a lab holds a lock on ``lab.pid`` in its directory for as long as it lives.  So "does it run" is
never guessed from a number that may belong to somebody else by now, and ``lab_down`` ends exactly that process.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Generator, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bsdcarp.errors import BsdcarpError, LabError

__all__ = ["LabHost", "LabState", "lab_down", "lab_status", "run_lab_up"]

_PATIENCE = 10.0
"""Seconds a lab gets to end."""
_LOOK = 0.1


@dataclass(frozen=True, slots=True)
class LabHost:
    """One simulated host: where the inventory says it is, its system, its loopback port, whether that answers."""

    name: str
    address: str
    release: str
    title: str
    """The release as people call it: ``FreeBSD 14.2``, ``Debian 12``."""
    port: int
    reachable: bool


@dataclass(frozen=True, slots=True)
class LabState:
    """What there is to know about the lab in ``directory``; ``pid`` is 0 if none runs."""

    directory: str
    running: bool
    pid: int = 0
    ssh_config: str = ""
    inventory: str = ""
    hosts: tuple[LabHost, ...] = ()


def run_lab_up(
    inventory_path: Path,
    directory: Path,
    *,
    hosts: Collection[str] | None = None,
    releases: Mapping[str, str] | None = None,
    noise: Collection[str] = (),
    detach: bool = False,
    stop: threading.Event | None = None,
) -> Generator[LabState, None, None]:
    """Start a lab and yield its state once every machine answers.

    Detached, that is all.  Otherwise the next step blocks until SIGINT, SIGTERM or ``stop``, then ends the lab and
    yields the state that is left.  Raises ``InventoryError`` or ``LabError``, the latter also if one runs already.
    """
    if detach:
        yield _start_process(inventory_path, directory, hosts, releases, noise)
        return
    # Imported here so that asking for the state of a lab does not load paramiko.
    from bsdcarp.inventory import load, require
    from bsdcarp.lab.up import Lab

    inventory = require(load(inventory_path))
    stop = stop or threading.Event()
    with _claimed(directory), Lab.start(inventory, directory, hosts=hosts, releases=releases, noise=noise) as lab:
        state = LabState(
            directory=str(lab.directory),
            running=True,
            pid=os.getpid(),
            ssh_config=str(lab.ssh_config),
            inventory=str(inventory_path),
            hosts=tuple(
                LabHost(
                    name,
                    inventory.hosts[name].address,
                    machine.system.name,
                    machine.system.title,
                    lab.port(name),
                    machine.alive,
                )
                for name, machine in lab.machines.items()
            ),
        )
        (lab.directory / "lab.json").write_text(json.dumps(asdict(state), indent=2) + "\n")
        with _interrupts() as interrupted:
            yield state
            # Looked at again and again: a signal just before the wait would not wake it (Python runs handlers late).
            while not interrupted and not stop.wait(_LOOK):
                pass
    yield lab_status(directory)


def lab_status(directory: Path) -> LabState:
    """Look whether a lab runs in ``directory``, and which of its hosts answer."""
    pid = _holder(directory)
    if pid is None:
        return LabState(str(directory), running=False)
    try:
        known: dict[str, Any] = json.loads((directory / "lab.json").read_text())
        hosts = [LabHost(**{**host, "reachable": _answers(host["port"])}) for host in known["hosts"]]
        if known["pid"] != pid:
            # Left from an earlier run: the present one is still on its way up.
            return LabState(str(directory), running=True, pid=pid)
    except (OSError, ValueError, KeyError, TypeError):
        return LabState(str(directory), running=True, pid=pid)
    return LabState(str(directory), True, pid, known["ssh_config"], known["inventory"], tuple(hosts))


def lab_down(directory: Path) -> LabState:
    """End the lab that runs in ``directory`` and return what it was; raises ``LabError`` if none does."""
    state = lab_status(directory)
    if not state.running:
        raise LabError("no lab runs here", place=str(directory))
    with contextlib.suppress(ProcessLookupError):
        os.kill(state.pid, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    while _holder(directory) == state.pid:
        if time.monotonic() > deadline:
            raise LabError(f"process {state.pid} does not end", place=str(directory), remedy=f"kill -9 {state.pid}")
        time.sleep(0.02)
    return state


@contextlib.contextmanager
def _claimed(directory: Path) -> Iterator[None]:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (directory / "lab.pid").open("a+")
    except OSError as error:
        raise LabError(f"cannot keep a lab here: {error.strerror}", place=str(directory)) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabError("a lab runs here already", place=str(directory), remedy="bsdcarp lab down ends it") from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _holder(directory: Path) -> int | None:
    """Return the process that holds the lock; None if nobody does."""
    with contextlib.suppress(OSError), (directory / "lab.pid").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read().strip()
            return int(text) if text.isdigit() else None
    return None


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM; outside the main thread they are somebody else's business."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    # The handler only takes a note: anything with a lock could meet the very thread it interrupts.
    before = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def _start_process(
    inventory_path: Path,
    directory: Path,
    hosts: Collection[str] | None,
    releases: Mapping[str, str] | None,
    noise: Collection[str],
) -> LabState:
    order = {
        "inventory": str(inventory_path.absolute()),
        "directory": str(directory.absolute()),
        "hosts": None if hosts is None else list(hosts),
        "releases": dict(releases or {}),
        "noise": list(noise),
    }
    # The new process says through this pipe what went wrong, and closes it when everything is up.
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as answer:
        try:
            subprocess.run(
                [sys.executable, "-m", "bsdcarp.lab.detached", json.dumps(order), str(writer)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(writer,),
                env={**os.environ, "PYTHONPATH": _python_path()},
                check=True,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise LabError(f"cannot start a process for the lab: {error}") from error
        finally:
            os.close(writer)
        complaint = answer.read().decode("utf-8", "replace")
    if complaint:
        place, cause, remedy = (*complaint.split("\0"), "", "")[:3]
        raise LabError(cause, place=place, remedy=remedy)
    state = lab_status(directory)
    if not state.running:
        raise LabError("the lab ended as soon as it began", place=str(directory), remedy="run it in the foreground")
    return state


def _python_path() -> str:
    # The new process has to find this very package, installed or not.
    here = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])


def _main(order: dict[str, Any], writer: int) -> int:
    # Nobody's child: whoever started it need not wait for it, and its terminal's signals do not reach it.
    if os.fork():
        return 0
    os.setsid()
    os.chdir("/")
    with os.fdopen(writer, "wb", buffering=0) as answer:
        try:
            states = run_lab_up(
                Path(order["inventory"]),
                Path(order["directory"]),
                hosts=order["hosts"],
                releases=order["releases"],
                noise=order["noise"],
            )
            next(states)
        except BsdcarpError as error:
            answer.write(f"{error.place}\0{error.cause}\0{error.remedy}".encode())
            return error.exit_code
    for _ in states:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(_main(json.loads(sys.argv[1]), int(sys.argv[2])))
