"""The boot loader: loader.conf, the kernel it selects, the modules it loads beside it (loader.conf(5), nextboot(8))."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["LoaderConf", "parse_loader_conf", "read_loader_conf"]

_ASSIGNMENT = re.compile(r"""^\s*([A-Za-z_][A-Za-z0-9_.+-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"'#]*))\s*(?:#.*)?$""")
# What every kernel directory is searched for; loader.conf(5) of FreeBSD 12.1 and, for the .d directory, 13.0.
FILES = ("/boot/loader.conf", "/boot/loader.conf.local")


@dataclass(frozen=True, slots=True)
class LoaderConf:
    """Variables in the order of assignment, and the lines that the loader could not read."""

    variables: Mapping[str, str]
    errors: tuple[str, ...] = ()

    def modules(self) -> tuple[str, ...]:
        """Return the files to load: NAME of each NAME_load="YES", or what NAME_name says."""
        names = [
            name.removesuffix("_load")
            for name, value in self.variables.items()
            if name.endswith("_load") and value.upper() == "YES"
        ]
        return tuple(self.variables.get(f"{name}_name", name) for name in names)

    @property
    def kernel(self) -> str:
        return self.variables.get("kernel", "kernel")


def parse_loader_conf(text: str, path: str) -> LoaderConf:
    """Parse one file.  A line that is neither assignment nor comment is an error with its number."""
    variables: dict[str, str] = {}
    errors: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _ASSIGNMENT.match(line)
        if found is None:
            errors.append(f"{path}:{number}: syntax error")
        else:
            name, quoted, bare = found.groups()
            variables.pop(name, None)
            variables[name] = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
    return LoaderConf(variables, tuple(errors))


def read_loader_conf(read: Callable[[str], str | None], extra: tuple[str, ...] = ()) -> LoaderConf:
    """Read all files of the loader, later ones winning; ``read`` returns the text of a path or None."""
    variables: dict[str, str] = {}
    errors: list[str] = []
    for path in (*FILES, *extra):
        text = read(path)
        if text is None:
            continue
        one = parse_loader_conf(text, path)
        variables.update(one.variables)
        errors.extend(one.errors)
    return LoaderConf(variables, tuple(errors))
