"""Becoming root on a host where the login is somebody else: what is executed, what is said, what went wrong.

Nothing here does I/O.  The login shell may be csh (FreeBSD up to 13), so every exec string means the same to csh and
sh: no ``$``, ``!``, ``2>&1`` or backquote outside what only /bin/sh sees, and random hexadecimal words as markers.
The script never is an argument.

==========================  =============================================================================
none                        ``exec /bin/sh -s``, which spares the login shell's process
sudo, doas                  ``sudo -n /bin/sh -s``, ``doas -n /bin/sh -s``
sudo with a password        ``sudo -S``; the password goes to its prompt and nowhere else: where sudo does not ask
                            (NOPASSWD, or it remembers), the shell's ready mark comes instead and it is not sent
doas with a password, su    a terminal, since these read passwords from nothing else; see ``bsdcarp.ssh.terminal``
==========================  =============================================================================

What a script starts and leaves running must leave its terminal too (daemon(8), setsid(1)): with a terminal, the end
of the script hangs up on it.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import field

from bsdcarp.dataclass import dataclass
from bsdcarp.errors import SshError
from bsdcarp.model import BecomeMethod, Secret
from bsdcarp.ssh import terminal
from bsdcarp.ssh.marks import after
from bsdcarp.ssh.refusals import refusal
from bsdcarp.ssh.result import Result, RunFailed

__all__ = ["Become", "Invocation"]


_AS_NEW = b"set +Cf; unset IFS; trap - HUP INT TERM PIPE XFSZ\n"
_TAIL = 4096
"""Bytes at the end of standard output in which the end is looked for: something else may write behind it."""


@dataclass(frozen=True, slots=True)
class Become:
    """How a login becomes root.  Raises ``SshError`` for a password no prompt could take."""

    method: BecomeMethod = "none"
    password: Secret | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.password is not None and re.search(r"[\x00-\x1f\x7f]", self.password.reveal()):
            raise SshError(
                "the become password holds a line end or a control character", remedy="no prompt could take it"
            )

    @property
    def lasts(self) -> bool:
        """Whether root's shell can stay for further scripts: not where it needs a terminal or a password."""
        return self.method == "none" or (self.password is None and self.method != "su")

    def invocation(self, script: bytes, *, lasting: bool = False) -> Invocation:
        """Return how to run ``script`` as root, with fresh markers; ``lasting`` leaves the shell there for another."""
        mark, prompt, end = (secrets.token_hex(16) for _ in range(3))
        return Invocation(self, script, mark, prompt, end, lasting=lasting and self.lasts)


