"""Where acceptance runs: the operator's hosts with --inventory, otherwise the embedded lab with every era."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from realhosts.harness import RealCluster, why_not

from acceptance.site import Site
from bsdcarp.inventory import load, require
from bsdcarp.lab.up import Lab
from bsdcarp.snapshot import Snapshot

RELEASES = ("7.2", "9.3", "10.4", "12.1", "14.2", "15.0")


def lab_inventory(releases: Sequence[str]) -> str:
    """One pair of hosts per release, two groups each; IPv6 and a second address where rc takes them."""
    lines = ["version: 1", "sysctl: {allow: 1, preempt: 1, log: 1, arpbalance: auto}", "hosts:"]
    groups = ["groups:"]
    for number, release in enumerate(releases):
        a, b = (f"r{release.replace('.', '')}{side}" for side in "ab")
        legacy = ", ssh: legacy" if release == "7.2" else ""
        for side, name in ((2, a), (3, b)):
            lines.append(
                f"  {name}: {{address: 10.8.{number}.{side}, interface: em0, os: freebsd-{release}{legacy},"
                f' interfaces: {{em0: [10.8.{number}.{side}/24, "2001:db8:{number}::{side}/64"]}}}}'
            )
        extra = f", 10.8.{number}.10/24" + (f', "2001:db8:{number}::1/64"' if release not in ("7.2", "9.3") else "")
        plain = f"password: {{env: ACCEPTANCE_PASSWORD}}, addresses: [10.8.{number}"
        groups.append(f"  one{number}: {{vhid: {2 * number + 1}, {plain}.1/24{extra}], members: [{a}, {b}]}}")
        groups.append(f"  two{number}: {{vhid: {2 * number + 2}, {plain}.100/24], members: [{b}, {a}]}}")
    return "\n".join([*lines, *groups, ""])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Once against the operator's hosts, or else against the lab and against real sshd processes."""
    if "site" in metafunc.fixturenames:
        given = metafunc.config.getoption("--inventory", default=None)
        places = ["inventory"] if given else ["lab", "sshd"]
        metafunc.parametrize("site", places, indirect=True, scope="session")


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    scratch = tmp_path_factory.mktemp("acceptance")
    if request.param == "inventory":
        config = request.config.getoption("--ssh-config", default=None)
        given = request.config.getoption("--inventory")
        yield Site(Path(given), Path(config) if config else None, scratch)
        return
    path = scratch / "inventory.yml"
    environment = {"ACCEPTANCE_PASSWORD": "Acceptance1"}
    if request.param == "lab":
        path.write_text(lab_inventory(RELEASES), encoding="utf-8")
        with Lab.start(require(load(path)), scratch / "lab") as lab:
            yield Site(path, lab.ssh_config, scratch, environment)
        return
    if (reason := why_not()) is not None:
        pytest.skip(f"no real sshd hosts: {reason}")
    path.write_text(lab_inventory(("9.3", "12.1", "14.2")), encoding="utf-8")
    with RealCluster.start(require(load(path)), scratch / "hosts") as cluster:
        yield Site(path, cluster.ssh_config, scratch, environment)


@pytest.fixture(scope="session")
def may_reboot(request: pytest.FixtureRequest) -> bool:
    """The lab's hosts may always be rebooted, an operator's only with consent."""
    if not request.config.getoption("--inventory", default=None):
        return True
    return bool(request.config.getoption("--may-reboot", default=False))


@pytest.fixture(scope="session")
def before(site: Site) -> Iterator[dict[str, Snapshot]]:
    """What the hosts were like; at the end they are like that again."""
    seen = site.look()
    managed = site.bsdcarp("diff").status == 0
    yield seen
    left = site.restore(seen, managed=managed)
    assert left == [], "these differ from what was found"
