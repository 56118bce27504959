"""What the programs of this package print, read into data."""

from __future__ import annotations

from collections.abc import Iterator

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import RemoteError
from bsdcarp.hostlock import holder
from bsdcarp.kernels.facts import Build, BuildState, Disk, InstalledKernel, KernelFacts
from bsdcarp.plaintext import printable

__all__ = ["Report", "parse_facts", "read_report"]

_STATIC = {"yes": True, "no": False}
_ENDINGS = frozenset({"attached", "started", "installed", "trying", "ended", "failed", "locked", "pending"})


@dataclass(frozen=True, slots=True)
class Report:
    """How a program ended: its last word, what it said with it, and the end of a log where it had one."""

    word: str
    detail: str = ""
    log: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """Why it did nothing, in words; safe to print."""
        match self.word:
            case "locked":
                return f"held by {holder(self.detail)}"
            case "pending":
                return f"{self.detail} waits for `bsdcarp confirm` or `bsdcarp rollback`"
            case "lost":
                return "the answer ended early; nothing that boots was changed halfway, so run it again"
            case _:
                return self.detail


def parse_facts(answer: bytes, token: str, *, host: str) -> KernelFacts:
    """Read what ``look_script`` printed.  Raises ``RemoteError`` when it is cut short; ``host`` names the place."""
    kernels: list[InstalledKernel] = []
    found: dict[str, str] = {}
    log: tuple[str, ...] = ()
    for word, rest, body in _pieces(answer, token):
        match word, rest.split():
            case "kernel", [static, module, name]:
                kernels.append(InstalledKernel(name, _STATIC.get(static), "" if module == "none" else module))
            case "log", _:
                log = _lines(body)
            case _:
                found[word] = rest
    if "end" not in found:
        raise RemoteError("the look at its kernels ended early", place=host, remedy="try again")
    lines, expected = _numbers(found.get("lines", ""))
    modules, all_modules = _numbers(found.get("modules", ""))
    build = Build(
        state=_state(found.get("build", "none")),
        stamp=found.get("stamp", ""),
        seconds=max(_numbers(found.get("seconds", ""))[0], 0),
        lines=lines,
        expected=expected,
        modules=modules,
        all_modules=all_modules,
        stage=printable(found.get("stage", "").removeprefix(">>> ")),
        log=log,
    )
    return KernelFacts(
        kernels=tuple(kernels),
        boot=_disk(found.get("boot", "")),
        obj=_disk(found.get("obj", "")),
        cpus=max(_numbers(found.get("cpus", ""))[0], 1),
        sources=found.get("sources"),
        stamp=found.get("kernconf", ""),
        stray=found.get("stray", ""),
        build=build,
    )


def read_report(answer: bytes, token: str) -> Report:
    """Read how a program ended; ``lost`` when it does not say."""
    log: tuple[str, ...] = ()
    for word, rest, body in _pieces(answer, token):
        if word == "log":
            log = _lines(body)
        elif word in _ENDINGS:
            return Report(word, printable(rest), log)
    return Report("lost", log=log)


def _pieces(answer: bytes, token: str) -> Iterator[tuple[str, str, str]]:
    for piece in answer.decode("utf-8", "surrogateescape").split(f"\n{token} ")[1:]:
        head, _, body = piece.partition("\n")
        word, _, rest = head.partition(" ")
        yield word, rest.strip(), body


def _lines(body: str) -> tuple[str, ...]:
    return tuple(printable(line, keep="\t") for line in body.strip("\n").split("\n")[-20:] if line)


def _state(word: str) -> BuildState:
    match word:
        case "0":
            return "done"
        case "none" | "running" | "interrupted":
            return word
        case _:
            return "failed"


def _numbers(text: str) -> tuple[int, int]:
    numbers = [int(word) if word.isdecimal() else 0 for word in text.split()] + [0, 0]
    return numbers[0], numbers[1]


def _disk(text: str) -> Disk:
    filesystem, _, free = text.partition(" ")
    return Disk(printable(filesystem), int(free) if free.isdecimal() else 0)
