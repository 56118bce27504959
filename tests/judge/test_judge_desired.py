"""What bsdcarp itself would write comes up as wanted, on every era: desire, pretend to apply, judge."""

from __future__ import annotations

from dataclasses import replace

import pytest
from clean_hosts import CLEAN
from judge_hosts import HOST, snapshot_of

from bsdcarp.judge import persist, verify_host
from bsdcarp.model import Group, Host, Inventory, Member, PasswordSource, Secret, SysctlWish, vip
from bsdcarp.platforms.desire import desire
from bsdcarp.snapshot import Snapshot

SECRETS = {"lan": Secret("secret1"), "dns": Secret("secret7")}


def inventory(*, shared: bool) -> Inventory:
    source = PasswordSource("env", "X")
    members = (Member(HOST, 0, "em0"), Member("fw2", 100, "em0"))
    crossed = (Member("fw2", 0, "em0"), Member(HOST, 100, "em0"))
    lan = ["192.168.90.1/24"] if shared else ["192.168.90.1/24", "192.168.90.4/24", "2001:db8::1/64"]
    dns = ["192.168.90.1/24"] if shared else ["192.168.90.7/24"]
    groups = {
        "lan": Group("lan", 1, source, tuple(vip(a) for a in lan), members),
        "dns": Group("dns", 7, source, tuple(vip(a) for a in dns), crossed),
    }
    wish = SysctlWish(allow=1, preempt=1, log=1, arpbalance="auto")
    host = Host(HOST, "192.168.90.2", "em0", sysctl=wish)
    return Inventory("inventory.yml", {HOST: host, "fw2": replace(host, name="fw2")}, groups)


def bare(release: str) -> Snapshot:
    """Return a host before bsdcarp: its own address, and carp in a static kernel where there is no module."""
    clean = CLEAN[release]
    static = clean.carp == "static"
    files = {"/etc/rc.conf": 'hostname="fw1"\nifconfig_em0="inet 192.168.90.2/24"\n'}
    return snapshot_of(
        replace(clean, vhids=(), own=("192.168.90.2/24",)), files, carp="static" if static else "absent", sysctls={}
    )


@pytest.mark.parametrize("release", sorted(CLEAN))
def test_what_is_rendered_survives_a_reboot(release: str) -> None:
    pseudo = release in ("7.2", "9.3")
    wish = inventory(shared=pseudo)
    before = bare(release)
    wanted = desire(wish, wish.hosts[HOST], SECRETS, before)
    texts = {path: state.text for path, state in before.files.items()}
    texts |= {path: want.text for path, want in wanted.files.items() if want.text is not None}
    after = snapshot_of(
        replace(CLEAN[release], vhids=(), own=("192.168.90.2/24",)), texts, carp=before.carp, sysctls={}
    )
    again = desire(wish, wish.hosts[HOST], SECRETS, after)
    assert [f"{f.rule} {f.place} {f.message}" for f in persist(again, after)] == []
    live = {f.rule for f in verify_host(again, after)}
    assert not any(rule.startswith("verify-file") for rule in live), live
    if pseudo or before.carp == "absent":
        assert live & {"verify-vhid-missing", "verify-kernel"}
