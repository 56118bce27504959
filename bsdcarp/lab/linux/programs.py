"""What systemd starts on a simulated Linux host: python3 with the daemon's program, and others, which do nothing."""

from __future__ import annotations

import shlex
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING

from bsdcarp.carpd.config import Config, ConfigError, read
from bsdcarp.lab.linux.carpd import Carpd
from bsdcarp.lab.linux.systemd import EXEC, Failed, Process

if TYPE_CHECKING:
    from bsdcarp.lab.linux.machine import LinuxMachine

__all__ = ["LinuxPrograms", "python_complaint", "read_config"]

_CONFIG = "/etc/bsdcarp/carpd.json"
_SOCKET = "/run/bsdcarp/carpd.sock"
_OLDEST = (3, 8)
EX_CONFIG = 78


def read_config(machine: LinuxMachine, path: str) -> Config:
    """Read the daemon's configuration as the daemon does.  Raises its ConfigError."""
    try:
        return read(str(machine.tree.path(path)))
    except ConfigError as error:
        raise ConfigError(tuple(problem.replace(f"{machine.root}/", "/") for problem in error.problems)) from None


def python_complaint(machine: LinuxMachine, program: str, name: str = "/usr/bin/python3") -> tuple[int, str] | None:
    """What python3, called as ``name``, says instead of running the zipapp ``program``: (status, text) or None."""
    file = machine.tree.path(program)
    if not file.is_file():
        return 2, f"{name}: can't open file '{program}': [Errno 2] No such file or directory"
    if not zipfile.is_zipfile(file):
        return 1, f'  File "{program}", line 1\nSyntaxError: invalid syntax'
    if machine.python_version < _OLDEST:
        return 1, f'  File "{program}/__main__.py", line 1\nSyntaxError: invalid syntax'
    return None


class _Running:
    """The daemon as systemd's main process; the socket is there as long as it runs."""

    def __init__(self, machine: LinuxMachine, carpd: Carpd, config: str) -> None:
        self.carpd = carpd
        self.config = config
        self._machine = machine
        machine.tree.write(_SOCKET, "")
        machine.carpd = carpd

    def stop(self) -> None:
        self.carpd.stop()
        self._machine.tree.path(_SOCKET).unlink(missing_ok=True)
        self._machine.carpd = None

    def kill(self) -> None:
        self.carpd.kill()
        self._machine.carpd = None


class LinuxPrograms:
    """Runs command lines of units for one machine."""

    def __init__(self, machine: LinuxMachine) -> None:
        self._machine = machine

    def spawn(self, command: str, pid: int, log: Callable[[str], None]) -> Process | None:
        """Start what ExecStart= names.  Raises :class:`Failed` with the status that the program leaves with."""
        words = self._words(command)
        if not words[0].rsplit("/", 1)[-1].startswith("python3"):
            return None
        program, arguments = _program(words)
        if (complaint := python_complaint(self._machine, program)) is not None:
            raise Failed(complaint[0], *complaint[1].splitlines())
        path = _option(arguments, "-c") or _CONFIG
        try:
            config = read_config(self._machine, path)
        except ConfigError as error:
            raise Failed(EX_CONFIG, *error.problems) from None
        carpd = Carpd(self._machine.kernel, config, pid=pid, draw=self._machine.draw(pid), log=log)
        carpd.open()
        return _Running(self._machine, carpd, path)

    def signal(self, process: Process | None, command: str) -> None:
        """Run a line of ExecReload=: the test of the configuration, or kill -HUP.  Raises :class:`Failed`."""
        words = self._words(command)
        if words[0].rsplit("/", 1)[-1].startswith("python3"):
            program, arguments = _program(words)
            if (complaint := python_complaint(self._machine, program)) is not None:
                raise Failed(complaint[0], *complaint[1].splitlines())
            try:
                read_config(self._machine, _option(arguments, "-c") or _CONFIG)
            except ConfigError as error:
                raise Failed(1, *(f"carpd: {problem}" for problem in error.problems)) from None
        elif isinstance(process, _Running):
            try:
                process.carpd.reload(read_config(self._machine, process.config))
            except ConfigError as error:
                for problem in error.problems:
                    process.carpd.say(f"not reloaded: {problem}")

    def _words(self, command: str) -> list[str]:
        words = shlex.split(command.lstrip("-+!@:"))
        if not words or not self._machine.has_program(words[0]):
            raise Failed(EXEC)
        return words


def _program(words: list[str]) -> tuple[str, list[str]]:
    rest = [word for word in words[1:] if word not in {"-I", "-E", "-s", "-u", "-B"}]
    return (rest[0], rest[1:]) if rest else ("", [])


def _option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1] if name in arguments[:-1] else ""
