"""The files a simulated FreeBSD machine is born with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bsdcarp.lab.filetree import FileTree
from bsdcarp.lab.kernconf import GENERIC, expand, kernel_file
from bsdcarp.lab.releases import Release

__all__ = ["Tree"]

_DIRECTORIES = (
    "bin", "boot/defaults", "boot/modules", "dev", "etc/defaults", "etc/rc.conf.d", "etc/rc.d", "root", "sbin", "tmp",
    "usr/bin", "usr/sbin", "usr/local/etc/rc.d", "usr/local/bin", "var/backups", "var/db", "var/log", "var/run",
    "var/tmp",
)  # fmt: skip
_OTHER_MODULES = ("bridgestp", "if_bridge", "if_epair", "if_lagg", "nullfs", "pf", "pflog", "pfsync")
_DEFAULTS = """\
# Defaults of the simulated machine; only what the lab's rc scripts look at.
rc_conf_files="/etc/rc.conf /etc/rc.conf.local"
hostname=""
kld_list=""
cloned_interfaces=""
network_interfaces="auto"
ifconfig_lo0="inet 127.0.0.1"
ipv6_activate_all_interfaces="NO"
ipv6_network_interfaces="auto"
defaultrouter="NO"
gateway_enable="NO"
sshd_enable="NO"
cron_enable="YES"
devd_enable="YES"
syslogd_enable="YES"
sendmail_enable="NO"
newsyslog_enable="YES"
hostid_enable="YES"
ip6addrctl_enable="YES"
cleanvar_enable="YES"
pf_enable="NO"
pfsync_enable="NO"
local_startup="/usr/local/etc/rc.d"
"""
_SYSCTL_CONF = """\
#
#  Read while the system goes multi-user; each line is given to sysctl(8).  See sysctl.conf(5).
#

#security.bsd.see_other_uids=0
"""


class Tree(FileTree):
    """The files of a FreeBSD machine."""

    def __init__(self, root: Path, release: Release) -> None:
        super().__init__(root)
        self.release = release

    @property
    def configurations(self) -> str:
        """The directory of kernel configurations, by machine."""
        return f"/usr/src/sys/{self.release.arch}/conf"

    def install_kernel(
        self, configuration: str, directory: str = "kernel", *, module: bool = True, below: str = ""
    ) -> None:
        """Put the kernel built from a configuration, and its modules, into /boot/DIRECTORY, as installkernel does.

        ``module`` leaves the CARP module out when false; ``below`` is what comes before /boot; a directory that begins
        with a slash is taken as it is.  Raises LabError for a bad configuration.
        """
        config = expand(configuration, self.read, self.configurations)
        place = below + (directory if directory.startswith("/") else f"/boot/{directory}")
        self.write(f"{place}/kernel", kernel_file(config))
        self.path(f"{place}/kernel").chmod(0o755)
        names = [*_OTHER_MODULES]
        if module and self.release.carp_module is not None:
            names.append(self.release.carp_module)
        for name in names:
            self.write(f"{place}/{name}.ko", f"module {name}\n")

    def create(self, kernel: str, files: Mapping[str, str]) -> None:
        """Write the initial tree: ``kernel`` is the configuration in /boot/kernel, ``files`` what else is wanted."""
        for name in _DIRECTORIES:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        texts = {
            "etc/defaults/rc.conf": _DEFAULTS,
            "etc/rc.conf": "",
            "etc/sysctl.conf": _SYSCTL_CONF,
            "boot/loader.conf": "",
            "boot/defaults/loader.conf": 'kernel="kernel"\nmodule_path="/boot/modules"\n',
            "boot/device.hints": "",
            "etc/group": "wheel:*:0:root\noperator:*:5:root\n",
            "etc/master.passwd": "root:*:0:0::0:0:Charlie &:/root:/bin/" + self.release.login_shell + "\n",
            "etc/passwd": "root:*:0:0:Charlie &:/root:/bin/" + self.release.login_shell + "\n",
            "var/log/messages": "",
            f"{self.configurations.lstrip('/')}/GENERIC": GENERIC.replace("amd64", self.release.arch),
            f"{self.configurations.lstrip('/')}/CARP": "include GENERIC\nident CARP\n\ndevice carp\n",
            **files,
        }
        for name, text in texts.items():
            self.write(name, text)
        self.install_kernel("GENERIC", "kernel" if kernel == "GENERIC" else "kernel.old")
        if kernel != "GENERIC":
            self.install_kernel(kernel, module=self.release.era == "pseudo")
