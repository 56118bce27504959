"""uname(1), freebsd-version(1), hostname(1), id(1), whoami(1), kenv(1), config(8) -x: who and what the machine is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bsdcarp.lab.kernconf import parse_kernel_file
from bsdcarp.lab.reply import Call, Reply, failure, text

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine

__all__ = ["config", "freebsd_version", "hostname", "identity", "kenv", "uname", "whoami"]

_UNAME_ORDER = "snrvmpiUK"


def uname(machine: Machine, call: Call) -> Reply:
    kernel, release = machine.kernel, machine.release
    letters = set("".join(word.removeprefix("-") for word in call.args)) or {"s"}
    if "a" in letters:
        letters = (letters - {"a"}) | set("snrvm")
    known = {
        "s": "FreeBSD",
        "n": kernel.hostname,
        "r": release.uname_r,
        "v": release.kernel_version(kernel.image.ident).replace("\n", " "),
        "m": release.arch,
        "p": release.arch,
        "i": kernel.image.ident,
    }
    if release.era == "vhid":
        known |= {"U": str(release.osreldate), "K": str(release.osreldate)}
    if "o" in letters:
        letters = (letters - {"o"}) | {"s"}
    if unknown := sorted(letters - set(known)):
        return failure(f"uname: illegal option -- {unknown[0]}\nusage: uname [-aimnoprsv]")
    return text(" ".join(known[letter] for letter in _UNAME_ORDER if letter in letters) + "\n")


def freebsd_version(machine: Machine, call: Call) -> Reply:
    letters = "".join(word.removeprefix("-") for word in call.args) or "u"
    return text(f"{machine.release.uname_r}\n" * len({letter for letter in letters if letter in "kru"}))


def hostname(machine: Machine, call: Call) -> Reply:
    names = [word for word in call.args if not word.startswith("-")]
    if names:
        if not call.is_root:
            return failure("hostname: sethostname: Operation not permitted")
        machine.kernel.hostname = names[0]
        return text()
    short = machine.kernel.hostname.split(".", 1)[0] if "-s" in call.args else machine.kernel.hostname
    return text(f"{short}\n")


def identity(machine: Machine, call: Call) -> Reply:
    """Answer id(1) for root and for users that pw(8) made."""
    name = next((word for word in call.args if not word.startswith("-")), call.user)
    number = machine.user_id(name)
    if number is None:
        return failure(f"id: {name}: no such user")
    if "-u" in call.args:
        return text(f"{number}\n")
    if "-un" in call.args or "-nu" in call.args:
        return text(f"{name}\n")
    group = "wheel" if number == 0 else name
    more = ",5(operator)" if number == 0 else ""
    return text(f"uid={number}({name}) gid={number}({group}) groups={number}({group}){more}\n")


def whoami(_machine: Machine, call: Call) -> Reply:
    return text(f"{call.user}\n")


def kenv(machine: Machine, call: Call) -> Reply:
    """Print the variables that the loader handed over."""
    environment = machine.kernel.environment
    words = [word for word in call.args if word != "-q"]
    if not words:
        return text("".join(f'{name}="{value}"\n' for name, value in sorted(environment.items())))
    name, assigns, value = words[0].partition("=")
    if assigns:
        if not call.is_root:
            return failure(f"kenv: unable to set {name}")
        environment[name] = value.strip('"')
        return text(f'{name}="{environment[name]}"\n')
    if name not in environment:
        return Reply(status=1) if "-q" in call.args else failure(f"kenv: unable to get {name}")
    return text(f"{environment[name]}\n")


def config(machine: Machine, call: Call) -> Reply:
    """Print the configuration inside a kernel file (config -x)."""
    if len(call.args) != 2 or call.args[0] != "-x":
        return failure("usage: config [-CgmpV] [-d destdir] sysname\n       config -x kernel", 64)
    path = call.args[1]
    image = parse_kernel_file(machine.tree.read(path, call.cwd), "")
    if image is None:
        return failure(
            f"config: File {path} doesn't contain configuration file. Either unsupported, or not compiled with "
            "INCLUDE_CONFIG_FILE"
        )
    return text(image.config)
