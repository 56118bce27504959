"""SSH to the hosts: ssh_config, known_hosts, jump hosts, user keys, old servers, and becoming root.

This is the only package that imports paramiko, and it does so when ``connect`` is called, not before: resolving a
target, like everything that needs no host, works without it.
"""

from __future__ import annotations

from bsdcarp.ssh.become import Become
from bsdcarp.ssh.result import Result, RunFailed
from bsdcarp.ssh.session import Session, connect
from bsdcarp.ssh.target import SshTarget, resolve

__all__ = ["Become", "Result", "RunFailed", "Session", "SshTarget", "connect", "resolve"]
