"""Lossless editors for the files that bsdcarp changes on a FreeBSD host: pure text to text, no input or output.

Each editor keeps every byte that it was not asked to change, and refuses (TextFileError) rather than guess.
"""

from __future__ import annotations

from bsdcarp.textfiles.alias import AliasWords, hyphen_trap, parse_alias, variable_name
from bsdcarp.textfiles.kernconf import KernConf
from bsdcarp.textfiles.loaderconf import LoaderConf
from bsdcarp.textfiles.rcconf import RcConf
from bsdcarp.textfiles.sysctlconf import SysctlConf

__all__ = [
    "AliasWords",
    "KernConf",
    "LoaderConf",
    "RcConf",
    "SysctlConf",
    "hyphen_trap",
    "parse_alias",
    "variable_name",
]
