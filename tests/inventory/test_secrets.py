"""Passwords: where they come from, what is wrong with them, and that nothing ever shows one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inventories import Change, inventory

from bsdcarp.errors import SecretError
from bsdcarp.inventory import check_passwords, secrets
from bsdcarp.inventory.rules import REGISTRY
from bsdcarp.inventory.secrets import resolve, resolve_all, resolve_become
from bsdcarp.model import Finding, Inventory, PasswordSource, Place, Secret, Severity

PLACE = Place("inv.yml", 7, 5)


def env(name: str) -> PasswordSource:
    return PasswordSource("env", name, PLACE)


def file(path: Path | str) -> PasswordSource:
    return PasswordSource("file", str(path), PLACE)


def command(line: str) -> PasswordSource:
    return PasswordSource("command", line, PLACE)


def refusal(source: PasswordSource, base_dir: Path | str = "") -> str:
    with pytest.raises(SecretError) as caught:
        resolve(source, base_dir=base_dir)
    assert caught.value.place == "inv.yml:7:5"
    assert caught.value.remedy
    return str(caught.value)


class TestEnvironment:
    def test_a_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WEB", "s3cret")
        assert resolve(env("WEB")).reveal() == "s3cret"

    def test_missing_and_empty_ones_are_told_apart(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("WEB", raising=False)
        assert refusal(env("WEB")) == (
            "inv.yml:7:5: the environment variable WEB is not set (export WEB=... before you start bsdcarp)"
        )
        monkeypatch.setenv("WEB", "")
        assert "WEB is empty" in refusal(env("WEB"))


class TestFile:
    def test_the_first_line_without_its_end(self, tmp_path: Path) -> None:
        path = tmp_path / "pw"
        for content in (b"s3cret", b"s3cret\n", b"s3cret\r\n", b"s3cret\nmore\n"):
            path.write_bytes(content)
            assert resolve(file(path)).reveal() == "s3cret"

    def test_a_relative_path_is_beside_the_inventory(self, tmp_path: Path) -> None:
        (tmp_path / "pw").write_text("s3cret\n")
        assert resolve(file("pw"), base_dir=tmp_path).reveal() == "s3cret"

    def test_a_home_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "pw").write_text("s3cret\n")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert resolve(file("~/pw"), base_dir="/nowhere").reveal() == "s3cret"

    def test_what_is_not_a_password_file_is_refused(self, tmp_path: Path) -> None:
        assert "No such file" in refusal(file("pw"), tmp_path)
        assert "beside the inventory" in refusal(file("pw"), tmp_path.relative_to("/"))
        assert "Is a directory" in refusal(file(tmp_path))
        os.mkfifo(tmp_path / "fifo")
        assert "is not a regular file" in refusal(file(tmp_path / "fifo"))
        (tmp_path / "empty").write_text("\ns3cret\n")
        assert "the first line of" in refusal(file(tmp_path / "empty"))

    def test_a_file_that_others_can_read_is_a_warning(self, tmp_path: Path) -> None:
        path = tmp_path / "pw"
        path.write_text("s3cret")
        inv = inventory({"groups/web/password": {"file": str(path)}})
        for mode, said in ((0o600, []), (0o640, ["password-file-open"]), (0o604, ["password-file-open"])):
            path.chmod(mode)
            found, findings = resolve_all(inv)
            assert found["web"].reveal() == "s3cret"
            assert [one.rule for one in findings] == said
            assert stat.S_IMODE(path.stat().st_mode) == mode
        assert findings[0].severity is Severity.WARNING
        assert findings[0].remedy == f"chmod 600 {path}"


class TestCommand:
    def test_the_first_line_it_prints(self) -> None:
        assert resolve(command("printf 's3cret\\nmore\\n'; echo noise >&2")).reveal() == "s3cret"

    def test_it_runs_beside_the_inventory(self, tmp_path: Path) -> None:
        (tmp_path / "pw").write_text("s3cret")
        assert resolve(command("cat pw"), base_dir=tmp_path).reveal() == "s3cret"
        assert resolve(command("echo s3cret"), base_dir=tmp_path / "gone").reveal() == "s3cret"

    def test_its_own_words_are_never_shown(self) -> None:
        said = refusal(command("echo hunter2; echo hunter2 >&2; exit 3"))
        assert "left with status 3" in said
        assert "hunter2" not in said

    def test_a_signal_and_silence_are_told(self) -> None:
        assert "ended by signal 9" in refusal(command("kill -9 $$"))
        assert "printed nothing" in refusal(command("true"))

    def test_it_cannot_read_from_standard_input(self) -> None:
        assert "printed nothing" in refusal(command("cat"))

    @pytest.mark.parametrize("terminal", [False, True])
    def test_it_has_a_time_limit_and_is_ended(
        self, terminal: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(secrets, "_has_terminal", lambda: terminal)
        inv = inventory({"groups/web/password": {"command": f"echo $$ >{tmp_path}/pid; exec sleep 60"}})
        found, findings = resolve_all(inv, seconds=0.5)
        assert found == {}
        assert "took longer than 0.5 s" in findings[0].message
        pid = int((tmp_path / "pid").read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    def test_the_terminal_is_looked_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert secrets._has_terminal() in {True, False}
        monkeypatch.setattr(os, "open", lambda *_: os.dup(2))
        assert secrets._has_terminal() is True


def test_a_plain_password_is_itself() -> None:
    assert resolve(PasswordSource("plain", "s3cret", PLACE)).reveal() == "s3cret"


def test_all_groups_at_once_and_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB", "s3cret")
    monkeypatch.delenv("TWO", raising=False)
    two = {"vhid": 2, "password": {"env": "TWO"}, "addresses": ["192.0.2.11/24"], "members": ["b", "a"]}
    found, findings = resolve_all(inventory({"groups/two": two}))
    assert set(found) == {"web"}
    (one,) = findings
    assert (one.rule, one.group, one.severity) == ("password-unavailable", "two", Severity.ERROR)
    assert one.message == "no password for group two: the environment variable TWO is not set"
    assert one.place.line > 1
    assert one.remedy


def test_a_source_that_groups_share_is_asked_once(tmp_path: Path) -> None:
    line = {"command": f"echo x >>{tmp_path}/count; echo s3cret"}
    two = {"vhid": 2, "password": line, "addresses": ["192.0.2.11/24"], "members": ["b", "a"]}
    found, _ = resolve_all(inventory({"groups/web/password": line, "groups/two": two}))
    assert found["web"] == found["two"]
    assert (tmp_path / "count").read_text() == "x\n"


def test_become_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    become = {"method": "sudo", "password": {"env": "BECOME"}}
    inv = inventory({"hosts/a/become": become, "hosts/a/user": "admin"})
    monkeypatch.setenv("BECOME", "s3cret")
    found = resolve_become(inv, "a")
    assert found is not None
    assert found.reveal() == "s3cret"
    assert resolve_become(inv, "b") is None
    monkeypatch.delenv("BECOME")
    with pytest.raises(SecretError, match="no become password for a: the environment variable BECOME is not set"):
        resolve_become(inv, "a")


SOUND = inventory()


def check(password: str, change: Change | None = None) -> list[Finding]:
    inv: Inventory = inventory(change) if change else SOUND
    return list(check_passwords(inv, {"web": Secret(password)}))


def releases(one: str, other: str) -> Change:
    return {"hosts/a/os": one, "hosts/b/os": other, "defaults/ssh": "legacy"}


@pytest.mark.parametrize("password", ["a", "s3cret", "A.b_c", "x" * 19, "0"])
def test_good_passwords(password: str) -> None:
    assert check(password) == []


@pytest.mark.parametrize(
    ("password", "broken"),
    [
        ("", {"password-empty"}),
        ("x" * 20, {"password-length"}),
        ("é" * 10, {"password-length", "password-characters"}),
        ("pass word", {"password-characters"}),
        ('"$(reboot)"', {"password-characters"}),
        ("a\\b", {"password-characters"}),
        ("abc-def", {"password-hyphen"}),
        ("x-y", {"password-hyphen"}),
        ("inet", {"password-word"}),
        ("inet6", {"password-word"}),
        ("link", {"password-word"}),
        ("ether", {"password-word"}),
        ("pass word-is far too long", {"password-characters", "password-hyphen", "password-length"}),
    ],
)
def test_bad_passwords_break_these_rules(password: str, broken: set[str]) -> None:
    findings = check(password)
    assert {one.rule for one in findings} == broken
    assert all(one.remedy and one.group == "web" and one.place.line > 1 for one in findings)


def test_every_password_rule_has_a_case_here() -> None:
    rules = {rule.id for rule in REGISTRY.values() if rule.password_check is not None}
    assert rules == {f"password-{name}" for name in ("empty", "length", "characters", "hyphen", "word")}


def test_the_hyphen_is_explained_by_release() -> None:
    hang = "a (freebsd-14.2), b (freebsd-14.2) can hang at boot"
    assert hang in check("abc-def")[0].message
    assert "FreeBSD 9 and later" in check("x-y")[0].message
    assert "b (freebsd-9.3) can hang" in check("x-y", releases("freebsd-14.2", "freebsd-9.3"))[0].message
    assert "a (" not in check("x-y", releases("freebsd-14.2", "freebsd-9.3"))[0].message
    assert "FreeBSD 9 and later" in check("abc-def", releases("freebsd-7.2", "debian-12"))[0].message
    assert "FreeBSD 9 and later" in check("abc-def", {"hosts/a/os": ..., "hosts/b/os": ...})[0].message


def test_groups_without_a_password_are_passed_over() -> None:
    assert check_passwords(inventory(), {}) == ()


@settings(deadline=None)
@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Z"]), min_size=4, max_size=40))
def test_no_message_holds_the_password(password: str) -> None:
    fixed = " ".join(one.message + one.remedy for text in ("", "x" * 99, "é-", "ab-c", "inet") for one in check(text))
    if password in fixed:
        return
    assert not any(password in one.message + one.remedy for one in check(password))
