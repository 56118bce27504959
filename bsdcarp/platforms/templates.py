"""Jinja2 over ``templates/``: strict about what is undefined, and no text reaches rc.conf unquoted."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bsdcarp.errors import BsdcarpError
from bsdcarp.textfiles.alias import variable_name

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["environment", "plain", "rcquote", "render"]

_ESCAPED = str.maketrans({ch: "\\" + ch for ch in '\\$`"'})


def rcquote(value: object) -> str:
    """Return ``value`` as a double-quoted sh word, which sh and sysrc(8) read back unchanged."""
    return '"' + str(value).translate(_ESCAPED) + '"'


@cache
def environment() -> Environment:
    """Return the one environment; the first call imports jinja2 and finds the templates."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    inside = Path(__file__).parent.parent / "templates"  # in an installed wheel
    beside = Path(__file__).parents[2] / "templates"  # in a checkout
    directory = inside if inside.is_dir() else beside
    if not directory.is_dir():
        raise BsdcarpError("the templates are missing", place=str(inside), remedy="install bsdcarp again")
    # These are configuration files, not HTML: quoting is rcquote's and tojson's business.
    made = Environment(
        loader=FileSystemLoader(directory),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701
    )
    made.filters["rcquote"] = rcquote
    made.filters["rcname"] = variable_name
    return made


def render(template: str, **context: object) -> str:
    """Render ``templates/TEMPLATE`` with ``context``."""
    return environment().get_template(template).render(**context)


def plain(template: str) -> str:
    """Return ``templates/TEMPLATE`` as it is: shell and unit files have braces and percent signs of their own."""
    loader = environment().loader
    if loader is None:
        raise BsdcarpError("the templates are missing", place=template)
    return loader.get_source(environment(), template)[0]
