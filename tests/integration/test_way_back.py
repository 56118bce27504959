"""Going back over several transactions at once, with everything that hosts had: modes, owners, services, addresses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from integration.conftest import Bench

pytestmark = pytest.mark.timeout(180)
Start = Callable[[str], Bench]
MIXED = """\
version: 1
sysctl: {allow: 1, preempt: 1, log: 1}
hosts:
  bsd: {address: 10.1.0.2, interface: em0, os: freebsd-14.2}
  lin: {address: 10.1.0.3, interface: eth0, os: debian-12}
groups:
  one: {vhid: 1, password: {env: LAB_PASSWORD}, addresses: [10.1.0.1/24], members: [bsd, lin]}
"""
WITHOUT = MIXED.replace("[bsd, lin]", "[bsd]")
HOSTS = ("bsd", "lin")
OURS = ("etc", "boot", "usr/local/lib/bsdcarp", "var/db/bsdcarp/record", "var/lib/bsdcarp/record")


def pictures(site: Bench) -> list[dict[str, object]]:
    return [picture(site, host) for host in HOSTS]


def picture(site: Bench, host: str) -> dict[str, object]:
    """Every file with its mode, and what runs."""
    root = Path(site.lab.root(host))
    paths = [p for top in OURS for p in (root / top, *sorted((root / top).rglob("*"))) if p.is_file()]
    seen: dict[str, object] = {str(p.relative_to(root)): (p.stat().st_mode, p.read_bytes()) for p in paths}
    if host == "bsd":
        return {**seen, **site.state(host)}
    return {
        **seen,
        **{word: site.live(host, "systemctl", word, "bsdcarp-carpd") for word in ("is-active", "is-enabled")},
    }


def apply(site: Bench, text: str) -> str:
    """Return the name of the transaction."""
    site.path.write_text(text)
    site.run("apply", "--yes", status=0)
    listed = site.run("pending", "--json", status=0).document["hosts"]
    return max(str(entry["transactions"][-1]["name"]) for entry in listed.values() if entry["transactions"])


def test_what_left_its_group_comes_back_with_its_modes(bench: Start) -> None:
    site = bench(MIXED)
    rc = site.file("bsd", "/etc/rc.conf")
    rc.chmod(0o640)
    nothing = pictures(site)
    apply(site, MIXED)
    inside = pictures(site)
    config = site.file("lin", "/etc/bsdcarp/carpd.json")
    assert config.stat().st_mode & 0o777 == 0o600
    apply(site, WITHOUT)
    outside = pictures(site)
    assert not config.exists()
    site.run("rollback", "--json", status=0)
    assert pictures(site) == inside
    site.run("rollback", status=0)
    assert pictures(site) == outside
    site.run("rollback", status=0)
    assert pictures(site) == inside
    assert rc.stat().st_mode & 0o777 == 0o640
    assert nothing != inside != outside


def test_joining_and_leaving_are_taken_back_at_once(bench: Start) -> None:
    site = bench(MIXED)
    nothing = pictures(site)
    names = []
    seen = [nothing]
    for text in (MIXED, MIXED.replace("log: 1", "log: 2"), WITHOUT, MIXED, WITHOUT.replace("log: 1", "log: 2")):
        names.append(apply(site, text))
        seen.append(pictures(site))
    last = seen[-1]
    for name, before in reversed(list(zip(names, seen, strict=False))):
        site.run("rollback", "--to", name, status=0)
        assert pictures(site) == before
        site.run("rollback", status=0)
        assert pictures(site) == last, "and that is taken back"


def test_where_something_waits_nothing_else_is_gone_back_to(bench: Start) -> None:
    site = bench(MIXED)
    first = apply(site, MIXED)
    site.path.write_text(MIXED.replace("log: 1", "log: 2"))
    site.run("apply", "--yes", "--confirm", "manual", status=0)
    before = pictures(site)
    waiting = site.run("pending", "--json", status=0).document["hosts"]["bsd"]["pending"]
    for more in ((), ("--json",), ("--yes",)):
        refused = site.run("rollback", "--to", first, *more, status=2)
        assert f"--to {first}: {waiting} waits on bsd, lin" in refused.err
    assert pictures(site) == before
    assert site.pending("bsd")
    site.run("rollback", status=0)
    site.run("rollback", "--to", first, status=0)


def test_what_waits_is_ended_without_passwords_and_whatever_rules_say(bench: Start) -> None:
    site = bench(MIXED)
    nothing = pictures(site)
    site.run("apply", "--yes", "--confirm", "manual", status=0)
    site.path.write_text(
        MIXED.replace("LAB_PASSWORD", "NOBODY_SET_THIS").replace("10.1.0.1/24]", "10.1.0.1/24, 10.1.0.3/24]")
    )
    assert "nothing was done" in site.run("apply", "--yes", status=1).err
    for verb in ("pending", "status", "confirm"):
        assert "nothing was done" not in site.run(verb, status=0).err
    assert not site.pending("bsd")
    site.run("rollback", status=0)
    assert pictures(site) == nothing
    site.path.write_text("hosts: [")
    for verb in ("pending", "status", "confirm", "rollback"):
        site.run(verb, status=1)
