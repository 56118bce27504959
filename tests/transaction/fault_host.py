"""A host for fault injection: a directory tree, the real sh, a simulated kernel and clock, and a way to die anywhere.

Every system call by which the programs of a transaction, or the tools that they run, change the disk or the running
system is a step; ``cut.c``, preloaded into all of them, counts the steps and kills or fails the chosen one.
"""

from __future__ import annotations

import atexit
import errno
import os
import select
import shutil
import signal
import stat
import struct
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from bsdcarp.plan import FileChange, LiveChange, Plan
from bsdcarp.plan.command import command
from bsdcarp.snapshot import Snapshot, parse, read_script
from bsdcarp.transaction import (
    Ending,
    Outcome,
    Terms,
    confirmation_script,
    read_ending,
    read_outcome,
    transaction_script,
    undo_script,
)

__all__ = ["CLAIM", "NAME", "TOKEN", "Action", "Cut", "FaultHost", "Picture", "Session", "preload", "setting"]

TOKEN = "feedfacefeedface"
NAME = "tx-20261122-120000-feedfa"
CLAIM = "c1a1m"
SHELL = os.environ.get("BSDCARP_TEST_SHELL", "/bin/sh").split()
Picture = tuple[dict[str, tuple[object, ...]], dict[str, str]]
"""Files (kind, mode, owner, group, contents by path) and the settings of the running system."""
Action = Literal["kill", "power", "fail on", "fail once", "hang up"]
_ACTIONS: dict[str, int] = {"kill": 1, "power": 2, "fail on": 3, "fail once": 4, "hang up": 5}
_LAYOUT = struct.Struct("8i")


@dataclass(frozen=True, slots=True)
class Cut:
    """What happens at which step: the program dies, everything dies, or the step fails (from then on, or once)."""

    at: int
    action: Action
    error: int = errno.ENOSPC
    after: bool = False


@cache
def preload() -> Path | None:
    """Compile ``cut.c`` once; None without a C compiler or a dynamic loader that preloads."""
    compiler = shutil.which("cc")
    if compiler is None or not Path("/proc/self/fd").exists():
        return None
    source = Path(__file__).with_name("cut.c")
    built = Path(os.environ.get("TMPDIR", "/tmp")) / f"bsdcarp-cut-{os.getuid()}-{os.getpid()}.so"
    done = subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", built, source, "-ldl"], check=False, timeout=60)
    atexit.register(built.unlink, missing_ok=True)
    return built if done.returncode == 0 else None


def setting(name: str, new: str, old: str) -> LiveChange:
    """One live command and what takes it back."""
    return LiveChange("a setting", command(f"setting {name}", new), (command(f"setting {name}", old),))


@dataclass(slots=True)
class Session:
    """One run of a script: what it said, and the processes that outlive it."""

    group: int
    alive: int
    """Reading end of a pipe that every process of the session holds open."""
    said: bytes
    errors: bytes

    def over(self, timeout: float) -> bool:
        ready, _, _ = select.select([self.alive], [], [], timeout)
        return bool(ready)

    def kill(self) -> None:
        if not self.over(0):
            with suppress(ProcessLookupError):
                os.killpg(self.group, signal.SIGKILL)


