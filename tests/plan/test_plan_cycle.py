"""Apply, apply again, boot, leave: the same on every era, against simulated kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from simulated_host import PSEUDO, RELEASES, SimulatedHost, group, inventory_of

V4 = {"web": group(1, "192.0.2.10/24")}
TWO = {"web": group(1, "192.0.2.10/24", "192.0.2.11/24"), "db": group(7, "192.0.2.20/24", "192.0.2.21/32")}
TWO_INTERFACES = {"web": group(1, "192.0.2.10/24"), "inside": group(2, "198.51.100.10/24", interface="em1")}
SAME_VHID = {"web": group(3, "192.0.2.10/24"), "inside": group(3, "198.51.100.10/24", interface="em1")}
SHARED = {"web": group(1, "192.0.2.10/24"), "db": group(2, "192.0.2.10/24")}
DUAL = {"web": group(1, "192.0.2.10/24", "2001:db8::10/64", "2001:db8::11/64", "192.0.2.12/24")}
SIX = {"web": group(1, "2001:db8::10/64", "2001:db8::11/64")}

CASES = [
    *(pytest.param(r, V4, id=f"{r}-one") for r in RELEASES),
    *(pytest.param(r, TWO, id=f"{r}-two") for r in RELEASES),
    *(pytest.param(r, TWO_INTERFACES, id=f"{r}-interfaces") for r in RELEASES),
    *(pytest.param(r, SAME_VHID, id=f"{r}-samevhid") for r in RELEASES if r not in PSEUDO),
    *(pytest.param(r, SHARED, id=f"{r}-shared") for r in PSEUDO),
    *(pytest.param(r, DUAL, id=f"{r}-dual") for r in RELEASES if r != "7.2"),
    *(pytest.param(r, SIX, id=f"{r}-six") for r in RELEASES if r != "7.2"),
]
RC = (
    'hostname="a"\nsshd_enable="YES"\nifconfig_em0="inet 192.0.2.2/24"\nifconfig_em0_ipv6="inet6 2001:db8::2/64"\n'
    'ifconfig_em1="inet 198.51.100.2/24"   # inside\n'
)


@pytest.mark.parametrize(("release", "groups"), CASES)
def test_the_whole_life_of_some_groups(tmp_path: Path, release: str, groups: dict[str, Any]) -> None:
    with SimulatedHost(tmp_path, release, rc_conf=RC) as host:
        before, files = (
            host.live(),
            {p: host.read(p) for p in ("/etc/rc.conf", "/etc/sysctl.conf", "/boot/loader.conf")},
        )
        inventory = inventory_of(release, groups)
        host.apply(inventory)
        assert not host.plan(inventory), [str(c.command) for c in host.plan(inventory).live]
        live = host.live()
        host.boot()
        assert host.live() == live
        assert not host.plan(inventory)
        host.apply(inventory_of(release, {}))
        assert not host.plan(inventory_of(release, {}))
        assert host.live()["interfaces"] == before["interfaces"]
        after = host.live()["sysctls"]
        assert host.read("/var/db/bsdcarp/record") is None
        assert {p: host.read(p) or "" for p in files} == {p: t or "" for p, t in files.items()}
        if before["sysctls"]:
            assert after == before["sysctls"]
