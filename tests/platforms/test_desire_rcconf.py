"""rc.conf and its relatives: merging with what is there, adopting it, and leaving without a trace."""

from __future__ import annotations

import re

import pytest
from desired_hosts import PASSWORD, RC, RECORD, again, desired, group, texts

from bsdcarp.errors import TextFileError

LOCAL, NETWORK, NETIF = "/etc/rc.conf.local", "/etc/rc.conf.d/network", "/etc/rc.conf.d/netif"
WEB = {"web": group(1, "192.0.2.10/24")}
OWN = 'ifconfig_em0="inet 192.0.2.2/24"\n'
LINE = f"inet vhid 1 advskew 0 pass {PASSWORD} alias 192.0.2.10/24"


def merged(release: str, groups: dict, files: dict, rc: dict | None = None) -> dict[str, str | None]:  # type: ignore[type-arg]  # test data
    """Return the texts, having checked that they are stable and that leaving all groups works from there."""
    found = desired(release, groups, files, rc)
    assert texts(again(release, groups, files, found)) == texts(found)
    return texts(found)


def after_leaving(release: str, groups: dict, files: dict) -> dict[str, str | None]:  # type: ignore[type-arg]  # test data
    found = desired(release, groups, files)
    return texts(again(release, {}, files, found))


@pytest.mark.parametrize(
    "text",
    [
        OWN,
        "",
        "# only a comment, without a newline",
        OWN + 'ifconfig_em0_alias0="inet 192.0.2.5/32"\nifconfig_em0_alias1="inet 192.0.2.6/32" # x\n',
        OWN + 'ifconfig_em0_alias0="inet 192.0.2.5/32"\nifconfig_em0_alias1="inet 192.0.2.6/32"\n\n\n# end\n',
        'cloned_interfaces="lo1 bridge0"\nifconfig_lo1="inet 127.0.0.2/32"\n' + OWN,
        OWN + "hostname=b\udcff\n",
    ],
)
@pytest.mark.parametrize("release", ["7.2", "9.3", "10.4", "14.2"])
def test_a_host_that_leaves_has_its_own_lines_byte_for_byte(release: str, text: str) -> None:
    left = after_leaving(release, WEB, {RC: text})
    assert left[RC] == (text if text.endswith("\n") or not text else text + "\n")
    assert left[RECORD] is None


def test_new_aliases_follow_the_foreign_ones_and_fill_no_number_twice() -> None:
    files = {RC: OWN + 'ifconfig_em0_alias0="inet 192.0.2.5/32"\n', LOCAL: 'ifconfig_em0_alias1="inet 192.0.2.6/32"\n'}
    found = merged("12.1", {"web": group(1, "192.0.2.10/24", "192.0.2.11/24")}, files)
    assert re.findall(r"_alias(\d+)=", found[RC] or "") == ["0", "2", "3"]
    assert found[LOCAL] == files[LOCAL]


def test_a_number_that_only_sh_knows_of_is_not_taken() -> None:
    files = {RC: OWN + ". /etc/rc.site\n"}
    found = merged("12.1", WEB, files, rc={"ifconfig_em0_alias0": "inet 192.0.2.5/32"})
    assert "ifconfig_em0_alias1=" in (found[RC] or "")
    assert "_alias0=" not in (found[RC] or "")


@pytest.mark.parametrize("path", [LOCAL, NETWORK, "/usr/local/etc/rc.conf.d/network", f"{NETWORK}/site"])
def test_a_hand_written_alias_is_changed_in_the_file_where_it_is(path: str) -> None:
    files = {RC: OWN, path: f'ifconfig_em0_alias0="inet vhid 1 advskew 7 pass {PASSWORD} 192.0.2.10/24" # mine\n'}
    found = merged("12.1", WEB, files)
    assert found[RC] == OWN
    assert found[path] == f'ifconfig_em0_alias0="{LINE}" # mine\n'


@pytest.mark.parametrize(
    "value",
    [
        LINE,
        f"vhid 1 pass {PASSWORD} 192.0.2.10/24",
        f"inet 192.0.2.10 netmask 255.255.255.0 vhid 1 advbase 1 pass {PASSWORD}",
    ],
)
def test_a_hand_written_alias_that_means_the_same_stays(value: str) -> None:
    files = {RC: f'{OWN}ifconfig_em0_alias0="{value}"\n'}
    found = merged("12.1", WEB, files)
    assert found[RC] == files[RC]
    assert "vhid em0 1 192.0.2.10" in (found[RECORD] or "")


def test_an_alias_without_password_is_completed() -> None:
    files = {RC: f'{OWN}ifconfig_em0_alias0="inet vhid 1 192.0.2.10/24"\n'}
    assert merged("12.1", WEB, files)[RC] == f'{OWN}ifconfig_em0_alias0="{LINE}"\n'


