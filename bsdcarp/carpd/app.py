"""The command line of carpd, and the order in which the daemon starts and ends.

``carpd run`` never forks: systemd, OpenRC's supervise-daemon and the shell script that comes with it all want that.

Exit statuses: 0 done; 1 refused, or the configuration that ``-n`` looked at has problems; 2 usage; 78 ``run`` with a
configuration it cannot use, which no restart would cure (sysexits(3), EX_CONFIG).
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import resource
import signal
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bsdcarp import __version__
from bsdcarp.carpd import ctl, privileges, rundirectory
from bsdcarp.carpd.config import Config, ConfigError, read
from bsdcarp.carpd.errors import CarpdError
from bsdcarp.carpd.hooks import LIMIT, Hooks, problem_with
from bsdcarp.carpd.logs import Logger, open_log

if TYPE_CHECKING:
    from bsdcarp.carpd.loop import Loop

__all__ = ["CONFIG", "EX_CONFIG", "main"]

CONFIG = "/etc/bsdcarp/carpd.json"
EX_CONFIG = 78
_LOOK = 0.02


def main(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Run carpd with ``argv`` (default: the process's) and return the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "ctl":
            return ctl.main(arguments, sys.stdout)
        if arguments.command == "clean":
            return clean(arguments.run_directory, open_log(foreground=True, environ=environ))
        return test(arguments.config) if arguments.test else run(arguments, environ)
    except ctl.Refused as refused:
        _complain(str(refused))
        return 1
    except BrokenPipeError:
        # Whoever read has had enough; what Python still holds for standard output has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="carpd", description="CARP for Linux, interoperable with the kernel of FreeBSD.")
    parser.add_argument("--version", action="version", version=f"carpd {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    daemon = commands.add_parser("run", help="be the daemon, in the foreground")
    daemon.add_argument("-c", dest="config", metavar="FILE", default=CONFIG, help="configuration (%(default)s)")
    daemon.add_argument("-n", dest="test", action="store_true", help="only test the configuration")
    daemon.add_argument("-d", dest="debug", action="store_true", help="log to standard error")
    cleaner = commands.add_parser("clean", help="remove what a daemon that was killed has left behind")
    for command in (daemon, cleaner):
        command.add_argument("--run-directory", metavar="DIR", default=rundirectory.DEFAULT, help="%(default)s")
    ctl.add_arguments(commands.add_parser("ctl", help="ask or tell the running daemon"))
    return parser


def test(path: str) -> int:
    """Print the problems of the configuration at ``path``, one a line, and return 0 if there are none."""
    try:
        config = read(path)
    except ConfigError as error:
        for problem in error.problems:
            _complain(problem)
        return 1
    script = problem_with(config.notify) if config.notify else None
    if script:
        _complain(f"{path}: notify: {script}")
    return 1 if script else 0


def run(arguments: Namespace, environ: Mapping[str, str]) -> int:
    """Be the daemon until SIGTERM or SIGINT."""
    log = open_log(foreground=arguments.debug, environ=environ)
    try:
        config = read(arguments.config)
    except ConfigError as error:
        for problem in error.problems:
            _fatal(log, problem)
        # The one before may have been killed as MASTER, and nobody else will take its addresses away.
        clean(arguments.run_directory, log)
        return EX_CONFIG
    if os.geteuid() != 0:
        return _fatal(log, "only root can run carpd")
    try:
        rundirectory.prepare(arguments.run_directory)
        return _serve(config, arguments, environ, log)
    except (CarpdError, OSError) as error:
        return _fatal(log, str(error))


def clean(run_directory: str, log: Logger) -> int:
    """Remove addresses, interfaces, rules and routes of a daemon that was killed, and restore its sysctls."""
    from bsdcarp.carpd.host import Host

    try:
        host = Host(run_directory)
    except (CarpdError, OSError) as error:
        return _fatal(log, str(error))
    for line in host.recovered:
        log.write("notice", f"after an unclean end: {line}")
    host.close(())
    return 0


def _serve(config: Config, arguments: Namespace, environ: Mapping[str, str], log: Logger) -> int:
    # Imported here so that `carpd ctl` need not wait for them.
    from bsdcarp.carpd.control import Control
    from bsdcarp.carpd.daemon import Daemon
    from bsdcarp.carpd.herald import Herald
    from bsdcarp.carpd.loop import Loop
    from bsdcarp.carpd.notify import Notify

    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # there are passwords in memory
    with contextlib.suppress(OSError, ValueError):
        faulthandler.enable()  # says where it hung when the watchdog ends it
    loop = Loop()
    notify = Notify(environ)
    hooks = Hooks(loop, log.write)
    herald = Herald(loop, log, notify, hooks)
    daemon = Daemon(
        config,
        run_directory=arguments.run_directory,
        load=lambda: read(arguments.config),
        observer=herald,
        loop=loop,
    )
    control = Control(Path(arguments.run_directory, "carpd.sock"), loop, daemon, log.write)
    herald.daemon, herald.control = daemon, control
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.on_signal(number, daemon.request_stop)
    loop.on_signal(signal.SIGHUP, daemon.request_reload)
    problem = problem_with(config.notify) if config.notify else None
    if problem:
        log.write("warning", f"notify script will not be run: {problem}")
    privileges.raise_priority(log.write)
    privileges.lock_memory(log.write)
    privileges.protect_from_oom(log.write)
    try:
        daemon.open()
        control.open()
        privileges.drop(log.write)
        # What is there now stays: the collector need not look at it again, and its pauses stay short.
        gc.collect()
        gc.freeze()
        notify.watch(loop)
        return daemon.run()
    except (CarpdError, OSError):
        raise
    except Exception:  # noqa: BLE001 - a fault of ours: addresses go, the log says where, the service manager starts anew
        for line in traceback.format_exc().splitlines():
            log.write("error", line)
        return 1
    finally:
        daemon.close()
        _finish(loop, hooks)
        control.close()
        notify.close()


def _finish(loop: Loop, hooks: Hooks) -> None:
    """Let the scripts that heard of the end come to theirs; the addresses are gone already."""
    if hooks.busy:
        loop.call_later(LIMIT, loop.stop)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.on_signal(number, loop.stop)

        def look() -> None:
            if hooks.busy:
                loop.call_later(_LOOK, look)
            else:
                loop.stop()

        look()
        loop.run()
    hooks.close()


def _fatal(log: Logger, text: str) -> int:
    log.write("error", text)
    if not log.on_stderr:
        _complain(text)
    return 1


def _complain(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"carpd: {text}\n")
