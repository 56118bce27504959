"""Replays recordings of real FreeBSD systems on the lab's machines and compares what is printed.

A recording is a text: ``[host] # command``, the output, ``(stderr)`` lines, ``exit=N``; ``(waited N s)`` between
commands; ``[outside] $ #`` for what was done or seen from outside the host.  Commands ran in root's csh.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from bsdcarp.lab.machine import Machine
from bsdcarp.lab.network import Network

CSH = shutil.which("tcsh") or shutil.which("csh")

_COMMAND = re.compile(r"^\[(?P<host>[\w-]+)\] [#$] (?P<command>.*)$")
_WAITED = re.compile(r"^\(waited (\d+) s\)$")
_CONSOLE = re.compile(r"\s+\(the console from mount of / to login:\)$")
_ARP = re.compile(r"^who-has (?P<target>\S+) tell (?P<client>\S+): (?P<answers>.*)$")
_ANSWER = re.compile(r"is-at (?P<mac>\S+) \(ethernet source (?P<source>[0-9a-f:]+)")
_DOWN = 15.0  # a recorded reboot took 20 to 40 s
_PACE = 0.3
_ABSOLUTE = re.compile(r"(?<![\w$./-])/(?=(?:etc|boot|var|tmp|root)/)")


@dataclass(frozen=True, slots=True)
class Step:
    """One recorded thing: a command (``host`` and ``command``), a wait, or a remark."""

    line: int
    host: str = ""
    command: str = ""
    stdout: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()
    status: int | None = None
    waited: float = 0.0
    remark: str = ""
    console: tuple[str, ...] = ()
    last_host: str = ""


def parse(text: str) -> list[Step]:
    """Cut a recording into steps."""
    steps: list[Step] = []
    lines = text.split("\n")
    position = 0
    last_host = ""
    while position < len(lines):
        line = lines[position]
        found = _COMMAND.match(line)
        if found is None:
            waited = _WAITED.match(line)
            if waited is not None:
                steps.append(Step(position + 1, waited=float(waited[1])))
            elif line.startswith("# "):
                steps.append(Step(position + 1, remark=line[2:]))
            position += 1
            continue
        start, position = position + 1, position + 1
        body: list[str] = []
        console = found["host"] == "outside" or _CONSOLE.search(found["command"]) is not None
        status: int | None = None
        while position < len(lines) and not _COMMAND.match(lines[position]):
            if (ended := re.match(r"^exit=(\d+)$", lines[position])) is not None:
                status = int(ended[1])
                position += 1
                break
            if _WAITED.match(lines[position]) or (console and lines[position].startswith("# ")):
                break
            body.append(lines[position])
            position += 1
        host = found["host"]
        command = found["command"]
        if host == "outside":
            steps.append(Step(start, host, command, status=status, console=tuple(body), last_host=last_host))
            continue
        last_host = host
        if _CONSOLE.search(command):
            steps.append(Step(start, host, _CONSOLE.sub("", command), console=tuple(body), last_host=host))
            continue
        stderr = tuple(each.removeprefix("(stderr) ") for each in body if each.startswith("(stderr)"))
        stdout = tuple(each for each in body if not each.startswith("(stderr)"))
        steps.append(Step(start, host, command, stdout, stderr, status, last_host=host))
    return steps


_NORMAL: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.MULTILINE), replacement)
    for pattern, replacement in (
        (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +\w{3} +\d+ \d\d:\d\d:\d\d (AM |PM )?(UTC )?\d{4}", "<date>"),
        (r"\b\w{3} +\d+ \d\d:\d\d:\d\d", "<time>"),
        (r"\b\w{3} +\d+ \d\d:\d\d\b", "<time>"),
        (r"\bsec = \d+, usec = \d+", "sec = <n>, usec = <n>"),
        (r"\[pid \d+\]", "[pid <n>]"),
        (r"expires in \d+ seconds", "expires in <n> seconds"),
        (r"0xffffffff[0-9a-f]{8} +[0-9a-f]+ +", "<address> <size> "),
        (r"^(\t)[1-9]\d* (packets (?:received|sent) \(IPv)", r"\1<n> \2"),
        (r"^(\t\t)[1-9]\d* (discarded for bad authentication|discarded for bad vhid)", r"\1<n> \2"),
        (r"^(\S+ +\S+ +\w+) +\d+ +\d+ +(\w+)$", r"\1 <n> <n> \2"),
        (r"^(-[rwxs-]{9}) +\d+ root +wheel +\d+", r"\1 1 root wheel <size>"),
        (r"^total \d+$", "total <n>"),
        (r"^ +(\d+)$", r"\1"),
        (r"root@[^ \n]+", "root@vm:(path)"),
        (r"frequency \d+ Hz", "frequency <n> Hz"),
    )
)


def normalise(text: str, root: str = "") -> list[str]:
    """Take out what cannot be the same twice: times, pids, kernel addresses, sizes and packet counts."""
    if root:
        text = text.replace(f"{root}/.lab/bin/", "/sbin/").replace(root, "")
    for pattern, replacement in _NORMAL:
        text = pattern.sub(replacement, text)
    lines = text.split("\n")
    while lines and lines[-1] == "":
        lines.pop()
    return lines


@dataclass(slots=True)
class Outcome:
    """What became of one step."""

    file: str
    step: Step
    kind: str  # matched, differs, out of scope
    detail: str = ""


@dataclass(slots=True)
class Replay:
    """Runs the steps of one recording.

    ``paces`` is the simulated time that a command takes, by file;
    ``slow`` lists exceptions.  ``to_login`` is how long a boot takes once the network is up.
    """

    network: Network
    machines: dict[str, Machine]
    out_of_scope: Callable[[str, Step], str | None]
    hooks: dict[str, Callable[[dict[str, Machine], Network], None]] = field(default_factory=dict)
    paces: Mapping[str, float] = field(default_factory=dict)
    slow: Sequence[tuple[str, float]] = ()
    to_login: float = 4.0
    _pace: float = 0.0

    def run(self, file: str, steps: Sequence[Step]) -> Iterator[Outcome]:
        self._pace = self.paces.get(file, _PACE)
        for step in steps:
            if step.remark:
                for start, hook in self.hooks.items():
                    if step.remark.startswith(start):
                        hook(self.machines, self.network)
                continue
            if step.waited:
                self.network.advance(max(0.0, step.waited))
                continue
            reason = self.out_of_scope(file, step)
            if reason is not None and reason.startswith("skip:"):
                yield Outcome(file, step, "out of scope", reason.removeprefix("skip:").strip())
                continue
            detail = self._perform(step)
            if reason is not None:
                yield Outcome(file, step, "out of scope", reason)
            else:
                yield Outcome(file, step, "differs" if detail else "matched", detail)

    def _perform(self, step: Step) -> str:
        if step.host == "outside":
            return self._outside(step)
        if step.console:
            return self._reboot(self.machines[step.host], step.console)
        return self._command(self.machines[step.host], step)

    def _command(self, machine: Machine, step: Step) -> str:
        pace = next((seconds for pattern, seconds in self.slow if re.search(pattern, step.command)), self._pace)
        rewritten = _ABSOLUTE.sub(f"{machine.root}/", step.command)
        environment = machine.session_env()
        root = machine.root
        environment["PATH"] = f"{root}/sbin:{root}/bin:{root}/usr/sbin:{root}/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        assert CSH is not None
        run = subprocess.run(
            [CSH, "-f", "-c", rewritten],
            env=environment,
            cwd=root / "root",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        self.network.advance(pace)
        where = str(root)
        got_out = normalise(run.stdout.decode("utf-8", "surrogateescape"), where)
        got_err = normalise(run.stderr.decode("utf-8", "surrogateescape"), where)
        problems = [
            *_difference("stdout", normalise("\n".join(step.stdout)), got_out),
            *_difference("stderr", normalise("\n".join(step.stderr)), got_err),
        ]
        if step.status is not None and run.returncode != step.status:
            problems.append(f"status: recorded {step.status}, lab {run.returncode}")
        return "\n".join(problems)

    def _reboot(self, machine: Machine, recorded: Sequence[str]) -> str:
        if any("the boot hangs" in line for line in recorded):  # what follows ^T was typed on the console
            recorded = recorded[: next(at for at, line in enumerate(recorded) if line.startswith("load:"))]
        machine.reboot(delay=_DOWN)
        self.network.advance(_DOWN + self.to_login)
        wanted = [_roleless(line) for line in normalise("\n".join(recorded)) if _in_console_scope(line)]
        shown = [_roleless(line) for line in normalise(machine.console)]
        return _subsequence(wanted, shown)

    def _outside(self, step: Step) -> str:
        if "reboot through the serial console" in step.command:
            return self._reboot(self.machines[step.last_host], step.console)
        requests = [found for line in step.console if (found := _ARP.match(line))]
        problems = []
        for request in requests:
            wanted = {(answer["source"], answer["mac"]) for answer in _ANSWER.finditer(request["answers"])}
            got = set()
            for machine in self.machines.values():
                for nic in machine.nics:
                    target, client = IPv4Address(request["target"]), IPv4Address(request["client"])
                    mac = machine.kernel.arp_answer(nic.name, target, client)
                    if mac is not None:
                        got.add((nic.ether, mac))
            if wanted != got:
                problems.append(f"{request['client']}: recorded {sorted(wanted)}, lab {sorted(got)}")
        return "\n".join(problems)


_CONSOLE_SCOPE = re.compile(
    r"""^(?!.*(?:->\ MASTER|carp\d:\ link\ state\ changed\ to\ UP|incorrect\ hash))(?:carp|carp\d+|vtnet\d|lo0|vip\d):|^\t(?:inet|ether|options|nd6|carp|media|status|groups)|WARNING|^ifconfig:"""
    r"""|^(?:Starting|Stopping)\ Network|^Setting\ hostname|^kldload:|^module_register|^Module\ |^Loading\ kernel"""
    r"""|^panic|^Fatal|^sysctl:|^Trying\ to\ mount|^add\ net\ default|^Starting\ s(?:shd|yslogd)|^FreeBSD/""",
    re.VERBOSE,
)


def _roleless(line: str) -> str:
    """Forget the role: which one a booting machine shows depends on how long its boot takes, and ours takes no time."""
    return re.sub(r"^(\tcarp: )(?:MASTER|BACKUP) ", r"\1<role> ", line)


def _in_console_scope(line: str) -> bool:
    return not line.startswith("(") and _CONSOLE_SCOPE.search(line) is not None


def _subsequence(wanted: Sequence[str], shown: Sequence[str]) -> str:
    rest = iter(shown)
    for line in wanted:
        if not any(line.rstrip() == other.rstrip() for other in rest):
            return f"console: {line!r} is missing or out of order; lab console:\n" + "\n".join(shown)
    return ""


def _difference(what: str, wanted: list[str], got: list[str]) -> list[str]:
    if wanted == got:
        return []
    return [f"{what}:", *(f"  - {line!r}" for line in wanted), *(f"  + {line!r}" for line in got)]


def load(directory: Path, file: str) -> list[Step]:
    """Read a recording from the tests' folder."""
    return parse((directory / file).read_text(encoding="utf-8", errors="surrogateescape"))