def test_the_plural_form_gives_up_what_is_ours() -> None:
    mine = f"inet vhid 1 pass {PASSWORD} 192.0.2.10/24"
    files = {RC: f'{OWN}ifconfig_em0_aliases="inet 192.0.2.5/32 {mine}"\n'}
    found = merged("12.1", WEB, files)[RC] or ""
    assert 'ifconfig_em0_aliases="inet 192.0.2.5/32"\n' in found
    assert f'ifconfig_em0_alias0="{LINE}"\n' in found
    files = {RC: f'{OWN}ifconfig_em0_aliases="{mine}"\n'}
    assert "aliases" not in (merged("12.1", WEB, files)[RC] or "")


def test_a_vhid_in_the_main_line_is_settled_there() -> None:
    files = {RC: f'ifconfig_em0="inet vhid 1 advskew 3 pass {PASSWORD} 192.0.2.10/24"\n'}
    assert merged("12.1", WEB, files)[RC] == f'ifconfig_em0="{LINE}"\n'
    assert after_leaving("12.1", WEB, files)[RC] == 'ifconfig_em0="up"\n'


def test_an_entry_that_a_later_file_overrides_is_written_anew() -> None:
    files = {RC: f'{OWN}ifconfig_em0_alias0="{LINE}"\n', LOCAL: 'ifconfig_em0_alias0="inet 192.0.2.5/32"\n'}
    found = merged("12.1", WEB, files)
    assert found[RC] == f'{OWN}ifconfig_em0_alias1="{LINE}"\n'
    assert found[LOCAL] == files[LOCAL]


def test_rc_conf_d_netif_counts_only_where_it_is_read() -> None:
    files = {RC: OWN, NETIF: f'ifconfig_em0_alias0="{LINE}"\n'}
    assert merged("12.1", WEB, files)[RC] == OWN
    assert "ifconfig_em0_alias" in (merged("10.4", WEB, files)[RC] or "")


def test_a_foreign_vhid_stays_when_ours_leaves() -> None:
    foreign = 'ifconfig_em0_alias0="inet vhid 77 pass foreign 192.0.2.77/32"\n'
    left = after_leaving("12.1", WEB, {RC: OWN + foreign})
    assert left[RC] == OWN + foreign


def test_no_gap_is_left_when_one_group_leaves() -> None:
    three = {f"g{n}": group(n, f"192.0.2.{n}0/24") for n in (1, 2, 3)}
    two = {name: three[name] for name in ("g1", "g3")}
    files = {RC: OWN + 'ifconfig_em0_alias0="inet 192.0.2.5/32"\n'}
    first = desired("12.1", three, files)
    second = texts(again("12.1", two, files, first))
    assert re.findall(r"_alias(\d+)=.*(vhid \d|192.0.2.5)", second[RC] or "") == [
        ("0", "192.0.2.5"), ("1", "vhid 1"), ("2", "vhid 3"),
    ]  # fmt: skip


def test_a_group_that_moves_to_another_interface_leaves_the_first_one() -> None:
    files = {RC: OWN + 'ifconfig_em1="inet 198.51.100.2/24"\n'}
    first = desired("12.1", WEB, files)
    moved = {"web": {**WEB["web"], "members": [{"host": "a", "interface": "vlan10.x"}, "b"]}}
    second = texts(again("12.1", moved, files, first))
    assert "ifconfig_em0_alias" not in (second[RC] or "")
    assert "ifconfig_vlan10_x_alias0=" in (second[RC] or "")
    assert "em0" not in (second[RECORD] or "")


def test_ipv6_gets_its_line_and_loses_only_its_own() -> None:
    six = {"web": group(1, "2001:db8::10/64")}
    found = merged("12.1", six, {RC: OWN})
    assert 'ifconfig_em0_ipv6="inet6 auto_linklocal"\n' in (found[RC] or "")
    assert after_leaving("12.1", six, {RC: OWN})[RC] == OWN
    foreign = OWN + 'ifconfig_em0_ipv6="inet6 2001:db8::2/64"\n'
    assert after_leaving("12.1", six, {RC: foreign})[RC] == foreign
    prefix = OWN + 'ipv6_prefix_em0="2001:db8:0:1"\n'
    assert "_ipv6=" not in (merged("12.1", six, {RC: prefix})[RC] or "")


def test_the_ipv6_line_belongs_to_the_operator_once_he_changed_it() -> None:
    six = {"web": group(1, "2001:db8::10/64")}
    first = desired("12.1", six, {RC: OWN})
    edited = (texts(first)[RC] or "").replace("inet6 auto_linklocal", "inet6 2001:db8::2/64")
    files = {RC: edited, RECORD: texts(first)[RECORD] or ""}
    assert texts(desired("12.1", six, files))[RC] == edited
    assert 'ifconfig_em0_ipv6="inet6 2001:db8::2/64"' in (texts(desired("12.1", {}, files))[RC] or "")


