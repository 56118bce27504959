"""known_hosts lines, compared with what ssh-keygen -F finds in the same file."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bsdcarp.errors import SshError
from bsdcarp.ssh.knownhosts import append, fingerprint, host_name, known_keys

KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIHSAfzUbLwTTSa8E2FERyVcGQYLTxz5sJ+kfCpgdFbtX"
BLOB = base64.b64decode(KEY)


def test_names_carry_the_port_unless_it_is_22() -> None:
    assert host_name("Server1.Example", 22) == "server1.example"
    assert host_name("fd00::1", 2222) == "[fd00::1]:2222"


def test_fingerprints_look_like_ssh_keygens() -> None:
    assert fingerprint(b"") == "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"


def test_lines_with_markers_comments_and_blanks(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(
        f"# comment\n\nhost,other ssh-ed25519 {KEY} a comment\n"
        f"@revoked\thost\tssh-ed25519\t{KEY}\n@cert-authority *.example,host ssh-ed25519 {KEY}\n"
        f"host ssh-ed25519\nhost ssh-ed25519 not/base64!\n|1|bad ssh-ed25519 {KEY}\n|1|a|b ssh-ed25519 {KEY}\n"
        f"@revoked\nnobody ssh-ed25519 {KEY}\n"
    )
    found = known_keys([path, tmp_path / "absent"], "host")
    assert [(key.marker, key.place.rpartition(":")[2]) for key in found] == [
        ("", "3"),
        ("@revoked", "4"),
        ("@cert-authority", "5"),
    ]
    assert {key.blob for key in found} == {BLOB}


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH's ssh-keygen is not installed")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["web", "web.example", "10.0.0.1", "[10.0.0.1]:2222"]),
    fields=st.lists(
        st.lists(
            st.sampled_from(
                ["web", "*", "w?b", "*.example", "!web.example", "10.0.0.?", "[10.0.0.1]:2222", "[*]:2222"]
            ),
            min_size=1,
            max_size=3,
        ).map(",".join),
        min_size=1,
        max_size=4,
    ),
    hashed=st.booleans(),
)
def test_ssh_keygen_finds_the_same_lines(home: Path, name: str, fields: list[str], hashed: bool) -> None:
    path = home / "known_hosts"
    path.write_text("".join(f"{field} ssh-ed25519 {KEY}\n" for field in fields))
    if hashed:
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], capture_output=True, check=False)
    done = subprocess.run(["ssh-keygen", "-F", name, "-f", str(path)], capture_output=True, text=True, check=False)
    theirs = re.findall(r"^# Host .* found: line (\d+)", done.stdout, re.MULTILINE)
    assert [key.place.rpartition(":")[2] for key in known_keys([path], name)] == theirs


def test_appending_the_same_key_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ssh" / "known_hosts"
    append(path, "host", "ssh-ed25519", BLOB)
    append(path, "host", "ssh-ed25519", BLOB)
    assert path.read_text() == f"host ssh-ed25519 {KEY}\n"


def test_a_different_key_written_meanwhile_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    append(path, "host", "ssh-ed25519", BLOB)
    with pytest.raises(
        SshError, match=rf"{path}:1: two hosts answer as host: one presents {fingerprint(b'other')[:20]}"
    ):
        append(path, "host", "ssh-ed25519", b"other")
    append(path, "host", "ssh-rsa", b"other")
    assert len(path.read_text().splitlines()) == 2
