"""From the inventory and ssh_config to a target."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from bsdcarp.errors import SshError
from bsdcarp.ssh import SshTarget, resolve
from bsdcarp.ssh.tokens import local_user


def from_config(directory: Path, text: str, **changes: object) -> SshTarget:
    path = directory / "config"
    path.write_text(text)
    return resolve("server1", "192.168.90.2", ssh_config=path, **changes)  # type: ignore[arg-type]  # resolve's own names


def test_without_ssh_config_the_inventory_is_enough(home: Path) -> None:
    target = resolve("server1", "192.168.90.2", ssh_config=Path("none"))
    assert target == SshTarget(
        name="server1",
        hostname="192.168.90.2",
        port=22,
        user="root",
        known_hosts_files=(
            home / ".ssh" / "known_hosts",
            home / ".ssh" / "known_hosts2",
            Path("/etc/ssh/ssh_known_hosts"),
            Path("/etc/ssh/ssh_known_hosts2"),
        ),
        new_keys_file=home / ".ssh" / "known_hosts",
    )
    assert target.endpoint == "192.168.90.2:22"
    assert resolve("server1", "fd00::2", ssh_config=Path("none")).endpoint == "[fd00::2]:22"


def test_the_users_file_is_read_by_default(home: Path) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh" / "config").write_text("Include more\n")
    (home / ".ssh" / "more").write_text("Host server1\n  Port 1001\n")
    assert resolve("server1", "192.168.90.2").port == 1001


def test_a_block_for_the_name_wins_over_the_inventorys_address(tmp_path: Path) -> None:
    lab = "Host server1 192.168.90.2\n  HostName 127.0.0.1\n  Port 2201\n"
    target = from_config(tmp_path, lab)
    assert (target.name, target.hostname, target.port) == ("server1", "127.0.0.1", 2201)


def test_a_block_for_the_name_without_hostname_leaves_the_address(tmp_path: Path) -> None:
    assert from_config(tmp_path, "Host server1\n  Port 1001\n").hostname == "192.168.90.2"


def test_a_block_for_the_address_counts_if_none_is_for_the_name(tmp_path: Path) -> None:
    both = "Host *\n  ConnectTimeout 3\nHost 192.168.90.*\n  Port 1001\n"
    target = from_config(tmp_path, both)
    assert (target.port, target.connect_timeout) == (1001, 3.0)
    named = from_config(tmp_path, both + "Host server1\n  User op\n")
    assert (named.port, named.user, named.connect_timeout) == (22, "op", 3.0)


def test_the_inventorys_user_and_port_win(tmp_path: Path) -> None:
    text = "Host server1\n  User op\n  Port 1001\n"
    assert (from_config(tmp_path, text).user, from_config(tmp_path, text).port) == ("op", 1001)
    target = from_config(tmp_path, text, user="admin", port=2222)
    assert (target.user, target.port) == ("admin", 2222)


def test_flags_and_limits(tmp_path: Path) -> None:
    target = from_config(
        tmp_path,
        "ConnectTimeout 3\nIdentitiesOnly yes\nHostKeyAlias alias\nStrictHostKeyChecking accept-new\n",
        legacy=True,
    )
    assert target.legacy
    assert target.identities_only
    assert (target.host_key_alias, target.strict, target.connect_timeout) == ("alias", "accept-new", 3.0)
    assert from_config(tmp_path, "ConnectTimeout 3\n", connect_timeout=7.5).connect_timeout == 7.5
    assert from_config(tmp_path, "ConnectTimeout none\n").connect_timeout == 20.0
    assert from_config(tmp_path, "IdentitiesOnly no\n").identities_only is False


@pytest.mark.parametrize(
    ("value", "accept_new", "strict"),
    [
        ("yes", False, "yes"),
        ("ask", False, "yes"),
        ("accept-new", False, "accept-new"),
        ("no", False, "accept-new"),
        ("off", False, "accept-new"),
        ("yes", True, "accept-new"),
    ],
)
def test_strictness(tmp_path: Path, value: str, accept_new: bool, strict: str) -> None:
    assert from_config(tmp_path, f"StrictHostKeyChecking {value}\n", accept_new=accept_new).strict == strict


def test_known_hosts_files(tmp_path: Path, home: Path) -> None:
    target = from_config(tmp_path, 'UserKnownHostsFile ~/a "/b c"\nGlobalKnownHostsFile none\n')
    assert target.known_hosts_files == (home / "a", Path("/b c"))
    assert target.new_keys_file == home / "a"
    target = from_config(tmp_path, "UserKnownHostsFile none\nGlobalKnownHostsFile /etc/known\n")
    assert (target.known_hosts_files, target.new_keys_file) == ((Path("/etc/known"),), None)


def test_tokens_and_variables(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICH", "mine")
    target = from_config(
        tmp_path,
        """\
Host server1
  HostName %h.example
  Port 1001
  User op
  HostKeyAlias alias
  IdentityFile ~/${WHICH}/%h-%n-%p-%r-%k-%%
  IdentityFile %d/%u-%i-%L
  IdentityFile ~root/key
  IdentityFile relative/%l
  UserKnownHostsFile ~/.known/%k
  ProxyCommand relay %h %p %r %%
