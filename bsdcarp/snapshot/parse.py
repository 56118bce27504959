"""The answer of the reading script, parsed: bytes in, ``Snapshot`` out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field, replace
from types import MappingProxyType
from typing import Literal

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import HostRefused, RemoteError
from bsdcarp.model import Release
from bsdcarp.plaintext import printable
from bsdcarp.snapshot.facts import (
    CarpSource,
    FileState,
    KernelDirectory,
    Snapshot,
)
from bsdcarp.snapshot.ifconfig import parse_ifconfig
from bsdcarp.snapshot.linux import LinuxSections, read_linux
from bsdcarp.snapshot.script import salt

__all__ = ["parse"]

_BOOTTIME = re.compile(r"sec = (\d+)")
_SH_ERROR = re.compile(
    r"(?:/bin/)?(?:sh: )?(?:\d+: )?(?:\.: )?(?P<file>/\S+): (?:line )?(?P<line>\d+): "
    r".*(?i:syntax|unterminated|unexpected)"
)
_RELEASE = re.compile(r"^(\d+)\.(\d+)")


@dataclass(slots=True)
class _Sections:
    """The answer cut at its markers: the last body of each section, and the repeated ones in order."""

    body: dict[str, str] = field(default_factory=dict)
    files: dict[str, FileState] = field(default_factory=dict)
    contents: bytes = b""
    rc: dict[str, str] = field(default_factory=dict)
    kernels: list[KernelDirectory] = field(default_factory=list)
    unwritable: set[str] = field(default_factory=set)
    processes: list[str] = field(default_factory=list)
    appliance: str = ""


def parse(answer: bytes, token: str, *, host: str) -> Snapshot:
    """Read what ``read_script(token)`` printed.

    Raises ``RemoteError`` when the answer is cut short or makes no sense, ``HostRefused`` when the host is neither
    FreeBSD nor Linux.  ``host`` only names the place in errors.
    """
    found = _Sections()
    for head, body in _cut(answer, token):
        _sort_in(found, head, body)
    found.files = _files(found, token, host)
    if "begin" not in found.body or "end" not in found.body:
        # Only what came before the first section: files and keys, which hold passwords, come later.
        noise = answer.split(f"\n{token} ".encode(), 1)[0][-200:]
        said = printable(noise.decode("utf-8", "replace").strip()) or "nothing"
        raise RemoteError(
            f"the host's answer is incomplete; before its first section it said: {said}",
            place=host,
            remedy="log in by hand and see whether /bin/sh works there",
        )
    try:
        system, hostname, kernel_release, machine = found.body["begin"].split(maxsplit=3)
        uid = int(found.body.get("uid", "").strip())
    except ValueError as error:
        raise RemoteError("uname or id gave no usable answer", place=host) from error
    pending = printable(found.body.get("pending", "").strip())
    if system == "FreeBSD":
        _complete(found, host)
        return replace(_freebsd(found, hostname, kernel_release, machine.strip(), uid), pending=pending)
    if system == "Linux":
        return replace(_linux(found, hostname, machine.strip(), uid, host), pending=pending)
    raise HostRefused(
        f"this is {printable(system)}; bsdcarp manages FreeBSD and Linux",
        place=host,
        remedy="take the host out of the inventory",
    )


def _cut(answer: bytes, token: str) -> Iterator[tuple[list[str], bytes]]:
    for piece in answer.split(f"\n{token} ".encode())[1:]:
        head, _, body = piece.partition(b"\n")
        yield _text(head).split(), body


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _files(found: _Sections, token: str, host: str) -> dict[str, FileState]:
    """Cut the files apart, which head(1) put behind each other, with a line that names it before each."""
    listed = [line.partition(" ") for line in found.body.get("files", "").splitlines()]
    if not listed:
        return {}
    names = [f"{salt(token)}{path} <==\n".encode("utf-8", "surrogateescape") for _, _, path in listed]
    starts: list[int] = []
    for name in names:
        starts.append(found.contents.find(name, max(starts, default=0)))
    last = found.contents.rfind(b"\n==> /dev/null <==\n")
    if -1 in starts or last < max(starts):
        raise RemoteError("a file went away while it was read", place=host, remedy="try again")
    ends = [*(found.contents.rfind(b"\n==> ", 0, start) for start in starts[1:]), last]
    return {
        path: FileState(_text(found.contents[start + len(name) : end]), writable=mode == "rw")
        for (mode, _, path), name, start, end in zip(listed, names, starts, ends, strict=True)
    }


def _sort_in(found: _Sections, head: list[str], raw: bytes) -> None:
    if head == ["contents"]:
        found.contents = raw
        return
    body = _text(raw)
    match head:
        case ["rc", name]:
            found.rc[name] = body
        case ["kernel", name, module, *newer]:
            found.kernels.append(KernelDirectory(name, "" if module == "none" else module, _newer(newer)))
        case ["unwritable", path]:
            found.unwritable.add(path)
        case ["appliance", name]:
            found.appliance = name
        case ["process"]:
            found.processes.append(body)
        case [name, *_]:
            found.body[name] = body


def _complete(found: _Sections, host: str) -> None:
    """Refuse what was read while programs were killed, as they are on a host that goes down.

    Every release has kern.boottime, and lo0 at the least.
    """
    told = {"sysctl": "kern.boottime: ", "ifconfig": ": flags="}
    silent = [program for program, word in told.items() if word not in found.body.get(program, "")]
    if silent:
        raise RemoteError(
            f"{' and '.join(silent)} did not answer on the host: it may be going down or coming up",
            place=host,
            remedy=f"try again; if it stays so, log in by hand and see what {silent[0]} says",
        )


def _newer(words: list[str]) -> Literal["", "static", "plain", "unknown"]:
    match words:
        case ["static" | "plain" as told]:
            return told
        case []:
            return ""
    return "unknown"


def _freebsd(found: _Sections, hostname: str, kernel_release: str, machine: str, uid: int) -> Snapshot:
    oids = dict(line.split(": ", 1) for line in found.body.get("sysctl", "").splitlines() if ": " in line)
    version = _RELEASE.match(kernel_release)
    release = Release(
        "freebsd",
        int(version[1]) if version else 0,
        int(version[2]) if version else -1,
        name=f"freebsd-{kernel_release.partition('-')[0]}",
    )
    boottime = _BOOTTIME.search(oids.get("kern.boottime", ""))
    rc_complete = "rc-end" in found.body
    return Snapshot(
        release=release,
        osreldate=_int(oids.get("kern.osreldate"), 0),
        hostname=hostname,
        machine=machine,
        uid=uid,
        appliance=found.appliance,
        boottime=int(boottime[1]) if boottime else 0,
        securelevel=_int(oids.get("kern.securelevel"), -1),
        ident=oids.get("kern.ident", ""),
        bootfile=oids.get("kern.bootfile", ""),
        carp=_carp_source(found),
        sysctls=MappingProxyType(
            {
                name.removeprefix("net.inet.carp."): _int(value, 0)
                for name, value in oids.items()
                if name.startswith("net.inet.carp.")
            }
        ),
        interfaces=MappingProxyType(parse_ifconfig(found.body.get("ifconfig", ""))),
        files=MappingProxyType(found.files),
        unwritable=frozenset(found.unwritable),
        rc=MappingProxyType(found.rc if rc_complete else {}),
        rc_error="" if rc_complete else _rc_error(found),
        kernels=tuple(found.kernels),
        boot_on_zfs="zfs" in found.body,
        sources="sources" in found.body,
    )


def _carp_source(found: _Sections) -> CarpSource:
    # The sysctl tree is there exactly as long as carp is, static or as a module (kldstat -m carp says the same).
    if "net.inet.carp." not in found.body.get("sysctl", ""):
        return "absent"
    loaded = {line.split()[-1] for line in found.body.get("kldstat", "").splitlines()[1:] if line.split()}
    return "module" if loaded & {"carp.ko", "if_carp.ko"} else "static"


def _rc_error(found: _Sections) -> str:
    # File and line only: sh quotes the words it stumbles over, and one of them may be a password.
    for line in reversed(found.body.get("rc-begin", "").splitlines()):
        place = _SH_ERROR.match(line)
        if place:
            return f"{printable(place['file'])}: line {place['line']}: syntax error"
    return "reading rc.conf ended early"


def _linux(found: _Sections, hostname: str, machine: str, uid: int, host: str) -> Snapshot:
    sections = LinuxSections(found.body, found.files, tuple(found.processes), host)
    snapshot = read_linux(sections)
    return replace(
        snapshot,
        hostname=hostname,
        machine=machine,
        uid=uid,
        files=MappingProxyType(found.files),
        unwritable=frozenset(found.unwritable),
    )


def _int(text: str | None, default: int) -> int:
    try:
        return int((text or "").strip())
    except ValueError:
        return default
