"""service(8) and the rc.d scripts the lab has: netif, sysctl, routing, and the status of a few daemons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bsdcarp.lab.boot import apply_sysctl_conf, start_routing
from bsdcarp.lab.netif import EndlessRecursion, Netif
from bsdcarp.lab.rcconf import RcConf, read_rc_conf
from bsdcarp.lab.reply import Call, Reply, failure, text

if TYPE_CHECKING:
    from bsdcarp.lab.machine import Machine

__all__ = ["run"]

# (script, variable that enables it; empty for scripts that always run), in the order of rcorder(8)
_SCRIPTS = (
    ("/etc/rc.d/hostid", "hostid_enable"),
    ("/etc/rc.d/hostid_save", "hostid_enable"),
    ("/etc/rc.d/cleanvar", "cleanvar_enable"),
    ("/etc/rc.d/ip6addrctl", "ip6addrctl_enable"),
    ("/etc/rc.d/newsyslog", "newsyslog_enable"),
    ("/etc/rc.d/syslogd", "syslogd_enable"),
    ("/etc/rc.d/devd", "devd_enable"),
    ("/etc/rc.d/pfsync", "pfsync_enable"),
    ("/etc/rc.d/pf", "pf_enable"),
    ("/etc/rc.d/sshd", "sshd_enable"),
    ("/etc/rc.d/cron", "cron_enable"),
)
_ALL = ("cron", "devd", "hostid", "kld", "netif", "pf", "pfsync", "routing", "sshd", "sysctl", "syslogd")
_DAEMONS = {"sshd": 4242, "cron": 4243, "devd": 4244, "syslogd": 4245}
_PREFIX = "[fast|force|one|quiet]"
_ENDLESS = "exec sleep 2147483647"


def run(machine: Machine, call: Call) -> Reply:
    words = [word for word in call.args if word != "-v"]
    conf = read_rc_conf(machine.tree.root)
    if not conf.complete:
        return text(stderr="".join(f"{message}\n" for message in conf.messages), status=2)
    if words[:1] == ["-l"]:
        return text("".join(f"{name}\n" for name in sorted(_ALL)))
    if words[:1] == ["-e"]:
        return text("".join(f"{script}\n" for script, variable in _SCRIPTS if conf.yes(variable)))
    if len(words) < 2:
        return failure(
            "usage: service [-j jail] -e\n       service [-j jail] -l [-v]\n       service [-v] <rc.d> start|stop|etc."
        )
    name, command, *rest = words
    if name not in _ALL:
        return failure(
            f"{name} does not exist in /etc/rc.d or the local startup\n"
            "directories (/usr/local/etc/rc.d), or is not executable"
        )
    script = _HANDLERS.get(name, _daemon)
    return script(machine, conf, name, command, rest, call.is_root)


def _usage(name: str, command: str, known: str) -> Reply:
    return failure(f"/etc/rc.d/{name}: unknown directive '{command}'.\nUsage: /etc/rc.d/{name} {_PREFIX}({known})")


def _netif(machine: Machine, _conf: RcConf, name: str, command: str, rest: Sequence[str], is_root: bool) -> Reply:
    known = "start|stop|restart|rcvar|enabled|cloneup|clonedown|clear|vnetup|vnetdown"
    action = _plain(command)
    if action not in {"start", "stop", "restart"}:
        return _usage(name, command, known)
    conf = read_rc_conf(machine.tree.root, machine.release.rc.rc_conf_d)
    out: list[str] = []
    err: list[str] = []
    work = Netif(machine.kernel, conf, "/etc/rc.d/netif", out.append, err.append, is_root)
    try:
        if action in {"stop", "restart"}:
            work.stop(rest)
        if action in {"start", "restart"}:
            work.start(rest)
    except EndlessRecursion:
        reply = text("".join(out), stderr="".join(err))
        return Reply(reply.stdout, reply.stderr, script=_ENDLESS)
    return text("".join(out), stderr="".join(err), status=work.status)


def _sysctl(machine: Machine, _conf: RcConf, name: str, command: str, _rest: Sequence[str], _is_root: bool) -> Reply:
    action = _plain(command)
    if action == "stop":
        return text()
    if action not in {"start", "reload", "restart", "lastload"}:
        return _usage(name, command, "start|stop|restart|rcvar|enabled|reload|lastload")
    err: list[str] = []
    apply_sysctl_conf(machine, last=action == "lastload", script="/etc/rc.d/sysctl", err=err.append)
    return text(stderr="".join(err))


_STATIC_ROUTES = ("fe80::", "ff02::", "::ffff:0.0.0.0", "::0.0.0.0")


def _routing(machine: Machine, conf: RcConf, name: str, command: str, _rest: Sequence[str], _is_root: bool) -> Reply:
    action = _plain(command)
    if action not in {"start", "stop", "restart"}:
        return _usage(name, command, "start|stop|restart|rcvar|enabled|options|static")
    out: list[str] = []
    stderr = ""
    kernel = machine.kernel
    gateway = conf.get("defaultrouter")
    if action != "start":
        out.append("delete host 127.0.0.1: gateway lo0\n")
        if kernel.default_route is None:
            out.append(f"delete net default: gateway {gateway} fib 0: not in table\n")
            stderr = "route: route has not been found\n"
        else:
            out.append(f"delete net default: gateway {gateway}\n")
        out.append("delete host ::1: gateway lo0\n")
        out.extend(f"delete net {net}: gateway ::1\n" for net in _STATIC_ROUTES)
        kernel.default_route = None
    if action != "stop":
        out.append("add host 127.0.0.1: gateway lo0\n")
        start_routing(kernel, conf, out.append)
        out.append("add host ::1: gateway lo0\n")
        out.extend(f"add net {net}: gateway ::1\n" for net in _STATIC_ROUTES)
        kernel.loopback_route_by_name = True
    return text("".join(out), stderr=stderr)


def _daemon(_machine: Machine, conf: RcConf, name: str, command: str, _rest: Sequence[str], _is_root: bool) -> Reply:
    enabled = conf.yes(f"{name}_enable")
    forced = command.startswith(("one", "force"))
    action = _plain(command)
    if action == "rcvar":
        return text(f'# {name}\n#\n{name}_enable="{"YES" if enabled else "NO"}"\n#   (default: "")\n')
    if action not in {"start", "stop", "restart", "reload", "status", "enabled"}:
        return _usage(name, command, "start|stop|restart|rcvar|enabled|status|poll")
    if action == "enabled":
        return Reply(status=0 if enabled else 1)
    if action == "status":
        running = enabled and name in _DAEMONS
        if running:
            return text(f"{name} is running as pid {_DAEMONS[name]}.\n")
        if not enabled and not forced:
            return _disabled(name, action)
        return text(f"{name} is not running.\n", status=1)
    if not enabled and not forced:
        return _disabled(name, action)
    verb = {"start": "Starting", "stop": "Stopping", "restart": "Starting", "reload": "Reloading"}[action]
    return text(f"{verb} {name}.\n")


def _disabled(name: str, action: str) -> Reply:
    return failure(
        f"Cannot '{action}' {name}. Set {name}_enable to YES in /etc/rc.conf "
        f"or use 'one{action}' instead of '{action}'."
    )


def _plain(command: str) -> str:
    for prefix in ("fast", "force", "one", "quiet"):
        if command.startswith(prefix) and command != prefix:
            return command.removeprefix(prefix)
    return command


_Handler = Callable[["Machine", RcConf, str, str, Sequence[str], bool], Reply]
_HANDLERS: dict[str, _Handler] = {"netif": _netif, "sysctl": _sysctl, "routing": _routing}