""",
    )
    assert target.hostname == "server1.example"
    short = socket.gethostname().partition(".")[0]
    assert [str(path) for path in target.identity_files] == [
        f"{home}/mine/server1.example-server1-1001-op-alias-%",
        f"{home}/{local_user()}-{os.getuid()}-{short}",
        f"{Path('~root').expanduser()}/key",
        f"relative/{socket.gethostname()}",
    ]
    assert target.new_keys_file == home / ".known" / "alias"
    assert target.proxy_command == "relay server1.example 1001 op %"


def test_a_user_without_a_name_goes_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)
    assert local_user() == "3999999999"


@pytest.mark.parametrize(
    ("line", "agent"),
    [
        ("", "/run/agent"),
        ("IdentityAgent SSH_AUTH_SOCK", "/run/agent"),
        ("IdentityAgent none", None),
        ("IdentityAgent $OTHER_AGENT", "/run/other"),
        ("IdentityAgent $NOT_SET", None),
        ("IdentityAgent ${OTHER_AGENT}.%r", "/run/other.root"),
        ("IdentityAgent ~/agent", "HOME/agent"),
    ],
)
def test_the_agent(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, line: str, agent: str | None) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    monkeypatch.setenv("OTHER_AGENT", "/run/other")
    assert from_config(tmp_path, f"{line}\n").agent == (agent.replace("HOME", str(home)) if agent else None)


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("Port 70000", "'70000' is not a number from 1 to 65535"),
        ("Port ssh", "'ssh' is not a number"),
        ("Port ²", "'²' is not a number"),
        ("IdentitiesOnly maybe", "'maybe' is neither yes nor no"),
        ("IdentityFile %Z", "the token '%Z' is not supported"),
        ("IdentityFile x%", "the token '%' is not supported"),
        ("IdentityFile ${NOT_SET}", "the environment variable NOT_SET is not set"),
        ("ProxyJump a:b:c", "'a:b:c' is not a jump host"),
        ("ProxyJump ,", "'' is not a jump host"),
        ("ConnectTimeout soon", "'soon' is not a number"),
    ],
)
def test_what_cannot_be_understood_is_an_error_with_its_line(tmp_path: Path, line: str, cause: str) -> None:
    with pytest.raises(SshError) as caught:
        from_config(tmp_path, f"# first\n{line}\n")
    assert str(caught.value).startswith(f"{tmp_path / 'config'}:2: {cause}")
    assert caught.value.remedy


def jumps(target: SshTarget) -> list[tuple[str, str, str, int]]:
    return [(hop.name, hop.user, hop.hostname, hop.port) for hop in target.jumps]


def test_a_list_of_jump_hosts(tmp_path: Path) -> None:
    target = from_config(tmp_path, "Host server1\n  ProxyJump op@a:1001, b ,ssh://c@[fd00::1]:1002\n", user="root")
    assert jumps(target) == [
        ("a", "op", "a", 1001),
        ("b", local_user(), "b", 22),
        ("fd00::1", "c", "fd00::1", 1002),
    ]


def test_jump_hosts_have_settings_and_jumps_of_their_own(tmp_path: Path, home: Path) -> None:
    target = from_config(
        tmp_path,
        """\
Host server1
  ProxyJump inner
Host inner
  HostName 10.0.0.1
  IdentityFile ~/inner
  HostKeyAlias inside
  ProxyJump middle
Host middle
  User op
  ProxyJump outer
Host outer
  HostName outer.example
  Port 1001
  ProxyCommand relay %h
""",
        legacy=True,
        accept_new=True,
    )
    assert jumps(target) == [
        ("outer", local_user(), "outer.example", 1001),
        ("middle", "op", "middle", 22),
        ("inner", local_user(), "10.0.0.1", 22),
    ]
    assert target.jumps[2].identity_files == (home / "inner",)
    assert target.jumps[2].host_key_alias == "inside"
    assert target.jumps[0].proxy_command == "relay outer.example"
    assert [hop.jumps for hop in target.jumps] == [(), (), ()]
    assert {hop.strict for hop in target.jumps} == {"accept-new"}
    assert [hop.legacy for hop in (*target.jumps, target)] == [False, False, False, True]


def test_only_the_first_of_a_list_keeps_its_own_way(tmp_path: Path) -> None:
    text = "Host server1\n  ProxyJump a,b\nHost a\n  ProxyJump x\nHost b\n  ProxyCommand relay\n"
    target = from_config(tmp_path, text)
    assert [hop.name for hop in target.jumps] == ["x", "a", "b"]
    assert [hop.proxy_command for hop in target.jumps] == [None, None, None]


def test_proxy_jump_none_and_tokens(tmp_path: Path) -> None:
    assert from_config(tmp_path, "Host server1\n  ProxyJump none\nHost *\n  ProxyJump a\n").jumps == ()
    assert from_config(tmp_path, "Host server1\n  ProxyJump gate.%n\n").jumps[0].name == "gate.server1"
    assert from_config(tmp_path, "Host server1\n  ProxyCommand none\nHost *\n  ProxyJump a\n").proxy_command is None


@pytest.mark.parametrize(
    "text",
    [
        "Host *\n  ProxyJump gate\n",
        "Host server1\n  ProxyJump a\nHost a\n  ProxyJump b\nHost b\n  ProxyJump A\n",
        "Host server1\n  ProxyJump server1\n",
    ],
)
def test_a_loop_of_jump_hosts_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(SshError, match=r"config:\d+: ProxyJump loop: \w+ is reached through itself"):
        from_config(tmp_path, text)


def test_the_same_jump_host_on_another_port_is_no_loop(tmp_path: Path) -> None:
    target = from_config(tmp_path, "Host server1\n  ProxyJump gate:1001,gate:1002\n")
    assert [hop.port for hop in target.jumps] == [1001, 1002]
