"""What a key file tells without its passphrase."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sshd_peer import keygen, public

from bsdcarp.ssh.keyfiles import KeyFile, inspect

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH's ssh-keygen is not installed")


@pytest.mark.parametrize("passphrase", ["", "secret"])
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_openssh_files_tell_the_public_half(tmp_path: Path, kind: str, passphrase: str) -> None:
    key = keygen(tmp_path / "key", kind, passphrase)
    key_type, blob = public(key)
    assert inspect(key) == KeyFile(key, key_type, base64.b64decode(blob), encrypted=bool(passphrase))
    assert inspect(tmp_path / "key.pub").public_only


@pytest.mark.parametrize("passphrase", ["", "secret"])
def test_pem_files_need_the_public_file_beside_them(tmp_path: Path, passphrase: str) -> None:
    key = keygen(tmp_path / "key", "ecdsa", passphrase, "-m", "PEM")
    key_type, blob = public(key)
    assert inspect(key) == KeyFile(key, key_type, base64.b64decode(blob), encrypted=bool(passphrase))
    (tmp_path / "key.pub").write_text("ssh-ed25519 nonsense\n")
    assert inspect(key) == KeyFile(key, "ecdsa", None, encrypted=bool(passphrase))
    (tmp_path / "key.pub").unlink()
    assert inspect(key) == KeyFile(key, "ecdsa", None, encrypted=bool(passphrase))


def test_an_encrypted_pkcs8_file_is_seen_as_encrypted(tmp_path: Path) -> None:
    key = keygen(tmp_path / "key", "ecdsa", "secret", "-m", "PKCS8")
    assert inspect(key).encrypted


def test_what_is_no_key_is_explained(tmp_path: Path) -> None:
    assert "No such file" in inspect(tmp_path / "absent").problem
    assert inspect(tmp_path).problem == "Is a directory"
    (tmp_path / "text").write_text("hello")
    assert inspect(tmp_path / "text").problem == "not a private key"


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), magic=st.booleans())
def test_damaged_files_never_break_it(home: Path, body: bytes, magic: bool) -> None:
    data = (b"openssh-key-v1\0" if magic else b"") + body
    path = home / "key"
    path.write_bytes(
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64.encodebytes(data) + b"-----END OPENSSH PRIVATE KEY-----\n"
    )
    found = inspect(path)
    assert found.problem or found.blob is not None


def test_real_keys_cut_anywhere_never_break_it(tmp_path: Path) -> None:
    lines = keygen(tmp_path / "key").read_bytes().splitlines(keepends=True)
    data = base64.b64decode(b"".join(lines[1:-1]))
    for length in range(0, len(data), 7):
        (tmp_path / "cut").write_bytes(lines[0] + base64.encodebytes(data[:length]) + lines[-1])
        inspect(tmp_path / "cut")
    assert subprocess.run(["ssh-keygen", "-yf", str(tmp_path / "key")], capture_output=True, check=True).stdout