class FaultHost:
    """A root directory, its tools and kernel.  ``base`` must be empty."""

    def __init__(self, base: Path, *, root: Path | None = None) -> None:
        self.base, self.root, self.kernel = base, root or base / "a root", base / "kernel"
        self.tools = base / "tools"
        self.sessions: list[Session] = []
        for directory in ("etc", "boot", "var/db", "var/run", "dev"):
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        self.kernel.mkdir()
        self.tools.mkdir()
        self.plan_file = base / "cut"
        self._arm(None)
        # The clock stands still until the test lets the time pass, but for the second that a lock without an owner is
        # waited for; the blocked readers of a FIFO cost nothing.
        os.mkfifo(base / "clock")
        os.link(base / "clock", base / "sleepers")
        self.tool(
            "sleep", f'[ "$1" != 1 ] || [ ! -p "{base}/clock" ] || exec /bin/sleep 1; read x <"{base}/clock" || :'
        )
        self.tool("setting", f'echo "$2" >"{self.kernel}/.$1" && exec mv -f "{self.kernel}/.$1" "{self.kernel}/$1"')
        self.tool("reboot", f': >"{base}/rebooting"')
        self.tool("sync", ":")
        self.tool("fsync", ":")
        self.tool("date", f': >"{base}/asked-the-clock"; exec /bin/date "$@"')

    # --- what is on it ---------------------------------------------------------------------------------------------

    def tool(self, name: str, text: str) -> None:
        path = self.tools / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def write(self, path: str, text: str, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode("utf-8", "surrogateescape"))
        if owner and os.getuid() == 0:
            os.chown(target, *owner)
        target.chmod(mode)

    def picture(self) -> Picture:
        """Return everything but the transactions' own state."""
        found: dict[str, tuple[object, ...]] = {}
        for directory, _, names in os.walk(self.root):
            if "/var/db/bsdcarp/tx-" in directory + "/" or directory.endswith("bsdcarp.lock"):
                continue
            for name in names:
                path = Path(directory, name)
                where = str(path.relative_to(self.root))
                if where in ("var/db/bsdcarp/pending", "etc/rc.d/bsdcarp_undo") or "/.bsdcarp-tx-" in where:
                    continue
                status = path.lstat()
                link = stat.S_ISLNK(status.st_mode)
                held = str(path.readlink()) if link else path.read_bytes()
                found[where] = (stat.S_IFMT(status.st_mode), status.st_mode, status.st_uid, status.st_gid, held)
        live = {p.name: p.read_text().strip() for p in self.kernel.iterdir() if p.name.startswith("v")}
        return found, live

    def leftovers(self) -> list[str]:
        """Return what only a transaction under way may have."""
        found = list(self.root.rglob(".bsdcarp-*"))
        found += [self.root / p for p in ("var/db/bsdcarp/pending", "etc/rc.d/bsdcarp_undo", "var/run/bsdcarp.lock")]
        return [str(p.relative_to(self.root)) for p in found if p.exists()]

    def pending(self) -> bool:
        return (self.root / "var/db/bsdcarp/pending").exists()

    def recorded(self, name: str = NAME) -> str:
        """Return how the transaction ended, as the host tells it: its outcome, else what was decided."""
        here = self.root / "var/db/bsdcarp" / name
        outcome = here / "outcome"
        if outcome.exists() and outcome.read_text().strip():
            return outcome.read_text().strip()
        words = [word for word in ("confirm", "undo", "refused") if (here / f"verdict-{word}").exists()]
        return {"confirm": "confirmed", "undo": "undone", "refused": "untouched"}[words[0]] if words else ""

    # --- what happens to it ----------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        library = preload()
        cut = {"LD_PRELOAD": str(library), "CUT_PLAN": str(self.plan_file)} if library else {}
        return {
            "BSDCARP_ROOT": str(self.root),
            "BSDCARP_PATH": str(self.tools),
            "PATH": os.environ["PATH"],
            "CUT_ROOT": str(self.root),
            "CUT_KERNEL": str(self.kernel),
            **cut,
        }

    def _arm(self, cut: Cut | None, program: int = 0) -> None:
        values = (cut.at, _ACTIONS[cut.action], cut.error, program, os.getpid(), cut.after) if cut else (0,) * 6
        action, error = (values[1], values[2] if values[1] in (3, 4) else 0) if cut else (0, 0)
        packed = _LAYOUT.pack(0, int(values[0]), action, error, *(int(v) for v in values[3:6]), 0)
        with self.plan_file.open("r+b" if self.plan_file.exists() else "w+b") as file:
            file.write(packed)

    @property
    def steps(self) -> int:
        """How many steps there have been since the last script began."""
        return int(_LAYOUT.unpack(self.plan_file.read_bytes())[0])

    @property
    def acted(self) -> bool:
        return bool(_LAYOUT.unpack(self.plan_file.read_bytes())[7])

    def mend(self) -> None:
        """No step fails any more."""
        self._arm(None)

    def cut_next(self, cut: Cut) -> None:
        """Arm a cut for what is already running."""
        self._arm(cut)

    def run(self, script: bytes, cut: Cut | None = None, *, arguments: Iterable[str] = ("-s",)) -> Session:
        """Run a script to the end of its session's output."""
        reading, writing = os.pipe()
        with subprocess.Popen(
            [*SHELL, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment(),
            start_new_session=True,
            pass_fds=[writing],
        ) as sh:
            os.close(writing)
            if cut:
                self._arm(cut, sh.pid)
            try:
                said, errors = sh.communicate(script, timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(sh.pid, signal.SIGKILL)
                raise
            if cut:
                # What has ended must not be killed any more: its number may be somebody else's by now.
                with self.plan_file.open("r+b") as file:
                    file.seek(16)
                    file.write(struct.pack("i", 0))
        session = Session(sh.pid, reading, said, errors)
        self.sessions.append(session)
        return session

    def apply(
        self, plan: Plan, cut: Cut | None = None, *, name: str = NAME, steal: bool = False, reboot_window: int = 0
    ) -> Outcome:
        terms = Terms(name, "me@here", CLAIM, window=20, steal=steal, reboot_window=reboot_window)
        session = self.run(transaction_script(plan, terms, token=TOKEN), cut)
        return read_outcome(session.said, TOKEN, plan)

    def confirm(
        self, plan: Plan, cut: Cut | None = None, *, name: str = NAME, claim: str = CLAIM
    ) -> tuple[Ending, str]:
        session = self.run(confirmation_script(name, plan.state, claim, token=TOKEN), cut)
        return read_ending(session.said, TOKEN)

    def undo(self, plan: Plan, cut: Cut | None = None, *, name: str = NAME) -> tuple[Ending, str]:
        session = self.run(undo_script(name, plan.state, "the operator says so", token=TOKEN), cut)
        return read_ending(session.said, TOKEN)

    def read(self) -> Snapshot:
        """Look at it as every verb does."""
        return parse(self.run(read_script(TOKEN)).said, TOKEN, host="h")

    @contextmanager
    def time_passing(self) -> Iterator[None]:
        """Sleeps end at once, for as long as this lasts."""
        (self.base / "now").touch()
        (self.base / "now").rename(self.base / "clock")
        try:
            yield
        finally:
            os.link(self.base / "sleepers", self.base / "again")
            (self.base / "again").rename(self.base / "clock")

    def let_time_pass(self) -> None:
        """Every window runs out, and what waits for that comes to its end."""
        with self.time_passing():
            for session in self.sessions:
                for _ in range(3000):
                    with suppress(OSError):
                        os.close(os.open(self.base / "sleepers", os.O_WRONLY | os.O_NONBLOCK))
                    if session.over(0.01):
                        break
                else:
                    raise AssertionError("something never ends")

    def lose_power(self) -> None:
        """Every process dies, and /var/run is empty afterwards."""
        for session in self.sessions:
            session.kill()
            assert session.over(10)
        self.close()

    def start(self) -> None:
        """Boot: rc reads the files, the boot hook runs, then the network comes up as those files said."""
        for _ in range(3):
            text = (self.root / "etc/rc.conf").read_text(errors="surrogateescape")
            live = dict(line.split("=", 1) for line in text.splitlines() if line.startswith("v"))
            hook = self.root / "etc/rc.d/bsdcarp_undo"
            if hook.exists():
                self.run(b"", arguments=[str(hook), "faststart"])
            lock = self.root / "var/run/bsdcarp.lock"
            shutil.rmtree(lock, ignore_errors=True)
            for p in self.kernel.iterdir():
                p.unlink()
            for name, value in live.items():
                (self.kernel / name).write_text(value + "\n")
            rebooting = self.base / "rebooting"
            if not rebooting.exists():
                return
            rebooting.unlink()
        raise AssertionError("it boots again and again")

    def reboot(self) -> None:
        self.mend()
        self.lose_power()
        self.start()

    def close(self) -> None:
        for session in self.sessions:
            session.kill()
            os.close(session.alive)
        self.sessions.clear()


def small_plan() -> Plan:
    """Edit, create and remove a file, and three settings of the running system."""
    return Plan(
        "h",
        (
            FileChange("/etc/rc.conf", "v1=a\nv2=a\nv3=a\n", "v1=b\nv2=b\nv3=b\n"),
            FileChange("/boot/loader.conf.local", None, "carp_load=YES\n", 0o600),
            FileChange("/etc/old.conf", "gone soon\n", None),
        ),
        tuple(setting(f"v{n}", "b", "a") for n in (1, 2, 3)),
    )


def wide_plan() -> Plan:
    """Several directories, a symbolic link, unusual names, an early command, and files to be made in new places."""
    return Plan(
        "h",
        (
            FileChange("/etc/rc.conf", "v1=a\nv2=a\n", "v1=b\nv2=b\n"),
            FileChange("/etc/link.conf", "by the link\n", "by the link, new\n"),
            FileChange('/etc/sysctl d/it\'s "a" file;$(x)', "ä\n", "ö\\n\udcff\n"),
            FileChange("/usr/local/etc/bsdcarp/new one", None, "new\n"),
            FileChange("/etc/sysctl d/-rf", "minus\n", None),
        ),
        (setting("v1", "b", "a"), setting("v2", "b", "a")),
        early=1,
        restored=(command("setting restored", "yes"),),
    )


def prepare(host: FaultHost, plan: Plan) -> None:
    """Put there what the plan takes for granted, with modes and owners that have to stay."""
    for number, change in enumerate(plan.files):
        if isinstance(change, FileChange) and change.before is not None and not change.path.endswith("link.conf"):
            host.write(change.path, change.before, 0o640 + number % 3, owner=(12, 34))
    if any(change.path == "/etc/link.conf" for change in plan.files):
        host.write("/usr/real/by-link.conf", "by the link\n", 0o604)
        (host.root / "etc/link.conf").symlink_to("../usr/real/by-link.conf")
    for name in ("v1", "v2", "v3"):
        if f"{name}=a" in (host.root / "etc/rc.conf").read_text():
            (host.kernel / name).write_text("a\n")
