"""Rebooting one host and waiting until it is really back: another boot, not merely another answer."""

from __future__ import annotations

import contextlib
import re
import secrets as randomness
import time
from dataclasses import replace

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import BsdcarpError, RemoteError, SshError
from bsdcarp.fleet.hosts import Fleet
from bsdcarp.fleet.progress import Event
from bsdcarp.snapshot import Snapshot

__all__ = ["BOOTING", "BootIdentity", "Rebooted", "read_identity", "reboot_host"]

BOOTING = 15.0
"""Seconds that what rc or systemd starts last may come after the first answer of sshd."""

_PATH = b"""PATH=${BSDCARP_PATH:+$BSDCARP_PATH:}/sbin:/bin:/usr/sbin:/usr/bin
export PATH
"""
# shutdown(8) forks and returns; what it leaves running holds neither this session's output nor its input.
_ORDER = (
    _PATH
    + b"""go() {
    trap '' HUP
    if command -v shutdown >/dev/null; then shutdown -r now; else reboot; fi >/dev/null 2>&1
    echo "status $?"
}
go </dev/null
"""
)
# kern.boot_id is opaque, so od(1) has to spell it.  In a container boot_id may be its host's; process 1 is its own
# (field 22 of /proc/PID/stat, proc_pid_stat(5); its name may hold blanks, so all up to the last parenthesis goes).
_IDENTITY = (
    _PATH
    + b"""R=${BSDCARP_ROOT-}
identify() {
    if [ "$(uname -s)" = Linux ]; then
        id='' start=''
        { read -r id <"$R/proc/sys/kernel/random/boot_id"; IFS= read -r start <"$R/proc/1/stat"; } 2>/dev/null
        set -- ${start##*") "}
        printf '\\n%s id %s\\n%s start %s\\n' "$T" "$id" "$T" "${20-}"
    else
        set -- $(sysctl -b kern.boot_id 2>/dev/null | od -An -tx1)
        IFS=
        printf '\\n%s id %s\\n' "$T" "$*"
        printf '%s boottime %s\\n' "$T" "$(sysctl -n kern.boottime)"
    fi
    printf '%s now %s\\n' "$T" "$(date +%s)"
}
identify </dev/null
"""
)
_BOOTTIME = re.compile(r"sec = (\d+), usec = (\d+)")
_STEADY = 60.0
"""Seconds a host must have been up before a clock that was set can be told from a reboot."""
_TOLERANCE = 5.0
"""Seconds by which two ways of telling the time may differ: both count whole seconds, and answers take a while."""
_PATIENCE = 60.0
"""Seconds after which a host that still answers from its old boot is told again."""
_PAUSE = 0.2
_QUICK = 3.0
"""Seconds to connect while a host is expected to be down; every fourth try takes the usual time."""


@dataclass(frozen=True, slots=True)
class BootIdentity:
    """What tells one boot of a host from another.  A field that the host does not have is empty."""

    boot_id: str = ""
    """kern.boot_id (FreeBSD 13 and later) or Linux's random boot_id, in hexadecimal."""
    start: str = ""
    """Linux: when process 1 began, in ticks of the kernel."""
    boottime: str = ""
    """FreeBSD: kern.boottime, ``seconds.microseconds``.  Setting the clock moves it by as much."""
    uptime: float = 0.0
    """FreeBSD: seconds since ``boottime``, by the host's clock; setting that leaves the difference alone."""

    def __str__(self) -> str:
        return self.boot_id or self.boottime

    def another_boot(self, later: BootIdentity, elapsed: float) -> bool:
        """Whether ``later``, read ``elapsed`` seconds after this one, is of another boot."""
        if self.boot_id and later.boot_id:
            return self.boot_id != later.boot_id or bool(self.start and later.start and self.start != later.start)
        if self.boottime == later.boottime:
            return False
        went_on = abs(self.uptime + elapsed - later.uptime) <= _TOLERANCE
        return not (self.uptime >= _STEADY and went_on)


@dataclass(frozen=True, slots=True)
class Rebooted:
    """A host that went down and came back."""

    host: str
    snapshot: Snapshot
    seconds: float
    """From the order to the first answer of the new boot."""
    down: float = 0.0
    """Seconds from the last answer of the old boot to the first of the new one."""
    before: BootIdentity = BootIdentity()
    after: BootIdentity = BootIdentity()


def read_identity(fleet: Fleet, host: str, *, timeout: float = 30.0) -> BootIdentity:
    """Ask ``host`` which boot this is.

    Raises ``SshError``, and ``RemoteError`` when it does not tell: a host on its way down may end the programs of this
    session one after another, so that what asks is left to print nothing.
    """
    token = randomness.token_hex(8)
    answer = fleet.run(host, f"T={token}\n".encode() + _IDENTITY, timeout=timeout).decode("ascii", "replace")
    said = {}
    for line in answer.splitlines():
        mark, _, rest = line.partition(" ")
        if mark == token:
            word, _, value = rest.partition(" ")
            said[word] = value.strip()
    boot = _BOOTTIME.search(said.get("boottime", ""))
    now = said.get("now", "")
    identity = BootIdentity(
        boot_id=said.get("id", ""),
        start=said.get("start", ""),
        boottime=f"{boot[1]}.{boot[2]:>06}" if boot else "",
        uptime=float(now) - float(boot[1]) if boot and now.isdecimal() else 0.0,
    )
    if not str(identity):
        raise RemoteError(
            "it does not say which boot this is: neither a boot id nor kern.boottime",
            place=host,
            remedy="reboot it by hand, then run verify and persist",
        )
    return identity


