from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.carpd.journal import Journal, Setting
from bsdcarp.carpd.silence import hold_parent, release_parent, settle
from bsdcarp.carpd.sysctls import Sysctls

IGNORE, ANNOUNCE = "net/ipv4/conf/eth0/arp_ignore", "net/ipv4/conf/eth0/arp_announce"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for interface in ("all", "eth0", "carp1.3"):
        for version in ("ipv4", "ipv6"):
            directory = tmp_path / "sys/net" / version / "conf" / interface
            directory.mkdir(parents=True)
            for name in ("arp_ignore", "arp_announce", "rp_filter", "forwarding", "arp_filter", "proxy_arp"):
                (directory / name).write_text("0\n")
    return tmp_path / "sys"


@pytest.fixture
def sysctls(root: Path, tmp_path: Path) -> Iterator[Sysctls]:
    journal = Journal(tmp_path / "journal.json")
    journal.acquire()
    yield Sysctls(journal, root)
    journal.close()


def test_the_last_of_several_holders_restores_the_value(sysctls: Sysctls) -> None:
    sysctls.raise_to(IGNORE, 1)
    sysctls.raise_to(IGNORE, 1)
    sysctls.release(IGNORE)
    assert sysctls.read(IGNORE) == "1"
    sysctls.release(IGNORE)
    assert sysctls.read(IGNORE) == "0"
    sysctls.release(IGNORE)
    assert sysctls.read(IGNORE) == "0"


def test_a_value_that_suffices_is_left_alone(sysctls: Sysctls, root: Path) -> None:
    (root / IGNORE).write_text("2\n")
    sysctls.raise_to(IGNORE, 1)
    assert sysctls.read(IGNORE) == "2"
    (root / IGNORE).write_text("0\n")
    sysctls.release(IGNORE)
    assert sysctls.read(IGNORE) == "0"


def test_what_somebody_else_changed_is_not_restored(sysctls: Sysctls, root: Path) -> None:
    sysctls.put(IGNORE, "1")
    (root / IGNORE).write_text("8\n")
    sysctls.release(IGNORE)
    assert sysctls.read(IGNORE) == "8"


def test_a_value_reset_while_it_is_held_is_set_again_and_the_first_one_comes_back(sysctls: Sysctls, root: Path) -> None:
    (root / ANNOUNCE).write_text("1\n")
    sysctls.raise_to(ANNOUNCE, 2)
    (root / ANNOUNCE).write_text("0\n")
    sysctls.raise_to(ANNOUNCE, 2)
    assert sysctls.read(ANNOUNCE) == "2"
    assert sysctls.release_all() == (ANNOUNCE,)
    assert sysctls.read(ANNOUNCE) == "1"


def test_what_does_not_exist_is_skipped(sysctls: Sysctls) -> None:
    gone = "net/ipv4/conf/eth7/arp_ignore"
    sysctls.put(gone, "1")
    sysctls.release(gone)
    assert sysctls.read(gone) is None
    assert sysctls.number(gone) == 0
    assert not sysctls.write(gone, "1")
    assert sysctls.release_all() == ()


def test_a_value_that_is_no_number_counts_as_none(sysctls: Sysctls, root: Path) -> None:
    (root / IGNORE).write_text("many\n")
    assert sysctls.number(IGNORE) == 0


def test_the_value_before_is_on_disk_before_it_is_changed(root: Path, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.json")
    Sysctls(journal, root).raise_to(IGNORE, 1)
    crashed = Journal(tmp_path / "journal.json")
    crashed.acquire()
    assert crashed.settings == {IGNORE: Setting("0", "1")}
    after = Sysctls(crashed, root)
    assert after.release_all() == (IGNORE,)
    assert after.read(IGNORE) == "0"
    assert crashed.settings == {}
    crashed.close()


@given(data=st.data())
def test_whatever_is_held_and_released_all_values_come_back(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("sysctls")
    (base / "net/ipv4/conf/eth0").mkdir(parents=True)
    for path in (IGNORE, ANNOUNCE):
        (base / path).write_text(f"{data.draw(st.integers(0, 3))}\n")
    before = {path: (base / path).read_text().strip() for path in (IGNORE, ANNOUNCE)}
    sysctls = Sysctls(Journal(base / "journal.json"), base)
    held: list[str] = []
    for path, minimum in data.draw(
        st.lists(st.tuples(st.sampled_from((IGNORE, ANNOUNCE)), st.integers(0, 3)), max_size=8)
    ):
        sysctls.raise_to(path, minimum)
        held.append(path)
        assert sysctls.number(path) >= minimum
    for path in data.draw(st.permutations(held)):
        sysctls.release(path)
    assert {path: sysctls.read(path) for path in before} == before


def test_the_parent_speaks_for_itself_only(sysctls: Sysctls) -> None:
    hold_parent(sysctls, "eth0")
    assert (sysctls.read(IGNORE), sysctls.read(ANNOUNCE)) == ("1", "2")
    release_parent(sysctls, "eth0")
    assert (sysctls.read(IGNORE), sysctls.read(ANNOUNCE)) == ("0", "0")


@pytest.mark.parametrize(
    ("everywhere", "parent", "expected"), [("0", "0", "0"), ("1", "0", "2"), ("0", "1", "2"), ("2", "1", "2")]
)
def test_reverse_path_filtering_is_made_loose_only_on_the_macvlan(
    sysctls: Sysctls, root: Path, everywhere: str, parent: str, expected: str
) -> None:
    (root / "net/ipv4/conf/all/rp_filter").write_text(everywhere)
    (root / "net/ipv4/conf/eth0/rp_filter").write_text(parent)
    settle(sysctls, "carp1.3", "eth0", ipv6=True, arpbalance=False)
    assert sysctls.read("net/ipv4/conf/carp1.3/rp_filter") == expected
    assert sysctls.read("net/ipv4/conf/all/rp_filter") == everywhere
    assert sysctls.read("net/ipv4/conf/eth0/rp_filter") == parent


def test_the_macvlan_forwards_if_its_parent_does(sysctls: Sysctls, root: Path) -> None:
    (root / "net/ipv4/conf/eth0/forwarding").write_text("1\n")
    settle(sysctls, "carp1.3", "eth0", ipv6=True, arpbalance=True)
    assert sysctls.read("net/ipv4/conf/carp1.3/forwarding") == "1"
    assert sysctls.read("net/ipv6/conf/carp1.3/forwarding") == "0"
    assert sysctls.read("net/ipv4/conf/carp1.3/arp_ignore") == "8"
