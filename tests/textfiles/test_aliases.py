from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsdcarp.errors import TextFileError
from bsdcarp.textfiles import RcConf
from bsdcarp.textfiles.aliases import empty_aliases, numbered, place, used_numbers


def is_ours(value: str) -> bool:
    return "vhid" in value


def key(value: str) -> str:
    return value.rsplit(maxsplit=1)[-1]


def ours(address: int, skew: int = 0) -> str:
    return f"inet vhid 1 advskew {skew} pass x alias 10.9.0.{address}/32"


def theirs(address: int) -> str:
    return f"inet 10.8.0.{address}/32"


def rc(aliases: dict[int, str], *, tail: str = "") -> str:
    lines = [f"ifconfig_em0_alias{number}='{value}' # {number}\n" for number, value in aliases.items()]
    return "ifconfig_em0='inet 10.9.0.11/24'\n" + "".join(lines) + tail


def placed(text: str, wanted: Sequence[str], taken: Collection[int] = ()) -> RcConf:
    return place(RcConf.parse(text), "em0", wanted, is_ours, key, taken)


def test_aliases_are_found_by_their_canonical_names_only() -> None:
    conf = RcConf.parse(
        "ifconfig_em0_5_alias1=b\nifconfig_em0_5_alias0=a\nifconfig_em0_5_alias01=c\nifconfig_em0_alias0=d\n"
        "ifconfig_em0_5_alias7=$x\nx && ifconfig_em0_5_alias8=e\nifconfig_em0_5_aliases=f\n"
    )
    assert numbered(conf, "em0.5") == {0: "a", 1: "b"}
    assert list(numbered(conf, "em0.5")) == [0, 1]
    assert used_numbers(conf, "em0.5") == {0, 1, 7, 8}


def test_an_empty_alias_is_reported_with_its_line() -> None:
    conf = RcConf.parse("ifconfig_em0_alias0=''\nifconfig_em0_alias1=a\nifconfig_em0_alias2_x=\nifconfig_em1_alias0=\n")
    assert empty_aliases(conf, "em0") == [("ifconfig_em0_alias0", 1), ("ifconfig_em0_alias2_x", 3)]


def test_the_first_alias_comes_behind_the_interface() -> None:
    assert placed("ifconfig_em0='inet 10.9.0.11/24'\nsshd_enable=YES\n", [ours(1), ours(2)]).text == (
        "ifconfig_em0='inet 10.9.0.11/24'\n"
        f'ifconfig_em0_alias0="{ours(1)}"\n'
        f'ifconfig_em0_alias1="{ours(2)}"\n'
        "sshd_enable=YES\n"
    )


def test_without_a_line_for_the_interface_aliases_go_to_the_end() -> None:
    assert placed("a=1", [ours(1)]).text == f'a=1\nifconfig_em0_alias0="{ours(1)}"\n'


def test_an_entry_with_the_same_key_is_updated_where_it_is() -> None:
    conf = placed(rc({0: theirs(1), 1: ours(1, 0), 2: theirs(2)}), [ours(1, 100)])
    assert conf.text == rc({0: theirs(1), 1: ours(1, 0), 2: theirs(2)}).replace(f"'{ours(1, 0)}'", f'"{ours(1, 100)}"')


def test_what_is_wanted_already_changes_nothing() -> None:
    text = rc({0: ours(2), 3: ours(1)})
    assert placed(text, [ours(1), ours(2)]).text == text


def test_a_removed_entry_leaves_no_gap_and_the_others_keep_their_lines() -> None:
    conf = placed(rc({0: theirs(1), 1: ours(1), 2: theirs(2), 3: ours(2)}), [ours(2)])
    assert conf.text == (
        "ifconfig_em0='inet 10.9.0.11/24'\n"
        f"ifconfig_em0_alias0='{theirs(1)}' # 0\n"
        f"ifconfig_em0_alias1='{theirs(2)}' # 2\n"
        f"ifconfig_em0_alias2='{ours(2)}' # 3\n"
    )


def test_each_gap_of_ours_is_closed_but_none_that_was_there_before() -> None:
    conf = placed(rc({0: ours(1), 1: theirs(1), 5: theirs(2), 6: ours(2), 7: theirs(3)}), [])
    assert numbered(conf, "em0") == {0: theirs(1), 1: theirs(2), 5: theirs(3)}


def test_two_gaps_are_closed_in_one_go() -> None:
    conf = placed(rc({0: ours(1), 1: theirs(1), 2: ours(2), 3: ours(3), 4: theirs(2)}), [])
    assert numbered(conf, "em0") == {0: theirs(1), 1: theirs(2)}


def test_a_new_entry_takes_over_the_number_and_line_of_a_removed_one() -> None:
    conf = placed(rc({0: theirs(1), 1: ours(1), 2: theirs(2)}), [ours(9)])
    assert conf.text == rc({0: theirs(1), 1: ours(1), 2: theirs(2)}).replace(f"'{ours(1)}'", f'"{ours(9)}"')


