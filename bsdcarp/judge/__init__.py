"""Judging hosts: is it as wanted now (verify), and would it be so after a reboot (persist).  Pure functions."""

from __future__ import annotations

from bsdcarp.judge.groupmember import read_member
from bsdcarp.judge.persist import persist
from bsdcarp.judge.verify import verify_host
from bsdcarp.judge.verifygroup import verify_group

__all__ = ["persist", "read_member", "verify_group", "verify_host"]
