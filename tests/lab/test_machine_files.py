"""The pure parts under a boot: rc.conf and its complaints, loader.conf, alias variables, kernel configurations."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bsdcarp.errors import LabError
from bsdcarp.lab import rcconf
from bsdcarp.lab.aliases import EndlessRecursion, plan_aliases, variable_part
from bsdcarp.lab.kernconf import expand, kernel_file, parse_kernel_file
from bsdcarp.lab.loader import parse_loader_conf, read_loader_conf
from bsdcarp.lab.rcconf import read_rc_conf, syntax_messages
from bsdcarp.lab.releases import release_named

RC = release_named("12.1").rc
WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789._", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("sh: 15: /r/etc/rc.conf: Syntax error: EOF in backquote substitution", ["/etc/rc.conf: 15: Syntax error: EOF in backquote substitution", "/etc/rc.conf: 14: Syntax error: Error in command substitution"]),
        ("/r/etc/rc.conf: line 3: unexpected EOF while looking for matching `\"'", ["/etc/rc.conf: 3: Syntax error: Unterminated quoted string"]),
        ("/r/etc/rc.conf: 3: Syntax error: Unterminated quoted string", ["/etc/rc.conf: 3: Syntax error: Unterminated quoted string"]),
        ('sh: 2: /r/etc/rc.conf: Syntax error: ")" unexpected', ['/etc/rc.conf: 2: Syntax error: ")" unexpected']),
        ("nonsense: not found", ["nonsense: not found"]),
    ],
)  # fmt: skip
def test_complaints_of_any_shell_come_out_in_freebsd_s_words(said: str, meant: list[str]) -> None:
    assert list(syntax_messages(said + "\n", "/r")) == meant


@given(
    values=st.dictionaries(
        st.from_regex(r"[a-z]{1,8}_v", fullmatch=True), st.text("abc $`\"'\\\n;&|<>()#é", max_size=12), max_size=4
    )
)
def test_quoted_values_come_back_as_they_are(values: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "etc").mkdir()
    quoted = {name: "'" + value.replace("'", "'\\''") + "'" for name, value in values.items()}
    (root / "etc/x").write_text("".join(f"{name}={value}\n" for name, value in quoted.items()))
    conf = read_rc_conf(root, files=["/etc/x"])
    assert conf.complete
    assert {name: conf.get(name) for name in values} == values


def test_file_list_may_grow_while_it_is_read_and_rc_conf_d_may_be_a_directory(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    (etc / "defaults").mkdir(parents=True)
    (etc / "rc.conf.d/network").mkdir(parents=True)
    (etc / "defaults/rc.conf").write_text('rc_conf_files="/etc/rc.conf"\n')
    (etc / "rc.conf").write_text('rc_conf_files="/etc/rc.conf /etc/more"\na=1\necho noise\n')
    (etc / "more").write_text("b=2 yes_enable=TRUE\n")
    (etc / "rc.conf.d/network/x").write_text("c=3\n")
    conf = read_rc_conf(tmp_path, ["network"])
    assert (conf.get("a"), conf.get("b"), conf.get("c"), conf.get("d", "-")) == ("1", "2", "3", "-")
    assert conf.yes("yes_enable")
    assert not conf.yes("a") or conf.get("a") == "1"
    assert "noise" in conf.messages


def test_shell_that_hangs_or_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_text("while :; do sleep 1; done\n")
    monkeypatch.setattr(rcconf, "_TIME_LIMIT", 0.2)
    assert not read_rc_conf(tmp_path, files=["/x"]).complete

    def missing(*_args: object, **_kwargs: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(subprocess, "run", missing)
    with pytest.raises(LabError, match="/bin/sh does not run"):
        read_rc_conf(tmp_path)


@settings(deadline=None)
@given(pairs=st.dictionaries(st.from_regex(r"[a-z][a-z0-9_.]{0,10}", fullmatch=True), WORDS, max_size=5))
def test_loader_conf_gives_back_what_was_written(pairs: dict[str, str]) -> None:
    text = "# head\n" + "".join(f'{name}="{value}" # why\n' for name, value in pairs.items())
    conf = parse_loader_conf(text, "/boot/loader.conf")
    assert dict(conf.variables) == pairs
    assert conf.errors == ()
    assert parse_loader_conf(text.replace('"', ""), "x").variables == pairs


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_text_breaks_the_loader(text: str) -> None:
    conf = read_loader_conf(lambda path: text if path == "/boot/loader.conf" else None)
    assert all(error.startswith("/boot/loader.conf:") for error in conf.errors)
    conf.modules()


def test_alias_values_become_ifconfig_calls_in_rc_s_order() -> None:
    variables = {
        "ifconfig_em0_5_alias10": "inet 192.0.2.10/32",
        "ifconfig_em0_5_alias2": "192.0.2.2/32",
        "ifconfig_em0_5_aliases": "inet vhid 1 192.0.2.1/32 inet6 2001:db8::1/128",
        "ifconfig_em0_5_aliasx": "inet 192.0.2.99/32",
    }
    plan = plan_aliases(variables, "em0.5", "inet", RC)
    assert plan.calls == [
        ["inet", "vhid", "1", "192.0.2.1/32", "alias"],
        ["inet", "192.0.2.2/32", "alias"],
        ["inet", "192.0.2.10/32", "alias"],
    ]
    assert plan.warnings == ['$ifconfig_em0_5_alias2 needs leading "inet" keyword for an IPv4 address.']
    six = plan_aliases(variables, "em0.5", "inet6", RC)
    assert six.calls == [["inet6", "2001:db8::1/128", "alias"]]
    assert six.warnings == []
    assert variable_part("em0.5-x/y+z") == "em0_5_x_y_z"


@settings(deadline=None)
@given(WORDS.filter(lambda word: word not in {"inet", "inet6", "link", "ether", "ipx"}))
def test_alias_with_a_plain_password_never_hangs(password: str) -> None:
    plan = plan_aliases({"ifconfig_em0_alias0": f"inet vhid 1 pass {password} 192.0.2.1/32"}, "em0", "inet", RC)
    assert plan.calls[0][:5] == ["inet", "vhid", "1", "pass", password]


def test_nine_takes_any_hyphen_for_a_range_and_ten_only_one_after_a_hex_digit() -> None:
    variables = {"ifconfig_carp0_alias0": "inet 192.0.2.1/24 pass x-y"}
    with pytest.raises(EndlessRecursion):
        plan_aliases(variables, "carp0", "inet", release_named("9.3").rc)
    assert plan_aliases(variables, "carp0", "inet", RC).calls


def test_kernel_configuration_is_expanded_and_survives_in_the_kernel_file() -> None:
    texts = {
        "/usr/src/sys/i386/conf/GENERIC": 'cpu I686_CPU\nident GENERIC\noption INET\ndevice em # card\nmakeoptions DEBUG=-g\n\nhints "x"\n',
        "/usr/src/sys/i386/conf/MINE": "include GENERIC\nident MINE\ndevice carp\n",
    }
    config = expand("MINE", texts.get, "/usr/src/sys/i386/conf")
    assert config.splitlines()[:4] == ["options\tCONFIG_AUTOGENERATED", "ident\tMINE", "machine\ti386", "cpu\tI686_CPU"]
    image = parse_kernel_file(kernel_file(config), "kernel.mine")
    assert image is not None
    assert (image.ident, image.static_carp, image.bootfile) == ("MINE", True, "/boot/kernel.mine/kernel")
    assert parse_kernel_file("rubbish", "kernel") is None
    assert parse_kernel_file(None, "kernel") is None
    with pytest.raises(LabError, match="no such kernel configuration"):
        expand("NONE", texts.get, "/usr/src/sys/i386/conf")
