"""Reading rc.conf as FreeBSD does: the real /bin/sh sources the files in rc.subr's order, in a process of its own.

Order (load_rc_config of rc.subr): /etc/defaults/rc.conf, the files of ``rc_conf_files``, then for each script name
/etc/rc.conf.d/NAME and /usr/local/etc/rc.conf.d/NAME, each a file or a directory of files.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bsdcarp.errors import LabError

__all__ = ["RcConf", "read_rc_conf", "syntax_messages"]

_TIME_LIMIT = 10.0
_SCRIPT = r"""
lab_root=$1
lab_ifs=$IFS
shift
exec 3>&1 1>&2
lab_source() {
    if [ -d "$1" ]; then
        for lab_file in "$1"/*; do
            [ -f "$lab_file" ] && . "$lab_file"
        done
    elif [ -r "$1" ]; then
        . "$1"
    fi
}
if [ -n "$LAB_FILES" ]; then
    for lab_each in $LAB_FILES; do lab_source "$lab_root$lab_each"; done
else
    [ -r "$lab_root/etc/defaults/rc.conf" ] && . "$lab_root/etc/defaults/rc.conf"
    lab_done=
    lab_again=1
    while [ -n "$lab_again" ]; do
        lab_again=
        for lab_each in $rc_conf_files; do
            case " $lab_done " in *" $lab_each "*) continue ;; esac
            lab_done="$lab_done $lab_each"
            lab_again=1
            lab_source "$lab_root$lab_each"
        done
    done
    for lab_name; do
        lab_source "$lab_root/etc/rc.conf.d/$lab_name"
        lab_source "$lab_root/usr/local/etc/rc.conf.d/$lab_name"
    done
fi
PATH=/usr/bin:/bin
IFS=$lab_ifs
for lab_each in $(set | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
    case $lab_each in
        lab_*|LAB_*|IFS|PATH|OPTIND|PS[124]|PPID|PWD|OLDPWD|_|SHLVL) ;;
        BASH*|EUID|UID|SHELLOPTS|HOSTTYPE|MACHTYPE|OSTYPE) ;;
        *) eval "printf '%s=%s\0' \"$lab_each\" \"\$$lab_each\"" >&3 ;;
    esac
done
printf 'LAB=end\0' >&3
"""
# The wording of FreeBSD's sh, by what dash or bash say instead (recorded on FreeBSD 12.1; both are ash in origin).
_UNTERMINATED = "Unterminated quoted string"
_BACKQUOTE = "EOF in backquote substitution"
_LINES = (
    re.compile(r"^[^:]+: (?P<line>\d+): (?P<file>[^:]+): Syntax error: (?P<text>.*)$"),  # dash
    re.compile(r"^(?P<file>[^:]+): (?P<line>\d+): Syntax error: (?P<text>.*)$"),  # ash, FreeBSD's own
    re.compile(r"^(?P<file>[^:]+): line (?P<line>\d+): (?:syntax error: )?(?P<text>.*)$"),  # bash
)


@dataclass(frozen=True, slots=True)
class RcConf:
    """The outcome: all variables, and the complaints of the shell in FreeBSD's words.

    ``complete`` is false when a syntax error ended the shell, as it ends every rc script on the real system.
    """

    variables: Mapping[str, str]
    messages: tuple[str, ...]
    complete: bool

    def get(self, name: str, default: str = "") -> str:
        return self.variables.get(name, default)

    def yes(self, name: str) -> bool:
        """Return what checkyesno of rc.subr makes of a variable."""
        return self.get(name).lower() in {"yes", "true", "on", "1"}


def read_rc_conf(root: Path, names: Sequence[str] = (), *, files: Sequence[str] = ()) -> RcConf:
    """Evaluate the configuration below ``root``; ``names`` are the rc.conf.d names of a script.

    With ``files`` (paths inside the machine) only these are read, as ``sysrc -f`` does.
    Raises :class:`LabError` when there is no /bin/sh.
    """
    environment = {"PATH": "/usr/bin:/bin", "LAB_FILES": " ".join(files), "LC_ALL": "C"}
    command = ["/bin/sh", "-c", _SCRIPT, "sh", str(root), *names]
    try:
        run = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIME_LIMIT,
            check=False,
            cwd=root,
        )
    except subprocess.TimeoutExpired:
        return RcConf({}, ("rc.conf does not come to an end",), complete=False)
    except OSError as error:
        raise LabError(f"/bin/sh does not run: {os.strerror(error.errno or 0)}", place=str(root)) from error
    pairs = [part.partition("=") for part in run.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]]
    variables = {name: value for name, _, value in pairs}
    complete = variables.pop("LAB", "") == "end"
    messages = syntax_messages(run.stderr.decode("utf-8", "surrogateescape"), str(root))
    return RcConf(variables, messages, complete)


def syntax_messages(stderr: str, root: str) -> tuple[str, ...]:
    """Translate what the shell printed into FreeBSD's ``FILE: LINE: Syntax error: ...``, paths inside the machine."""
    found: list[str] = []
    for line in stderr.splitlines():
        clean = line.replace(f"{root}/", "/")
        matched = next((each for pattern in _LINES if (each := pattern.match(clean))), None)
        if matched is None:
            found.append(clean)
        else:
            found.extend(_wording(matched["file"], int(matched["line"]), matched["text"]))
    return tuple(found)


def _wording(file: str, number: int, text: str) -> list[str]:
    if "backquote" in text or "matching ``'" in text:
        # The inner parse fails at the end of the file, the outer one on the line that opened the substitution.
        return [
            f"{file}: {number}: Syntax error: {_BACKQUOTE}",
            f"{file}: {number - 1}: Syntax error: Error in command substitution",
        ]
    if "matching" in text or _UNTERMINATED in text:
        return [f"{file}: {number}: Syntax error: {_UNTERMINATED}"]
    return [f"{file}: {number}: Syntax error: {text}"]
