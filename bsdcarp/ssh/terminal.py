"""A script through a terminal and back, byte for byte: for su and doas, which take a password from nothing else.

A terminal echoes, turns line ends into other line ends, takes some bytes for signals, cannot end its input, and mixes
the two outputs.  So the first shell that runs as root makes the terminal raw, says that it is ready, and reads a
fixed number of bytes from it with dd(1), one at a time since more than its share it must not take: first a small
script of ours, which in turn reads the real one the same way.  Its standard output goes out as it comes; its standard
error is kept in a shell variable and follows after the end mark, with the exit status.  No file is written.
NUL bytes, which sh cannot keep, are lost from standard error.
"""

from __future__ import annotations

import re

from bsdcarp.ssh.marks import after
from bsdcarp.ssh.result import Result

__all__ = ["opening", "payload", "prompts", "result"]

# su and doas end their prompt with a colon in every language, and wait on that line.
_PROMPT = re.compile("[:：][ \t]*$")  # noqa: RUF001  # the wide colon of Japanese and Chinese prompts


def opening(mark: str, script: bytes) -> str:
    """What root's shell is started with: ``/bin/sh -c`` of it, in quotes of either kind, in csh or sh."""
    count = len(_relay(mark, script))
    return f"stty raw -echo; echo; echo {mark}; exec 3<&0; dd bs=1 count={count} 2>/dev/null | /bin/sh -s"


def payload(mark: str, script: bytes) -> bytes:
    """What is typed once the mark of ``opening`` has been seen."""
    return _relay(mark, script) + script


def _relay(mark: str, script: bytes) -> bytes:
    # In braces, so that nothing runs, and reads from the terminal, before the first dd has taken the last byte of it.
    # The marks after the beginning: one letter more each, so that none is taken for another.
    return f"""\
{{
exec 4>&1
E=$({{ dd bs=1 count={len(script)} <&3 2>/dev/null | /bin/sh -s 2>&1 >&4 3<&- 4>&-; }}; echo ".$?")
cat <<{mark}
{mark}e
$E
{mark}s
{mark}
}}
""".encode()


def prompts(said: bytes) -> int:
    """1 or more if the last line looks like a password prompt; counts those that were answered before, too."""
    text = said.decode("utf-8", "replace")
    lines = re.split(r"[\r\n]+", text)
    if not _PROMPT.search(lines[-1]):
        return 0
    return sum(1 for line in lines if _PROMPT.search(line))


def result(mark: str, said: bytes) -> Result | None:
    """Take apart what came through the terminal; None if the script did not run to its end."""
    everything = after(mark, said)
    if everything is None:
        return None
    output, _, rest = everything.rpartition(f"{mark}e\n".encode())
    errors, _, _ = rest.partition(f"\n{mark}s\n".encode())
    stderr, dot, status = errors.rpartition(b".")
    if not dot or not status.isdigit():
        return None
    return Result(int(status), output, stderr)
