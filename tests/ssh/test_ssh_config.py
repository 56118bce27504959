"""Reading ssh_config: words, blocks, Include, Match; compared with what ssh -G makes of the same file."""

from __future__ import annotations

import contextlib
import getpass
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bsdcarp.errors import SshError
from bsdcarp.ssh.config import Query, Settings, Source, look_up, sources
from bsdcarp.ssh.configwords import arguments, lex
from bsdcarp.ssh.patterns import is_catch_all, matches


def look(directory: Path, text: str, name: str = "server1", **query: object) -> Settings:
    path = directory / "config"
    path.write_text(text)
    given_query = {"host": name, **query}
    return look_up([Source(path, directory)], Query(name=name, **given_query))  # type: ignore[arg-type]  # Query's own names


def values(settings: Settings, keyword: str) -> tuple[str, ...]:
    return tuple(setting.value for setting in settings.all(keyword))


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("a b", ("a", "b")),
        ("  a\tb  ", ("a", "b")),
        ('"a b" c', ("a b", "c")),
        ("'a b' c", ("a b", "c")),
        ('"a\'b"', ("a'b",)),
        (r"a\ b", ("a b",)),
        (r'"a\"b" \\ \x', ('a"b', "\\", r"\x")),
        ("a # comment", ("a",)),
        ("a#b #c", ("a#b",)),
        ('""', ("",)),
        ('a""b', ("ab",)),
        ("trailing\\", ("trailing\\",)),
        ("a\\\tb", ("a\\", "b")),
    ],
)
def test_words_are_split_as_openssh_splits_them(rest: str, words: tuple[str, ...]) -> None:
    assert arguments(rest, "f:1") == words


@pytest.mark.parametrize("rest", ["", "   ", "# only a comment"])
def test_a_keyword_without_argument_is_an_error(rest: str) -> None:
    with pytest.raises(SshError, match="f:1: the keyword has no argument"):
        arguments(rest, "f:1")


@pytest.mark.parametrize("rest", ['"open', "'open", 'a "b'])
def test_an_open_quote_is_an_error(rest: str) -> None:
    with pytest.raises(SshError, match=r"f:1: a . is not closed"):
        arguments(rest, "f:1")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Port 22", ("port", "22")),
        ("  PORT=22 ", ("port", "22")),
        ("Port = 22", ("port", "22")),
        ("\tPort\t22\r", ("port", "22")),
        ("Port", ("port", "")),
        ("# Port 22", None),
        ("   ", None),
        ("{not a keyword}", None),
    ],
)
def test_lines_are_taken_apart(line: str, found: tuple[str, str] | None) -> None:
    assert lex(line) == found


@given(st.text(max_size=60))
def test_no_line_breaks_the_lexer(line: str) -> None:
    found = lex(line)
    if found:
        with contextlib.suppress(SshError):
            assert arguments(found[1], "f:1")


@pytest.mark.parametrize(
    ("patterns", "text", "expected"),
    [
        (("server1",), "SERVER1", True),
        (("server?",), "server1", True),
        (("server?",), "server", False),
        (("*.example", "!bad.example"), "good.example", True),
        (("*.example", "!bad.example"), "bad.example", False),
        (("!bad",), "good", False),
        (("[a-z]*",), "abc", False),
        (("[127.0.0.1]:22",), "[127.0.0.1]:22", True),
        ((), "x", False),
    ],
)
def test_patterns(patterns: tuple[str, ...], text: str, expected: bool) -> None:
    assert matches(text, patterns) is expected


def test_only_stars_are_a_catch_all() -> None:
    assert is_catch_all(["*", "**", "!other"])
    assert not is_catch_all(["*", "?"])


def test_the_first_value_wins_and_identity_files_add_up(tmp_path: Path) -> None:
    found = look(
        tmp_path,
        """\
IdentityFile one
Host server1
  Port 1001
  IdentityFile two
Host *
  Port 1002
  IdentityFile one
  IdentityFile three
  User = "op" # whoever
""",
    )
    assert values(found, "port") == ("1001",)
    assert values(found, "identityfile") == ("one", "two", "three")
    assert values(found, "user") == ("op",)
    assert found.first("port") is not None
    assert found.first("port").place == f"{tmp_path / 'config'}:3"  # type: ignore[union-attr]  # asserted above
    assert found.specific