@dataclass(slots=True)
class Invocation:
    """One script on its way to root's shell.

    A ``lasting`` one finds the shell as the script before it left it, functions and variables included, so it has to
    set what it uses; options, traps and IFS are put right before it.  The exchange executes ``command`` (on a terminal
    if ``terminal``), asks ``reply`` what to say until it returns None while ``waits``, sends ``payload`` and the end of
    input (unless the shell is to stay), and hands what came back to ``result``.
    """

    become: Become
    script: bytes
    mark: str
    prompt: str
    end: str = ""
    lasting: bool = False
    waits: bool = field(init=False)
    """Whether root's shell has to be ready before the payload may go."""
    _answered: bool = False

    def __post_init__(self) -> None:
        self.waits = self.become.password is not None or self.become.method == "su"
        if self.become.method == "none":
            self.waits = False

    @property
    def terminal(self) -> bool:
        return self.waits and self.become.method != "sudo"

    @property
    def command(self) -> str:
        """The exec string."""
        match self.become.method:
            case "none":
                return "exec /bin/sh -s"
            case "sudo" if self.waits:
                # The shell says that it is there before it reads anything, so the password cannot end up in it.
                return f"sudo -S -p {self.prompt} /bin/sh -c 'echo; echo {self.mark}; exec /bin/sh -s'"
            case "doas" if self.waits:
                return f"doas /bin/sh -c '{self._opening}'"
            case "su":
                return f"su root -c '/bin/sh -c \"{self._opening}\"'"
            case method:
                return f"{method} -n /bin/sh -s"

    @property
    def _opening(self) -> str:
        return terminal.opening(self.mark, self.script)

    @property
    def payload(self) -> bytes:
        """What goes to root's shell: the script, after something that marks where its output begins."""
        if self.terminal:
            return terminal.payload(self.mark, self.script)
        begin = f"echo '\n{self.mark}'; echo '\n{self.mark}' >&2\n".encode()
        if not self.lasting:
            return begin + self.script
        end = f"\necho '\n{self.end}' $?; echo '\n{self.end}' >&2\n".encode()
        return _AS_NEW + begin + self.script + end

    def ended(self, stdout: bytes | bytearray) -> bool:
        """Whether a ``lasting`` script has come to its end, as far as its standard output tells."""
        return self._ending(stdout) is not None

    def _ending(self, stdout: bytes | bytearray) -> tuple[int, bytes] | None:
        """Return the status that a ``lasting`` script ended with, and what was written behind it; None before."""
        if not self.lasting:
            return None
        _, found, rest = bytes(stdout[-_TAIL:]).rpartition(f"\n{self.end} ".encode())
        status, newline, behind = rest.partition(b"\n")
        return (int(status), behind) if found and newline and status.isdigit() else None

    def clean(self, stdout: bytes | bytearray, stderr: bytes | bytearray) -> bool:
        """Whether both outputs of a ``lasting`` script end with its end, so that the shell can take another."""
        if not (self.lasting and stderr.endswith(f"\n{self.end}\n".encode())):
            return False
        ending = self._ending(stdout)
        return ending is not None and not ending[1]

    def reply(self, stdout: bytes, stderr: bytes) -> bytes | None:
        """Given all that was said so far: None once root's shell is ready, else what to send now (often nothing).

        Raises ``SshError`` when the password is refused or missing.
        """
        if after(self.mark, stdout) is not None:
            return None
        asked = terminal.prompts(stdout) if self.terminal else stderr.count(self.prompt.encode())
        if asked > self._answered:
            if self.become.password is None:
                raise SshError(
                    f"{self.become.method} asks for a password and none was given",
                    remedy="give 'become' a password in the inventory",
                )
            if self._answered:
                raise refusal(self.become.method, self._said(stdout, stderr), asked=True)
            self._answered = True
            return self.become.password.reveal().encode("utf-8", "surrogateescape") + b"\n"
        return b""

    def result(self, stdout: bytes, stderr: bytes, status: int) -> Result:
        """Return the script's own output and status.

        Raises ``RunFailed`` if root's shell was there but did not live to tell, another ``SshError`` if it never was.
        """
        ready = after(self.mark, stdout)
        if self.terminal:
            if (found := terminal.result(self.mark, stdout)) is not None:
                return found
        else:
            # With sudo -S the mark comes twice on standard output: from the shell that waited, and from the script's.
            out = after(self.mark, ready) if ready is not None and self.waits else ready
            err = after(self.mark, stderr)
            if out is not None and (ending := self._ending(stdout)):
                out = out.rpartition(f"\n{self.end} ".encode())[0]
                err = stderr if err is None else err
                return Result(ending[0], out, err.partition(f"\n{self.end}\n".encode())[0])
            if out is not None:
                return Result(status, out, stderr if err is None else err)
        if ready is not None:
            raise RunFailed("root's shell ended before the script did", remedy="see what killed it there", sent=True)
        raise refusal(self.become.method, self._said(stdout, stderr), asked=self._answered)

    def _said(self, stdout: bytes, stderr: bytes) -> str:
        # sudo and doas complain on standard error, where standard output has only a login shell's noise; what stands in
        # for a shell (nologin) complains on standard output.
        parts = (stderr, stdout) if self.become.method == "none" else (stdout if self.terminal else stderr or stdout,)
        text = b"\n".join(parts).decode("utf-8", "replace")
        for word in (self.mark, self.prompt):
            text = text.replace(word, "")
        if self.become.password:
            text = text.replace(self.become.password.reveal(), "********")
        return text
