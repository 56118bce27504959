from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shell_oracle import ANY_TEXT

from bsdcarp.errors import TextFileError
from bsdcarp.textfiles import KernConf

CONF = """#
# MYKERNEL
#
include\t\tGENERIC
ident\t\tMYKERNEL  # uname -i
options \tROUTETABLES=2\t# a comment, with a comma
device\t\tpf, pflog; device pfsync
nodevice\tfdc
devices\tcarp
"""

_PIECES = [
    "device",
    "nodevice",
    "devices",
    "include",
    "ident",
    "options",
    "carp",
    "pf",
    "GENERIC",
    '"A B"',
    " ",
    "\t",
    "\n",
    "\n",
    ";",
    ",",
    "# c",
]
MESSY = st.lists(st.sampled_from(_PIECES), max_size=16).map("".join)


def test_the_words_of_a_kernel_configuration_are_understood() -> None:
    conf = KernConf.parse(CONF)
    assert conf.includes == ("GENERIC",)
    assert conf.ident == "MYKERNEL"
    assert conf.devices == {"pf", "pflog", "pfsync", "carp"}
    assert conf.has_device("carp")
    assert not conf.has_device("fdc")
    assert [(s.keyword, s.line) for s in conf.statements][2:5] == [("options", 6), ("device", 7), ("device", 7)]


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("device carp", {"carp"}),
        ("device\n\tcarp", {"carp"}),
        ("device carp\n# c\n device pf", {"carp", "pf"}),
        ("#device carp", set()),
        ("device carp # c", {"carp"}),
        ('device "carp"', {"carp"}),
        ("device carp\nnodevice carp", set()),
        ("nodevice carp\ndevice carp", {"carp"}),
        ("device a,b,c\nnodevices a, c", {"b"}),
        ("device", set()),
        ('device a"', {"a", '"'}),
    ],
)
def test_devices_follow_the_order_of_the_file(text: str, devices: set[str]) -> None:
    assert KernConf.parse(text).devices == devices


def test_a_device_that_is_there_is_not_added_again() -> None:
    conf = KernConf.parse(CONF)
    assert conf.with_device("carp") is conf
    assert KernConf.parse("include GENERIC").with_device("carp").text == "include GENERIC\ndevice\t\tcarp\n"
    assert KernConf.parse("device carp\nnodevice carp\n").with_device("carp").has_device("carp")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (CONF, CONF.replace("ident\t\tMYKERNEL", "ident\t\tCARP")),
        ('ident "OLD" # c\n', 'ident "CARP" # c\n'),
        ("include GENERIC\n", "include GENERIC\nident\t\tCARP\n"),
        ("include GENERIC", "include GENERIC\nident\t\tCARP\n"),
        ("include\n\tGENERIC # c\ndevice pf\n", "include\n\tGENERIC # c\nident\t\tCARP\ndevice pf\n"),
        ("ident OLD\ninclude GENERIC\ndevice pf\n", "ident OLD\ninclude GENERIC\nident\t\tCARP\ndevice pf\n"),
        ("device pf\n", "device pf\nident\t\tCARP\n"),
        ("", "ident\t\tCARP\n"),
        ("ident A\nident B\n", "ident A\nident CARP\n"),
        ("include", "include\nident\t\tCARP\n"),
    ],
)
def test_the_ident_goes_where_no_included_file_overrides_it(before: str, after: str) -> None:
    conf = KernConf.parse(before).with_ident("CARP")
    assert conf.text == after
    assert conf.ident == "CARP"
    assert conf.with_ident("CARP") is conf


def test_an_empty_file_says_nothing() -> None:
    conf = KernConf.parse("")
    assert (conf.includes, conf.ident, conf.devices) == ((), None, frozenset())


@pytest.mark.parametrize("name", ["", "a b", "1a", "a;b", "a\n", "é"])
def test_a_name_that_config_would_not_take_is_refused(name: str) -> None:
    for edit in (KernConf.parse("").with_device, KernConf.parse("").with_ident):
        with pytest.raises(TextFileError, match="cannot be a name"):
            edit(name)


@given(ANY_TEXT | MESSY)
def test_any_text_comes_back_unchanged(text: str) -> None:
    assert KernConf.parse(text).text == text


@given(MESSY)
def test_additions_hold_are_idempotent_and_keep_every_line(text: str) -> None:
    conf = KernConf.parse(text)
    with_device = conf.with_device("carp")
    assert with_device.text.startswith(text)
    assert with_device.devices == conf.devices | {"carp"}
    assert with_device.with_device("carp") is with_device
    with_ident = conf.with_ident("CARP")
    assert with_ident.ident == "CARP"
    assert with_ident.devices == conf.devices
    assert with_ident.includes == conf.includes
    assert with_ident.with_ident("CARP") is with_ident