class TestPseudo:
    def test_the_units_are_stable_and_adopted(self) -> None:
        files = {RC: f'cloned_interfaces="carp5"\nifconfig_carp5="vhid 1 pass {PASSWORD} 192.0.2.10/24"\n'}
        found = merged("9.3", WEB, files)
        assert found[RC] == files[RC]
        assert "vhid carp5 1 192.0.2.10" in (found[RECORD] or "")

    def test_a_unit_whose_address_is_an_alias_is_adopted(self) -> None:
        alias = f'ifconfig_carp5="vhid 1 pass {PASSWORD}"\nifconfig_carp5_alias0="inet 192.0.2.10/24"\n'
        found = merged("9.3", WEB, {RC: f'cloned_interfaces="carp5"\n{alias}'})
        assert "carp1" not in (found[RC] or "")
        assert f'ifconfig_carp5="vhid 1 advskew 0 pass {PASSWORD} 192.0.2.10/24"\n' in (found[RC] or "")
        assert "_alias0" not in (found[RC] or "")

    def test_a_foreign_unit_is_not_taken_whatever_the_group_is_called(self) -> None:
        text = 'cloned_interfaces="carp1"\nifconfig_carp1="vhid 99 pass x 192.0.2.99/24"\n'
        found = merged("9.3", {"carp1": group(1, "192.0.2.10/24")}, {RC: text})
        assert 'ifconfig_carp1="vhid 99 pass x 192.0.2.99/24"\n' in (found[RC] or "")
        assert 'ifconfig_carp0="vhid 1 ' in (found[RC] or "")
        assert 'cloned_interfaces="carp1 carp0"' in (found[RC] or "")

    def test_a_unit_keeps_its_number_when_everything_about_it_changes(self) -> None:
        files = {RC: f'cloned_interfaces="carp5"\nifconfig_carp5="vhid 1 pass {PASSWORD} 192.0.2.10/24"\n'}
        first = desired("9.3", WEB, files)
        second = texts(again("9.3", {"web": group(1, "192.0.2.44/24")}, files, first))
        assert f'ifconfig_carp5="vhid 1 advskew 0 pass {PASSWORD} 192.0.2.44/24"' in (second[RC] or "")

    def test_clones_are_in_ascending_order_of_their_vhids(self) -> None:
        groups = {"carp1": group(1, "192.0.2.10/24"), "carp2": group(2, "192.0.2.10/24")}
        text = (
            'cloned_interfaces="carp2 lo1 carp1"\n'
            f'ifconfig_carp2="vhid 2 pass {PASSWORD} 192.0.2.10/24"\nifconfig_carp1="vhid 1 pass {PASSWORD} 192.0.2.10/24"\n'
        )
        found = merged("9.3", groups, {RC: text})
        assert 'cloned_interfaces="lo1 carp1 carp2"' in (found[RC] or "")

    def test_clones_that_sh_puts_together_are_refused_unless_they_are_right(self) -> None:
        text = 'cloned_interfaces="lo1"\ncloned_interfaces="$(cat /etc/clones)"\n'
        with pytest.raises(TextFileError, match=r"/etc/rc.conf, line 2.*lo1 carp1"):
            desired("9.3", WEB, {RC: text}, {"cloned_interfaces": "lo1"})
        found = texts(desired("9.3", WEB, {RC: text}, {"cloned_interfaces": "lo1 carp1"}))
        assert (found[RC] or "").startswith(text)
        with pytest.raises(TextFileError, match="not known"):
            desired("9.3", WEB, {RC: 'cloned_interfaces="$(cat /etc/clones)"\n'})

    def test_clones_in_rc_conf_local_are_edited_there(self) -> None:
        found = merged("9.3", WEB, {RC: 'cloned_interfaces="lo0"\n', LOCAL: 'cloned_interfaces="lo1"\n'})
        assert found[LOCAL] == 'cloned_interfaces="lo1 carp1"\n'
        assert 'cloned_interfaces="lo0"\n' in (found[RC] or "")

    def test_an_adopted_host_loses_the_line_of_clones_with_the_last_of_them(self) -> None:
        text = f'cloned_interfaces="carp5"\nifconfig_carp5="vhid 1 pass {PASSWORD} 192.0.2.10/24"\nhostname="a"\n'
        assert after_leaving("9.3", WEB, {RC: text})[RC] == 'hostname="a"\n'


def test_an_rc_conf_that_cannot_be_followed_names_the_file_and_the_line() -> None:
    with pytest.raises(TextFileError, match=r"/etc/rc.conf, line 2"):
        desired("12.1", WEB, {RC: 'hostname="a"\nifconfig_em0="inet\n'})
