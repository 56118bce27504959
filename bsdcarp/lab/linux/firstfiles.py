"""The files a simulated Linux host starts its life with: what an installer wrote."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Interface

from bsdcarp.lab.linux.releases import LinuxRelease
from bsdcarp.lab.wiring import Link
from bsdcarp.model import IfAddress

__all__ = ["PROGRAMS", "first_files", "interfaces_file"]

_SSH_UNIT = """\
[Unit]
Description=OpenBSD Secure Shell server
After=network.target auditd.service

[Service]
ExecStart=/usr/sbin/sshd -D
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
Type=notify

[Install]
WantedBy=multi-user.target
"""
_NETWORKING_UNIT = """\
[Unit]
Description=Raise network interfaces
After=local-fs.target systemd-sysctl.service
Before=network.target

[Service]
Type=oneshot
ExecStart=/sbin/ifup -a
RemainAfterExit=yes

[Install]
WantedBy=multi-user.target
"""
_SYSCTL_CONF = """\
# Values for the kernel, see sysctl.conf(5); files in /etc/sysctl.d come first.

#net.ipv4.ip_forward=1
"""
_LOOPBACK = "auto lo\niface lo inet loopback\n"
PROGRAMS = ("bin/kill", "sbin/ifup", "usr/sbin/sshd")
"""What units start or run; the lab only looks whether it is there."""
_WANTS = "etc/systemd/system/multi-user.target.wants"


def first_files(name: str, release: LinuxRelease, interfaces: str, users: Collection[str]) -> dict[str, str]:
    """Return the texts by path relative to the root; ``users`` are there besides root."""
    passwd = ["root:x:0:0:root:/root:/bin/bash", "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin"]
    passwd += [f"{user}:x:{1000 + n}:{1000 + n}::/home/{user}:/bin/bash" for n, user in enumerate(sorted(users))]
    units = {"ssh.service": _SSH_UNIT, "networking.service": _NETWORKING_UNIT}
    return {
        "etc/hostname": f"{name}\n",
        "etc/hosts": f"127.0.0.1\tlocalhost\n127.0.1.1\t{name}\n::1\tlocalhost ip6-localhost ip6-loopback\n",
        "etc/machine-id": f"{abs(_digits(name)):032x}\n",
        "etc/os-release": release.os_release,
        "etc/passwd": "".join(f"{line}\n" for line in passwd),
        "etc/group": "root:x:0:\nsudo:x:27:" + ",".join(sorted(users)) + "\n",
        "etc/sysctl.conf": _SYSCTL_CONF,
        "etc/network/interfaces": interfaces or _LOOPBACK,
        **dict.fromkeys(PROGRAMS, ""),
        **{f"usr/lib/systemd/system/{unit}": text for unit, text in units.items()},
        **{f"{_WANTS}/{unit}": text for unit, text in units.items()},
    }


def _digits(name: str) -> int:
    return int.from_bytes(name.encode("utf-8", "surrogateescape")[:16], "big")


def interfaces_file(
    links: Mapping[str, Link], addresses: Mapping[str, Sequence[IfAddress]], gateway: str | None = None
) -> str:
    """Write /etc/network/interfaces for cards and VLANs with their own addresses."""
    blocks = ["# Network interfaces of this host; see interfaces(5).", _LOOPBACK.rstrip("\n")]
    for link in links.values():
        lines = [f"auto {link.name}"]
        raw = [f"    vlan-raw-device {link.card}"] if link.tag is not None else []
        own = addresses.get(link.name, ())
        for address in own:
            lines.append(f"iface {link.name} {'inet' if address.version == 4 else 'inet6'} static")
            lines.append(f"    address {address.with_prefixlen}")
            if gateway is not None and isinstance(address, IPv4Interface) and _near(gateway, address):
                lines.append(f"    gateway {gateway}")
            lines += raw
        if not own:
            lines += [f"iface {link.name} inet manual", *raw]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _near(gateway: str, address: IPv4Interface) -> bool:
    return IPv4Interface(f"{gateway}/{address.network.prefixlen}").network == address.network
