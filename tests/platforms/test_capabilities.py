"""The capability table: what each release can do, and how releases are written."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsdcarp.model import Release
from bsdcarp.platforms.capabilities import ERAS, LINUX, OLDEST, Capabilities, capabilities, parse_release


def of(text: str) -> Capabilities:
    return capabilities(parse_release(text))


@pytest.mark.parametrize("release", ["5.4", "6.0", "7.2", "8.4", "9.3"])
def test_up_to_9_carp_is_a_cloned_interface_with_arpbalance(release: str) -> None:
    known = of(f"freebsd-{release}")
    assert (known.syntax, known.arpbalance, known.demotion) == ("pseudo", True, "suppress_preempt")
    assert "arpbalance" in known.sysctls
    assert "demotion" not in known.sysctls


@pytest.mark.parametrize("release", ["10.0", "11.4", "12.1", "13.5", "14.2", "15.0"])
def test_from_10_on_the_vhid_belongs_to_an_address(release: str) -> None:
    known = of(f"freebsd-{release}")
    assert (known.syntax, known.arpbalance, known.module, known.demotion) == ("vhid", False, "carp", "demotion")
    assert "arpbalance" not in known.sysctls


@pytest.mark.parametrize(
    ("release", "module"),
    [
        ("5.4", None),
        ("7.2", None),
        ("8.1", None),
        ("8.2", "if_carp"),
        ("9.3", "if_carp"),
        ("10.0", "carp"),
        ("15.0", "carp"),
    ],
)
def test_the_module_came_with_8_2_and_was_renamed_in_10(release: str, module: str | None) -> None:
    known = of(f"freebsd-{release}")
    assert known.module == module
    assert known.default_method == ("module" if module else "static")


@pytest.mark.parametrize(
    ("column", "last_without", "first_with"),
    [
        ("unicast", "13.5", "14.0"),
        ("peer_line", "13.5", "14.0"),
        ("unicast_own_mac", "13.5", "14.0"),
        ("vrrp", "14.3", "15.0"),
        ("print_key", "10.3", "10.4"),
        ("kld_list", "8.4", "9.0"),
        ("nextboot_zfs", "12.4", "13.0"),
        ("sysctl_kld_d", "13.5", "14.0"),
        ("allow_tunable", "13.5", "14.0"),
        ("allow_restarts", "10.4", "11.0"),
        ("sorted_digest", "7.0", "7.1"),
        ("sysrc", "9.1", "9.2"),
        ("freebsd_version", "9.3", "10.0"),
        ("cidr_output", "10.4", "11.0"),
        ("loader_conf_d", "12.4", "13.0"),
        ("boot_id", "12.4", "13.0"),
        ("netif_reads_netif", "11.4", "12.0"),
        ("state_keyword", "9.3", "10.0"),
        ("ipv6", "8.4", "9.0"),
    ],
)
def test_what_appears_with_a_release(column: str, last_without: str, first_with: str) -> None:
    assert getattr(of(f"freebsd-{last_without}"), column) is False
    assert getattr(of(f"freebsd-{first_with}"), column) is True


@pytest.mark.parametrize(
    ("column", "last_with", "first_without"),
    [
        ("gap_ends_aliases", "9.0", "9.1"),
        ("csh_login", "13.5", "14.0"),
        ("advbase_zero", "9.3", "10.0"),
        ("bow_out", "9.3", "10.0"),
        ("trailing_space", "10.4", "11.0"),
        ("ascending_vhids", "9.3", "10.0"),
        ("owner_advskew_zero", "9.3", "10.0"),
    ],
)
def test_what_disappears_with_a_release(column: str, last_with: str, first_without: str) -> None:
    assert getattr(of(f"freebsd-{last_with}"), column) is True
    assert getattr(of(f"freebsd-{first_without}"), column) is False


def test_the_hyphen_trap_by_release() -> None:
    traps = [of(f"freebsd-{release}").hyphen_trap for release in ("7.2", "8.4", "9.0", "9.3", "10.0", "15.0")]
    assert traps == [None, None, "any", "any", "hex", "hex"]


def test_dscp_came_with_11_3() -> None:
    assert "dscp" not in of("freebsd-11.1").sysctls
    assert "dscp" in of("freebsd-11.3").sysctls


def test_old_sshd_is_known_by_its_algorithms() -> None:
    assert [of(f"freebsd-{release}").ssh for release in ("7.2", "8.4", "9.3", "10.2", "10.3", "14.2")] == [
        "sha1",
        "sha1",
        "sha1-rsa",
        "sha1-rsa",
        "modern",
        "modern",
    ]


def test_linux_has_no_kernel_part() -> None:
    known = of("debian-12")
    assert known is LINUX
    assert (known.syntax, known.module, known.default_method) == ("linux", None, None)
    assert (known.demotion, known.arpbalance) == ("demotion", True)
    assert known.unicast


def test_a_minor_release_that_is_not_said_promises_nothing_that_only_a_later_one_has() -> None:
    assert capabilities(Release("freebsd", 10)) == capabilities(Release("freebsd", 10, 0))
    assert not capabilities(Release("freebsd", 7)).sorted_digest


def test_releases_outside_the_table_get_the_nearest_row() -> None:
    assert capabilities(Release("freebsd", 4, 11)) == ERAS[0][1]
    assert capabilities(Release("freebsd", 99, 1)) == ERAS[-1][1]


def test_the_table_is_in_order_and_every_row_changes_something() -> None:
    firsts = [first for first, _ in ERAS]
    assert firsts == sorted(set(firsts))
    assert firsts[0] == OLDEST == (5, 4)
    rows = [row for _, row in ERAS]
    assert all(one != two for one, two in pairwise(rows))


def test_every_password_limit_and_skew_limit_is_the_kernels() -> None:
    assert {(row.max_password, row.max_advskew) for _, row in ERAS} == {(19, 254)}


def test_every_column_but_the_limits_differs_somewhere() -> None:
    """A column that is the same everywhere would be a constant in disguise; include_generic differs for Linux."""
    rows = [row for _, row in ERAS] + [LINUX]
    same = {field.name for field in dataclasses.fields(LINUX) if len({getattr(row, field.name) for row in rows}) == 1}
    assert same == {"max_password", "max_advskew"}


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("freebsd-7.2", Release("freebsd", 7, 2)),
        ("freebsd-14", Release("freebsd", 14)),
        ("FreeBSD 12.1-STABLE", Release("freebsd", 12, 1)),
        ("FreeBSD 14.2-RELEASE-p3", Release("freebsd", 14, 2)),
        ("freebsd 15", Release("freebsd", 15)),
        ("freebsd_13.2", Release("freebsd", 13, 2)),
        ("debian-12", Release("linux", 12)),
        ("Debian 12", Release("linux", 12)),
        ("ubuntu-24.04", Release("linux", 24, 4)),
        ("linux", Release("linux")),
        (" linux ", Release("linux")),
    ],
)
def test_releases_are_read_as_people_write_them(text: str, release: Release) -> None:
    found = parse_release(text)
    assert (found.family, found.major, found.minor) == (release.family, release.major, release.minor)
    assert found.name == text.strip()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("openbsd-7.5", "openbsd is not managed"),
        ("freebsd", "release number is missing"),
        ("freebds-14.2", "did you mean freebsd"),
        ("debain", "did you mean debian"),
        ("14.2", "not a known release"),
        ("", "not a known release"),
        ("freebsd-14.2; rm -rf /", "not a known release"),
    ],
)
def test_other_texts_are_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_release(text)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_reading_a_release_fails_in_one_way_only(text: str) -> None:
    try:
        release = parse_release(text)
    except ValueError:
        return
    assert capabilities(release).max_password == 19
