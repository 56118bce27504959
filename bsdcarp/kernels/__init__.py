"""Kernels with carp compiled in: what a host has, what it needs, and the programs that build, install and try one."""

from __future__ import annotations

from bsdcarp.kernels.decide import Decision, NextBoot, decide
from bsdcarp.kernels.default import default_plan, module_plan
from bsdcarp.kernels.facts import Build, Disk, InstalledKernel, KernelFacts
from bsdcarp.kernels.method import Method, choose_method
from bsdcarp.kernels.parse import Report, parse_facts, read_report
from bsdcarp.kernels.progress import Progress, progress_of
from bsdcarp.kernels.script import (
    Place,
    build_script,
    end_trial_script,
    install_script,
    look_script,
    rooted,
    trial_script,
)

__all__ = [
    "Build",
    "Decision",
    "Disk",
    "InstalledKernel",
    "KernelFacts",
    "Method",
    "NextBoot",
    "Place",
    "Progress",
    "Report",
    "build_script",
    "choose_method",
    "decide",
    "default_plan",
    "end_trial_script",
    "install_script",
    "look_script",
    "module_plan",
    "parse_facts",
    "progress_of",
    "read_report",
    "rooted",
    "trial_script",
]