@pytest.mark.parametrize(("first", "second"), [("ProxyJump", "ProxyCommand"), ("ProxyCommand", "ProxyJump")])
def test_proxy_command_and_proxy_jump_shut_each_other_out(tmp_path: Path, first: str, second: str) -> None:
    found = look(tmp_path, f"{first} none\n{second} x\n")
    assert found.first(first.lower())
    assert found.first(second.lower()) is None


def test_a_proxy_command_is_the_rest_of_the_line(tmp_path: Path) -> None:
    found = look(tmp_path, 'ProxyCommand nc "%h" %p # not a comment\n')
    assert values(found, "proxycommand") == ('nc "%h" %p # not a comment',)
    with pytest.raises(SshError, match="config:1: the keyword has no argument"):
        look(tmp_path, "ProxyCommand\n")


@pytest.mark.parametrize(
    ("block", "specific"),
    [
        ("Host server1", True),
        ("Host server*", True),
        ("Host *", False),
        ("Host * !other", False),
        ("Match all", False),
        ("Match host server1", True),
        ("Match originalhost server1", True),
        ("Match originalhost *", False),
        ("Match !host other", False),
        (f"Match user {getpass.getuser()}", False),
    ],
)
def test_a_block_is_meant_for_a_host_or_for_all(tmp_path: Path, block: str, specific: bool) -> None:
    found = look(tmp_path, f"{block}\n  Port 1001\n")
    assert values(found, "port") == ("1001",)
    assert found.specific is specific


@pytest.mark.parametrize(
    ("line", "applies"),
    [
        ("Match host real.example", True),
        ("Match originalhost real.example", False),
        ("Match host real.example user op", True),
        ("Match host real.example user other", False),
        ("Match user other,op", True),
        ("Match !user op", False),
        (f"Match localuser {getpass.getuser()}", True),
        ("Match localuser nobody-at-all", False),
        ("Match exec true", True),
        ("Match exec false", False),
        ("Match !exec false", True),
        ('Match exec "test %h.%n.%r.%p = real.example.server1.op.1001"', True),
        ("Match canonical", False),
        ("Match !canonical", True),
        ("Match final host real.example", True),
        ("Match !final", True),
        ("MATCH ALL", True),
    ],
)
def test_match_looks_at_what_is_known_so_far(tmp_path: Path, line: str, applies: bool) -> None:
    text = f"Host server1\n  HostName real.example\n  User op\n  Port 1001\n{line}\n  HostKeyAlias found\n"
    assert (values(look(tmp_path, text), "hostkeyalias") == ("found",)) is applies


def test_without_hostname_match_host_sees_where_the_connection_goes(tmp_path: Path) -> None:
    text = "Match host 192.168.90.*\n  Port 1001\n"
    assert values(look(tmp_path, text, host="192.168.90.2"), "port") == ("1001",)


def test_the_user_given_outside_counts_for_match(tmp_path: Path) -> None:
    text = "User other\nMatch user root\n  Port 1001\n"
    assert values(look(tmp_path, text, user="root"), "port") == ("1001",)


@pytest.mark.parametrize("line", ["Match tagged x", "Match localnetwork 10.0.0.0/8", "Match nonsense x"])
def test_a_match_that_cannot_be_judged_is_an_error_where_it_decides(tmp_path: Path, line: str) -> None:
    with pytest.raises(SshError, match=r"config:1: 'Match \w+' is not supported here"):
        look(tmp_path, f"{line}\n  Port 1001\n")
    look(tmp_path, f"{line.replace('Match', 'Match originalhost other')}\n  Port 1001\n")


def test_a_match_without_value_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SshError, match="config:1: Match user needs a value"):
        look(tmp_path, "Match user\n")


def test_a_match_exec_that_cannot_run_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELL", "/nonexistent/shell")
    with pytest.raises(SshError, match="config:1: the command of 'Match exec' could not be run"):
        look(tmp_path, "Match exec true\n")


def test_include_takes_globs_in_order_and_the_block_goes_on(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "b").write_text("IdentityFile b\nHost other\n  IdentityFile no\n")
    (tmp_path / "conf.d" / "a").write_text("IdentityFile a\nInclude nested\n")
    (tmp_path / "nested").write_text("IdentityFile nested\n")
    found = look(tmp_path, "Host server1\n  Include conf.d/* missing/*\n  IdentityFile last\n")
    assert values(found, "identityfile") == ("a", "nested", "b", "last")