def test_a_new_entry_takes_the_lowest_free_number_behind_the_alias_below_it() -> None:
    conf = placed(rc({0: theirs(1), 2: theirs(2)}), [ours(1), ours(2)])
    assert [a.name[-6:] for a in conf.assignments] == ["ig_em0", "alias0", "alias1", "alias2", "alias3"]
    assert numbered(conf, "em0") == {0: theirs(1), 1: ours(1), 2: theirs(2), 3: ours(2)}


def test_numbers_of_other_files_are_neither_used_nor_seen_as_gaps() -> None:
    conf = placed(rc({0: theirs(1)}), [ours(1), ours(2)], taken=[1, 2])
    assert numbered(conf, "em0") == {0: theirs(1), 3: ours(1), 4: ours(2)}
    assert numbered(placed(conf.text, [ours(2)], taken=[1, 2]), "em0") == {0: theirs(1), 3: ours(2)}
    shifted = placed(rc({0: ours(1), 2: theirs(2)}), [], taken=[1])
    assert numbered(shifted, "em0") == {0: theirs(2)}
    overridden = placed(rc({0: ours(1), 1: theirs(2)}), [], taken=[0])
    assert numbered(overridden, "em0") == {1: theirs(2)}


def test_an_entry_that_other_lines_use_is_passed_over_when_numbers_move() -> None:
    text = rc({0: ours(1), 1: theirs(1), 2: theirs(2)}, tail='x="$ifconfig_em0_alias1"\n')
    assert numbered(placed(text, []), "em0") == {0: theirs(2), 1: theirs(1)}


def test_doubled_lines_move_together() -> None:
    text = rc({0: ours(1)}) + f"ifconfig_em0_alias1='{theirs(1)}'\nifconfig_em0_alias1='{theirs(2)}'\n"
    assert placed(text, []).text.endswith(f"ifconfig_em0_alias0='{theirs(1)}'\nifconfig_em0_alias0='{theirs(2)}'\n")


def test_an_unknown_value_keeps_its_number_or_moves_but_is_never_lost() -> None:
    conf = placed("ifconfig_em0_alias0='vhid 1 x'\nifconfig_em0_alias1=\"inet $addr\"\n", [])
    assert conf.text == 'ifconfig_em0_alias0="inet $addr"\n'


def test_doubles_of_ours_are_reduced_to_one() -> None:
    conf = placed(rc({0: ours(1), 1: ours(1, 50), 2: theirs(1)}), [ours(1, 7)])
    assert numbered(conf, "em0") == {0: ours(1, 7), 1: theirs(1)}


def test_two_wanted_values_with_one_key_are_refused() -> None:
    with pytest.raises(TextFileError, match="two addresses that are wanted on em0 are the same"):
        placed("", [ours(1, 0), ours(1, 1)])


def test_an_entry_of_ours_that_other_lines_use_is_not_removed() -> None:
    with pytest.raises(TextFileError, match="also used or changed"):
        placed(rc({0: ours(1)}, tail='x="$ifconfig_em0_alias0"\n'), [])


_VALUE = st.one_of(st.builds(ours, st.integers(1, 6), st.integers(0, 2)), st.builds(theirs, st.integers(1, 200)))
_ALIASES = st.dictionaries(st.integers(0, 9), _VALUE, max_size=8)
_WANTED = st.lists(st.integers(1, 6), unique=True, max_size=5).map(lambda found: [ours(n, 1) for n in found])


@given(_ALIASES, _WANTED, st.sets(st.integers(0, 9), max_size=3))
@settings(deadline=None)
def test_the_result_is_what_was_wanted_and_everything_foreign(
    aliases: dict[int, str], wanted: list[str], taken: set[int]
) -> None:
    aliases = {number: value for number, value in aliases.items() if number not in taken}
    text = rc(aliases, tail="sshd_enable=YES # last\n")
    conf = placed(text, wanted, taken)
    after = numbered(conf, "em0")
    assert sorted(value for value in after.values() if is_ours(value)) == sorted(wanted)
    foreign = [aliases[number] for number in sorted(aliases) if not is_ours(aliases[number])]
    assert [value for value in after.values() if not is_ours(value)] == foreign
    assert not set(after) & taken

    def gaps(numbers: Collection[int]) -> int:
        return len(set(range(max(numbers, default=0))) - set(numbers) - taken)

    assert gaps(after) <= gaps(aliases)
    # Lines keep their order and their comments; a foreign value is never requoted.
    kept = [line for line in conf.text.split("\n") if "'" in line or "#" in line]
    original = [re.sub(r"alias\d+=", "aliasN=", line) for line in text.split("\n")]
    numberless = [re.sub(r"alias\d+=", "aliasN=", line) for line in kept if "vhid" not in line]
    assert numberless == [line for line in original if ("'" in line or "#" in line) and "vhid" not in line]
    assert placed(conf.text, wanted, taken).text == conf.text