def reboot_host(fleet: Fleet, host: str, before: Snapshot | None = None, *, deadline: float = 300.0) -> Rebooted:
    """Reboot ``host`` and return once it answers from another boot.

    Nothing of ``before`` is needed any more.  Raises ``SshError`` when it has not come back after ``deadline`` seconds
    or has another host key, ``RemoteError`` when it answers but did not reboot.
    """
    del before
    # Sessions of their own: short limits while it is down, and the usual one stays out of it.
    with Fleet(fleet.inventory, replace(fleet.options, connect_timeout=_QUICK)) as quick:
        watch = _Watch(fleet, quick, host, deadline)
        old = read_identity(quick, host)
        watch.begin(old)
        return watch.until_back()


class _Watch:
    """One host from the order to its first answer."""

    def __init__(self, fleet: Fleet, quick: Fleet, host: str, deadline: float) -> None:
        self.fleet = fleet
        self.quick = quick
        self.host = host
        self.deadline = deadline
        self.tries = 0

    def begin(self, old: BootIdentity) -> None:
        self.old = old
        self.begun = self.told = self.last_answer = time.monotonic()
        self.fleet.tell(Event(self.host, "rebooting", seconds=self.deadline))
        _order(self.fleet, self.host)
        self.fleet.forget(self.host)

    def until_back(self) -> Rebooted:
        error: BsdcarpError | None = None
        said = self.begun
        while (now := time.monotonic()) - self.begun < self.deadline and not self.fleet.stopping:
            try:
                identity = self._ask()
            except (SshError, RemoteError) as failure:
                error = failure
                if isinstance(failure, SshError) and "host key" in failure.cause:
                    raise _stranger(self.host, failure) from failure
            else:
                error = None
                answered = time.monotonic()
                if self.old.another_boot(identity, answered - self.begun):
                    return self._back(identity, answered)
                self.last_answer = now
                if answered - self.told > _PATIENCE:
                    self.told = answered
                    _order(self.fleet, self.host, again=True)
            if now - said >= 1.0:
                said = now
                what = f"down for {now - self.last_answer:.0f} s" if error else "going down"
                self.fleet.tell(Event(self.host, "rebooting", what, self.deadline - (now - self.begun)))
            time.sleep(_PAUSE)
        raise self._failure(error)

    def _ask(self) -> BootIdentity:
        self.tries += 1
        fleet = self.fleet if self.tries % 4 == 0 else self.quick
        try:
            return read_identity(fleet, self.host, timeout=2 * _QUICK)
        except BsdcarpError:
            fleet.forget(self.host)
            raise

    def _back(self, identity: BootIdentity, answered: float) -> Rebooted:
        """Read the host; it may still be at its boot, so that sessions end early, and programs before them."""
        error: BsdcarpError | None = None
        while time.monotonic() - self.begun < self.deadline and not self.fleet.stopping:
            self.fleet.forget(self.host)
            try:
                snapshot = self.fleet.read(self.host)
            except (SshError, RemoteError) as failure:
                error = failure
                time.sleep(_PAUSE)
                continue
            down = answered - self.last_answer
            self.fleet.tell(Event(self.host, "back", seconds=down))
            return Rebooted(self.host, snapshot, answered - self.begun, down, self.old, identity)
        raise self._failure(error)

    def _failure(self, error: BsdcarpError | None) -> BsdcarpError:
        if self.fleet.stopping:
            return SshError("interrupted while it was rebooting", place=self.host, remedy="see with verify how it is")
        if error is None:
            return RemoteError(
                f"it answers, but still from the boot before: it has not rebooted within {self.deadline:.0f} s",
                place=self.host,
                remedy="see on its console why shutdown -r did not run",
            )
        return SshError(
            f"it has not come back within {self.deadline:.0f} s; the last try said: {error.cause}",
            place=self.host,
            remedy="look at its console; the other members serve meanwhile",
        )


def _stranger(host: str, failure: SshError) -> SshError:
    return SshError(
        f"what answers there now has another host key, so nothing was sent to it: {failure.cause}",
        place=host,
        remedy="compare the fingerprint on its console: it may have been reinstalled, make new keys at every boot "
        "(/etc/ssh in memory), or be another machine; `ssh-keygen -R` forgets the old key",
    )


def _order(fleet: Fleet, host: str, *, again: bool = False) -> None:
    with contextlib.suppress(SshError):  # the session may die before its answer arrives
        said = fleet.run(host, _ORDER).decode("ascii", "replace").split()
        # A second order may meet the first at work, which is no fault.
        if said[:1] == ["status"] and said[1:] != ["0"] and not again:
            raise RemoteError(
                f"shutdown -r now ended with {' '.join(said)}", place=host, remedy="see what it says there by hand"
            )