def test_include_in_a_block_applies_where_the_block_does(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("IdentityFile no\nHost server1\n  IdentityFile no\n")
    assert values(look(tmp_path, "Host other\n  Include more\nHost server1\n  IdentityFile yes\n"), "identityfile") == (
        "yes",
    )


def test_include_by_absolute_path_and_tilde(tmp_path: Path, home: Path) -> None:
    (home / "mine").write_text("Port 1001\n")
    (tmp_path / "abs").write_text("User op\n")
    found = look(tmp_path, f"Include ~/mine {tmp_path}/abs\n")
    assert (values(found, "port"), values(found, "user")) == (("1001",), ("op",))


def test_a_loop_of_includes_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("Include b\n")
    (tmp_path / "b").write_text("Include a\n")
    with pytest.raises(SshError, match="/a: Include leads back to this file"):
        look(tmp_path, "Include a\n")


def test_sources_are_the_users_then_the_systems_or_the_one_named(home: Path, tmp_path: Path) -> None:
    assert [source.path for source in sources(None)] == [home / ".ssh" / "config", Path("/etc/ssh/ssh_config")]
    assert sources(Path("none")) == ()
    (tmp_path / "mine").touch()
    assert sources(tmp_path / "mine") == (Source(tmp_path / "mine", home / ".ssh"),)
    with pytest.raises(SshError, match="absent: no such file"):
        sources(tmp_path / "absent")


def test_bytes_that_are_not_utf8_and_odd_line_ends_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(b"# \xff\xfe\r\nHost server1\r\n  HostName b\xffd\r\n")
    found = look_up([Source(tmp_path / "config", tmp_path)], Query("server1", "server1"))
    assert values(found, "hostname") == ("b\udcffd",)


NAMES = st.sampled_from(["web", "db", "web.example", "10.0.0.1"])
PATTERNS = st.sampled_from(["*", "web", "web*", "!web", "db", "*.example", "10.0.?.1", "!db", "w?b"])
WORDS = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
SETTINGS = st.one_of(
    st.builds("  HostName {}".format, WORDS),
    st.builds("  HostName {}.%h".format, WORDS),
    st.builds("  Port {}".format, st.integers(1, 65535)),
    st.builds('  User "{}"'.format, WORDS),
    st.builds("  User={} # note".format, WORDS),
    st.builds("  HostKeyAlias {}".format, WORDS),
    st.builds("  ConnectTimeout {}".format, st.integers(1, 99)),
    st.builds("  ForwardAgent {}".format, st.sampled_from(["yes", "no"])),
)
BLOCKS = st.one_of(
    st.builds(lambda patterns: f"Host {' '.join(patterns)}", st.lists(PATTERNS, min_size=1, max_size=3)),
    st.builds(lambda patterns: f"Match originalhost {','.join(patterns)}", st.lists(PATTERNS, min_size=1, max_size=3)),
    st.builds(lambda pattern, user: f"Match host {pattern} user {user},op", PATTERNS, WORDS),
    st.builds("Match !host {}".format, PATTERNS.filter(lambda pattern: "!" not in pattern)),
    st.just("Match all"),
    st.just("Include more"),
)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH's client is not installed")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=NAMES,
    lines=st.lists(st.one_of(BLOCKS, SETTINGS, SETTINGS), max_size=12),
    more=st.lists(st.one_of(BLOCKS.filter(lambda line: "Include" not in line), SETTINGS), max_size=5),
)
def test_ssh_itself_finds_the_same(home: Path, name: str, lines: list[str], more: list[str]) -> None:
    included = home / "more"
    included.write_text("\n".join(more) + "\n")
    text = "\n".join(lines).replace("Include more", f"Include {included}") + "\n"
    config = home / "config"
    config.write_text(text)
    done = subprocess.run(["ssh", "-G", "-F", str(config), name], capture_output=True, text=True, check=True)
    theirs: dict[str, str] = dict(line.partition(" ")[::2] for line in done.stdout.splitlines())
    ours = look_up([Source(config, home)], Query(name, name))
    found = {keyword: values(ours, keyword) for keyword in ("hostname", "port", "user", "hostkeyalias")}
    hostname = (found["hostname"] or (name,))[0].replace("%h", name)
    assert hostname == theirs["hostname"]
    assert (found["port"] or ("22",))[0] == theirs["port"]
    assert (found["user"] or (getpass.getuser(),))[0] == theirs["user"]
    assert (found["hostkeyalias"] or ("",))[0] == theirs.get("hostkeyalias", "")
