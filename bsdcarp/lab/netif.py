"""rc.d/netif on a simulated machine: clones, names, vlans, ifconfig_IF, aliases, and taking it all down again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bsdcarp.lab.aliases import EndlessRecursion, plan_aliases, variable_part
from bsdcarp.lab.commands.ifconfig import ifconfig
from bsdcarp.lab.ifconfig_text import describe
from bsdcarp.lab.kernel import Kernel
from bsdcarp.lab.rcconf import RcConf

__all__ = ["EndlessRecursion", "Netif"]


@dataclass(slots=True)
class Netif:
    """One run of the script.  ``script`` is the name in its warnings, /etc/rc while booting.

    ``out`` and ``err`` take text as it is printed; while booting both go to the console.
    """

    kernel: Kernel
    conf: RcConf
    script: str
    out: Callable[[str], None]
    err: Callable[[str], None]
    is_root: bool = True
    status: int = 0

    def start(self, only: Sequence[str] = ()) -> None:
        """Configure the named interfaces, or create the clones and configure all.

        Raises :class:`EndlessRecursion` when an alias sends the script into endless recursion.
        """
        if not only:
            self._create_clones()
        self._rename()
        names = list(only) or [name for name in self._all() if not self._left_alone(name)]
        ready = [name for name in names if self._start_one(name)]
        if ready:
            self.out(f"Starting Network: {' '.join(ready)}.\n")
            self._show(ready)
        if only and self.kernel.release.rc.clone_error and any(self._is_clone(name) for name in only):
            self.status = 1  # recorded on FreeBSD 9.3: netif start carp0 works and leaves with 1

    def start_ipv6(self) -> None:
        """Do what rc.d/network_ipv6 of FreeBSD 8 and before does: ``ipv6_ifconfig_IF`` and its aliases."""
        wanted = self.conf.get("ipv6_network_interfaces", "auto")
        names = [name for name in self._all() if name != "lo0"] if wanted == "auto" else wanted.split()
        for name in names:
            variable = f"ipv6_ifconfig_{variable_part(name)}"
            if words := self.conf.get(variable).split():
                self._ifconfig(name, "inet6", *words)
            number = 0
            while words := self.conf.get(f"{variable}_alias{number}").split():
                self._ifconfig(name, "inet6", *words, "alias")
                number += 1

    def stop(self, only: Sequence[str] = ()) -> None:
        """Remove the addresses of the interfaces and set them down."""
        names = [name for name in (list(only) or self._all()) if name in self.kernel.interfaces]
        for name in names:
            for address in tuple(self.kernel.interfaces[name].addresses):
                family = "inet" if address.ip.version == 4 else "inet6"
                self._ifconfig(name, family, str(address.ip), "-alias")
            self._ifconfig(name, "down")
        if names:
            self.out(f"Stopping Network: {' '.join(names)}.\n")
            self._show(names)

    def _show(self, names: Sequence[str]) -> None:
        for name in names:
            if name in self.kernel.interfaces:
                self.out(describe(self.kernel, self.kernel.interfaces[name], keys=False))

    def _left_alone(self, name: str) -> bool:
        """Whether the boot leaves it out: ``network_interfaces`` does not name it, or its variable says NOAUTO."""
        wanted = self.conf.get("network_interfaces") or "auto"
        named = {"lo0", *wanted.split(), *self.conf.get("cloned_interfaces").split()}
        if wanted.lower() != "auto" and name not in named:
            return True
        return "NOAUTO" in self.conf.get(f"ifconfig_{variable_part(name)}").upper().split()

    def _all(self) -> list[str]:
        names = [name for name in self.kernel.interfaces if name != "lo0"]
        return ["lo0", *names] if "lo0" in self.kernel.interfaces else names

    def _is_clone(self, name: str) -> bool:
        return name in self.conf.get("cloned_interfaces").split() or name.startswith("carp")

    def _ifconfig(self, *words: str) -> bool:
        reply = ifconfig(self.kernel, words, is_root=self.is_root)
        self.err(reply.stderr.decode("utf-8", "surrogateescape"))
        return reply.status == 0

    def _create_clones(self) -> None:
        for name in self.conf.get("cloned_interfaces").split():
            self._ifconfig(name, "create", *self.conf.get(f"create_args_{variable_part(name)}").split())
        for parent in tuple(self.kernel.interfaces):
            for word in self.conf.get(f"vlans_{variable_part(parent)}").split():
                if word.isdigit():
                    self._ifconfig(f"{parent}.{word}", "create")
                else:
                    self._create_named_vlan(parent, word)

    def _create_named_vlan(self, parent: str, name: str) -> None:
        arguments = self.conf.get(f"create_args_{variable_part(name)}").split()
        reply = ifconfig(self.kernel, ["vlan", "create", *arguments, "vlandev", parent], is_root=self.is_root)
        self.err(reply.stderr.decode("utf-8", "surrogateescape"))
        if reply.status == 0:
            self._ifconfig(reply.stdout.decode().strip(), "name", name)

    def _rename(self) -> None:
        for name in tuple(self.kernel.interfaces):
            wanted = self.conf.get(f"ifconfig_{variable_part(name)}_name")
            if wanted and name in self.kernel.interfaces:
                self._ifconfig(name, "name", wanted)

    def _start_one(self, name: str) -> bool:
        if name not in self.kernel.interfaces:
            return False
        part = variable_part(name)
        words = self._arguments(name)
        ipv6 = self.conf.get(f"ifconfig_{part}_ipv6")
        if self.kernel.release.rc.inet6_ifdisabled and name != "lo0" and (words or ipv6):
            disabled = not ipv6 and self.conf.get("ipv6_activate_all_interfaces").upper() != "YES"
            self._ifconfig(name, "inet6", "ifdisabled" if disabled else "-ifdisabled")
        used = bool(words or ipv6)
        if words:
            self._ifconfig(name, *words)
        if ipv6:
            first = [] if ipv6.split()[0] == "inet6" else ["inet6"]
            self._ifconfig(name, *first, *(word for word in ipv6.split() if word != "accept_rtadv"))
        if used:
            self._ifconfig(name, "up")
        used |= self._aliases(name, "inet")
        if name == "lo0" or (ipv6 and self._ipv6_wanted(name)):
            used |= self._aliases(name, "inet6")
        return used

    def _ipv6_wanted(self, name: str) -> bool:
        """Whether ``ipv6_network_interfaces`` admits the inet6 aliases (ipv6if() in network.subr of 9.3 and 12.1)."""
        names = (self.conf.get("ipv6_network_interfaces") or "auto").split()
        return name in names or [word.lower() for word in names] == ["auto"]

    def _arguments(self, name: str) -> list[str]:
        words = self.conf.get(f"ifconfig_{variable_part(name)}").split()
        if not words and name not in self.conf.get("cloned_interfaces").split():
            words = self.conf.get("ifconfig_DEFAULT").split() if name != "lo0" else []
        kept = [word for word in words if word.upper() not in {"DHCP", "SYNCDHCP", "NOAUTO", "WPA", "NOSYNCDHCP"}]
        return kept or (["up"] if words else [])

    def _aliases(self, name: str, family: str) -> bool:
        try:
            plan = plan_aliases(self.conf.variables, name, family, self.kernel.release.rc)
        except EndlessRecursion as endless:
            self._warn(endless.warnings)
            raise
        self._warn(plan.warnings)
        worked = [self._ifconfig(name, *words) for words in plan.calls]
        return bool(plan.calls) and any(worked)

    def _warn(self, warnings: Sequence[str]) -> None:
        for warning in warnings:
            self.err(f"{self.script}: WARNING: {warning}\n")
