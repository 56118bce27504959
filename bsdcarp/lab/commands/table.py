"""Which function answers for which program."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bsdcarp.lab.commands import identity, ifconfig, kld, make, network, power, service, storage, sysctl, sysrc, tools
from bsdcarp.lab.reply import Call, Reply

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine

__all__ = ["COMMANDS", "Command"]

Command = Callable[["Machine", Call], Reply]

COMMANDS: dict[str, Command] = {
    "arp": network.arp,
    "command": tools.command,
    "config": identity.config,
    "daemon": tools.daemon,
    "df": storage.df,
    "dmesg": tools.dmesg,
    "freebsd-version": identity.freebsd_version,
    "fsync": tools.fsync,
    "halt": power.halt,
    "hostname": identity.hostname,
    "id": identity.identity,
    "ifconfig": ifconfig.run,
    "kenv": identity.kenv,
    "kldload": kld.kldload,
    "kldstat": kld.kldstat,
    "kldunload": kld.kldunload,
    "kldxref": kld.kldxref,
    "lockf": tools.lockf,
    "logger": tools.logger,
    "ls": tools.ls,
    "make": make.make,
    "md5": tools.digest,
    "netstat": network.netstat,
    "nextboot": power.nextboot,
    "pw": tools.pw,
    "reboot": power.reboot,
    "service": service.run,
    "sha256": tools.digest,
    "shutdown": power.shutdown,
    "stat": tools.stat,
    "su": tools.su,
    "sysctl": sysctl.run,
    "sysrc": sysrc.run,
    "uname": identity.uname,
    "wall": tools.wall,
    "whoami": identity.whoami,
}
"""Program name -> what it does.  A release may lack some (:attr:`Release.absent_commands`)."""
