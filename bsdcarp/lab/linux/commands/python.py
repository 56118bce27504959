"""python3 on a simulated Linux host: its version, the daemon's program, and -c, which the real interpreter runs."""

from __future__ import annotations

import functools
import io
import json
import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from bsdcarp.carpd import ctl
from bsdcarp.carpd.config import ConfigError
from bsdcarp.carpd.status import as_text
from bsdcarp.lab.linux.programs import python_complaint, read_config
from bsdcarp.lab.reply import Call, Reply, failure, text

if TYPE_CHECKING:
    from bsdcarp.lab.linux.machine import LinuxMachine

__all__ = ["python3"]

_CONFIG = "/etc/bsdcarp/carpd.json"


class _Ended(Exception):
    """The program is over, with ``status`` and what it printed."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status)
        self.reply = text(stderr=message, status=status) if status else text(message)


class _Parser(ArgumentParser):
    """argparse that raises instead of leaving; sub-parsers are of the same class."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise _Ended(status, message or "")

    def print_help(self, file: object = None) -> None:
        del file
        raise _Ended(0, self.format_help())

    def error(self, message: str) -> NoReturn:
        raise _Ended(2, f"{self.format_usage()}{self.prog}: error: {message}\n")


def python3(machine: LinuxMachine, call: Call) -> Reply:
    """Run python3 [-I ...] -V | -c CODE | FILE."""
    if machine.python is None:
        return failure("/bin/sh: 1: python3: not found", 127)
    words = list(call.args)
    while words and words[0] in {"-I", "-E", "-s", "-S", "-u", "-B"}:
        words.pop(0)
    if words[:1] in (["-V"], ["--version"]):
        return text(f"Python {machine.python}\n")
    if words[:1] == ["-c"] and len(words) > 1:
        major, minor, *rest = machine.python_version
        pretence = f"import sys; sys.version_info = ({major}, {minor}, {rest[0] if rest else 0}, 'final', 0)\n"
        code = f"{pretence}sys.version = '{machine.python} (main)'\n{words[1]}"
        return Reply(script=f"exec {shlex.join([sys.executable, '-I', '-c', code, *words[2:]])}")
    if not words:
        return Reply(script=f"exec {shlex.join([sys.executable, '-I'])}")
    program = words[0].removeprefix(str(machine.root))
    if (complaint := python_complaint(machine, program, call.name)) is not None:
        return failure(complaint[1], complaint[0])
    return _carpd(machine, words[1:], is_root=call.is_root)


@functools.cache
def _parser() -> ArgumentParser:
    parser = _Parser(prog="carpd")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    daemon = commands.add_parser("run")
    daemon.add_argument("-c", dest="config", metavar="FILE", default=_CONFIG)
    daemon.add_argument("-n", dest="test", action="store_true")
    daemon.add_argument("-d", dest="debug", action="store_true")
    daemon.add_argument("--run-directory", metavar="DIR")
    ctl.add_arguments(commands.add_parser("ctl"))
    return parser


def _carpd(machine: LinuxMachine, words: Sequence[str], *, is_root: bool) -> Reply:
    try:
        arguments = _parser().parse_args(words)
    except _Ended as ended:
        return ended.reply
    if arguments.command == "ctl":
        return _control(machine, arguments, is_root=is_root)
    if not arguments.test:
        return failure("carpd: the lab runs the daemon as a service only: systemctl start bsdcarp-carpd")
    try:
        read_config(machine, arguments.config.removeprefix(str(machine.root)))
    except ConfigError as error:
        return failure("\n".join(f"carpd: {problem}" for problem in error.problems))
    return text()


def _control(machine: LinuxMachine, arguments: Namespace, *, is_root: bool) -> Reply:
    daemon = machine.carpd
    if not is_root:
        return failure(f"carpd: {arguments.socket}: only root may do this")
    if daemon is None:
        return failure(f"carpd: {arguments.socket}: carpd is not running")
    out = io.StringIO()
    name = arguments.request
    if name == "status":
        document = daemon.document()
        out.write(json.dumps(document, indent=2) + "\n" if arguments.json else as_text(document))
    elif name == "failover":
        try:
            daemon.failover(arguments.vhid, arguments.interface, undo=arguments.undo)
        except LookupError as error:
            return failure(f"carpd: {error.args[0]}")
    elif name in {"demote", "undemote"}:
        before = daemon.node.demotion
        if name == "demote":
            daemon.demote(arguments.amount)
        else:
            daemon.undemote()
        out.write(f"net.inet.carp.demotion: {before} -> {daemon.node.demotion}\n")
    else:
        return failure("carpd: the lab streams no events")
    return text(out.getvalue())
