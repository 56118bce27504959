from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bsdcarp.carpd.errors import Busy, CarpdError
from bsdcarp.carpd.journal import Journal, Recorded, Setting, parse

PATH = "net/ipv4/conf/eth0.5/arp_ignore"
RECORDED = Recorded(1, "eth0", 3, "carp1.3", ("192.0.2.1", "2001:db8::1"), virtual_mac=True)


def test_what_was_noted_is_there_after_a_crash(tmp_path: Path) -> None:
    first = Journal(tmp_path / "journal.json")
    first.acquire()
    first.set(PATH, Setting("0", "1"))
    first.note("1@eth0", RECORDED)
    first._unlock()  # as the kernel does it for a process that was killed
    second = Journal(tmp_path / "journal.json")
    second.acquire()
    assert (second.settings, second.presences) == ({PATH: Setting("0", "1")}, {"1@eth0": RECORDED})
    second.close()
    assert (tmp_path / "journal.json").exists()


def test_the_file_is_for_root_only_and_gone_when_all_is_undone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.json")
    journal.acquire()
    journal.set(PATH, Setting("0", "1"))
    assert (tmp_path / "journal.json").stat().st_mode & 0o777 == 0o600
    journal.set(PATH, None)
    journal.set(PATH, None)
    journal.note("1@eth0", None)
    journal.close()
    assert not (tmp_path / "journal.json").exists()
    journal.close()


def test_what_is_noted_already_is_not_written_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.json")
    journal.note("1@eth0", RECORDED)
    (tmp_path / "journal.json").unlink()
    journal.note("1@eth0", RECORDED)
    assert not (tmp_path / "journal.json").exists()


def test_a_second_carpd_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    first = Journal(tmp_path / "journal.json")
    first.acquire()
    program = (
        "import sys; from pathlib import Path; from bsdcarp.carpd.journal import Journal; from bsdcarp.carpd.errors import Busy\n"
        "try:\n    Journal(Path(sys.argv[1])).acquire()\nexcept Busy as error:\n    print(error)\n"
    )
    path = str(tmp_path / "journal.json")
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{tmp_path}: another carpd is running (stop it first, or use carpd ctl)"
    with pytest.raises(Busy):
        Journal(tmp_path / "journal.json").acquire()
    first.close()
    again = Journal(tmp_path / "journal.json")
    again.acquire()
    again.close()


def test_a_directory_that_is_not_there_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(CarpdError, match="cannot be locked: No such file"):
        Journal(tmp_path / "nowhere/journal.json").acquire()
    with pytest.raises(CarpdError, match="cannot be written: No such file"):
        Journal(tmp_path / "nowhere/journal.json").note("1@eth0", RECORDED)


def test_a_journal_that_cannot_be_read_is_an_error_and_the_lock_is_free(tmp_path: Path) -> None:
    (tmp_path / "journal.json").mkdir()
    with pytest.raises(CarpdError, match="cannot be read"):
        Journal(tmp_path / "journal.json").acquire()
    (tmp_path / "journal.json").rmdir()
    again = Journal(tmp_path / "journal.json")
    again.acquire()
    again.close()


def test_the_lock_is_not_taken_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / "journal.json.lock").symlink_to(tmp_path / "target")
    with pytest.raises(CarpdError, match="cannot be locked"):
        Journal(tmp_path / "journal.json").acquire()


def test_a_full_disk_is_an_error_and_the_old_file_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "journal.json")
    journal.set(PATH, Setting("0", "1"))
    before = (tmp_path / "journal.json").read_text()

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(CarpdError, match="No space left"):
        journal.note("1@eth0", RECORDED)
    assert (tmp_path / "journal.json").read_text() == before


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
entry = st.fixed_dictionaries(
    {},
    optional={
        "vhid": json_values,
        "interface": json_values,
        "parent": json_values,
        "device": json_values,
        "addresses": json_values | st.lists(st.sampled_from(["192.0.2.1", "::1", "x", 5])),
        "virtual_mac": json_values,
        "was": json_values,
        "now": json_values,
    },
)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("utf-8", "replace")))
def test_no_text_makes_it_fail(text: str) -> None:
    assert parse(text) == ({}, {})


@given(
    json_values
    | st.dictionaries(st.sampled_from([PATH, "net/ipv4/conf/../x", "kernel/core_pattern"]), entry | json_values),
    json_values | st.dictionaries(st.text(max_size=5), entry | json_values),
)
def test_no_document_makes_it_fail_or_restores_foreign_files(sysctls: object, presences: object) -> None:
    settings, recorded = parse(json.dumps({"version": 1, "sysctls": sysctls, "presences": presences}))
    assert set(settings) <= {PATH} or all(path.startswith("net/ipv") for path in settings)
    assert all(isinstance(each, Recorded) for each in recorded.values())


@pytest.mark.parametrize(
    "path",
    [
        "kernel/core_pattern",
        "/etc/passwd",
        "net/ipv4/conf/../../../kernel/core_pattern",
        "net/ipv4/conf/../ip_forward",
        "net/ipv4/ip_forward",
    ],
)
def test_only_settings_of_interfaces_are_restored(path: str) -> None:
    assert parse(json.dumps({"version": 1, "sysctls": {path: {"was": "0", "now": "1"}}})) == ({}, {})


@pytest.mark.parametrize(
    "text", ['{"version": 2}', "[]", "null", "[" * 100_000, '{"version": 1, "sysctls": 5, "presences": []}']
)
def test_a_damaged_or_foreign_journal_is_empty(text: str) -> None:
    assert parse(text) == ({}, {})
