"""Logging in to a real sshd: which keys are tried, in which order, and what is said when none will do."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest
from odd_server import Odd, odd_server, odd_target
from sshd_peer import TIMEOUT, Sshd, StartSshd, TargetFor, keygen, needs_sshd

from bsdcarp.errors import SshError
from bsdcarp.ssh import SshTarget, connect, login

pytestmark = needs_sshd


def reach(target: SshTarget) -> None:
    with connect(target) as session:
        assert session.run(b"echo here\n", timeout=TIMEOUT).stdout == b"here\n"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """A running ssh-agent without keys; its socket."""
    path = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()  # printed once the socket is there
        yield path
        process.terminate()


def add(agent: Path, *keys: Path) -> None:
    for key in keys:
        askpass = key.parent / "askpass"
        askpass.write_text("#!/bin/sh\necho a passphrase\n")
        askpass.chmod(0o700)
        environ = {
            **os.environ,
            "SSH_AUTH_SOCK": str(agent),
            "SSH_ASKPASS": str(askpass),
            "SSH_ASKPASS_REQUIRE": "force",
        }
        subprocess.run(["ssh-add", "-q", str(key)], env=environ, check=True)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_every_kind_of_key_file_logs_in(shared_sshd: Sshd, target_for: TargetFor, keys: Path, kind: str) -> None:
    reach(target_for(shared_sshd, identity_files=(keys / f"user_{kind}",)))


@pytest.mark.parametrize("kind", ["ecdsa", "rsa"])
def test_keys_in_the_older_pem_form_log_in(
    start_sshd: StartSshd, target_for: TargetFor, tmp_path: Path, kind: str
) -> None:
    key = keygen(tmp_path / "pem", kind, "", "-m", "PEM")
    server = start_sshd(user_keys=tmp_path / "pem.pub")
    reach(target_for(server, identity_files=(key,)))
    (tmp_path / "pem").rename(tmp_path / "alone")
    reach(target_for(server, identity_files=(tmp_path / "alone",)))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa", "locked"])
def test_the_agent_logs_in(shared_sshd: Sshd, target_for: TargetFor, keys: Path, agent: Path, kind: str) -> None:
    add(agent, keys / f"user_{kind}")
    reach(target_for(shared_sshd, identity_files=(), identities_only=False, agent=str(agent)))


def test_an_encrypted_file_chooses_its_key_in_the_agent(
    start_sshd: StartSshd, target_for: TargetFor, keys: Path, agent: Path
) -> None:
    server = start_sshd("MaxAuthTries 1")
    add(agent, keys / "other_ed25519", keys / "user_locked")
    reach(target_for(server, identity_files=(keys / "user_locked",), agent=str(agent)))
    public_half = keys / "user_locked.pub"
    reach(target_for(server, identity_files=(public_half,), agent=str(agent)))


def test_a_named_file_comes_before_the_agents_other_keys(
    start_sshd: StartSshd, target_for: TargetFor, keys: Path, agent: Path
) -> None:
    server = start_sshd("MaxAuthTries 1")
    add(agent, keys / "other_ed25519")
    reach(target_for(server, identities_only=False, agent=str(agent)))


def test_keys_of_the_agent_are_offered_once(
    start_sshd: StartSshd, target_for: TargetFor, keys: Path, agent: Path
) -> None:
    server = start_sshd("MaxAuthTries 3")
    add(agent, keys / "other_ed25519", keys / "host_ecdsa", keys / "user_ed25519")
    files = (keys / "other_ed25519", keys / "host_ecdsa")
    reach(target_for(server, identity_files=files, identities_only=False, agent=str(agent)))


def test_usual_names_are_found_at_home(shared_sshd: Sshd, target_for: TargetFor, keys: Path, home: Path) -> None:
    target = target_for(shared_sshd, identity_files=())
    (home / ".ssh" / "id_rsa").write_bytes((keys / "user_rsa").read_bytes())
    reach(target)


def test_a_second_key_is_tried_when_the_first_is_refused(shared_sshd: Sshd, target_for: TargetFor, keys: Path) -> None:
    reach(target_for(shared_sshd, identity_files=(keys / "other_ed25519", keys / "user_ecdsa")))


def test_an_encrypted_key_without_agent_is_named(shared_sshd: Sshd, target_for: TargetFor, keys: Path) -> None:
    with pytest.raises(SshError) as caught:
        connect(target_for(shared_sshd, identity_files=(keys / "user_locked",)))
    assert f"{keys / 'user_locked'} is encrypted and not in the agent" in str(caught.value)
    assert "ssh-add" in caught.value.remedy


def test_an_encrypted_pem_key_is_named(shared_sshd: Sshd, target_for: TargetFor, tmp_path: Path) -> None:
    key = keygen(tmp_path / "pem", "rsa", "secret", "-m", "PEM")
    with pytest.raises(SshError, match="pem is encrypted and not in the agent"):
        connect(target_for(shared_sshd, identity_files=(key,)))


def test_refused_keys_are_listed(shared_sshd: Sshd, target_for: TargetFor, keys: Path) -> None:
    with pytest.raises(SshError) as caught:
        connect(target_for(shared_sshd, identity_files=(keys / "other_ed25519", keys / "missing")))
    assert f"refused {keys / 'other_ed25519'} for user" in caught.value.cause
    assert f"{keys / 'missing'}: No such file" in caught.value.cause
    assert "authorized_keys" in caught.value.remedy


def test_unusable_files_are_explained(shared_sshd: Sshd, target_for: TargetFor, keys: Path, tmp_path: Path) -> None:
    pkcs8 = keygen(tmp_path / "pkcs8", "ed25519")
    pem = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], capture_output=True, check=True).stdout
    pkcs8.write_bytes(pem)
    (tmp_path / "pkcs8.pub").unlink()
    (tmp_path / "empty").touch()
    header, *body, footer = (keys / "user_ecdsa").read_text().splitlines()
    (tmp_path / "cut").write_text("\n".join([header, body[0], footer]))
    (tmp_path / "damaged").write_text(f"{header}\nAAAA\n{footer}")
    names = ("pkcs8", "empty", "cut", "damaged")
    files = (*(tmp_path / name for name in names), keys / "user_rsa.pub")
    with pytest.raises(SshError) as caught:
        connect(target_for(shared_sshd, identity_files=files))
    for text in ("PKCS#8 are not supported", "empty: not a private key", "cut", "damaged: a damaged private key"):
        assert text in caught.value.cause
    assert "user_rsa.pub is a public key whose private half is not in the agent" in caught.value.cause
    assert "IdentityFile" in caught.value.remedy


def test_no_key_at_all_is_explained(shared_sshd: Sshd, target_for: TargetFor) -> None:
    with pytest.raises(SshError, match=r"was offered no key .*\(load a key with ssh-add"):
        connect(target_for(shared_sshd, identity_files=()))


def test_an_agent_that_is_not_there_is_noted_and_files_still_do(
    shared_sshd: Sshd, target_for: TargetFor, tmp_path: Path
) -> None:
    reach(target_for(shared_sshd, agent=str(tmp_path / "gone")))
    with pytest.raises(SshError, match=r"the agent at .*gone cannot be used: No such file"):
        connect(target_for(shared_sshd, agent=str(tmp_path / "gone"), identity_files=()))


def test_too_many_keys_end_in_advice(start_sshd: StartSshd, target_for: TargetFor, keys: Path, agent: Path) -> None:
    server = start_sshd("MaxAuthTries 1")
    add(agent, keys / "other_ed25519", keys / "host_rsa", keys / "host_ecdsa")
    with pytest.raises(SshError) as caught:
        connect(target_for(server, identity_files=(), identities_only=False, agent=str(agent)))
    assert "ended the connection when agent key" in caught.value.cause
    assert "IdentitiesOnly" in caught.value.remedy


def test_a_host_that_takes_no_keys_is_named(start_sshd: StartSshd, target_for: TargetFor) -> None:
    server = start_sshd("PubkeyAuthentication no", "PasswordAuthentication yes")
    with pytest.raises(SshError, match=r"takes no keys for user .*, only password"):
        connect(target_for(server))


def test_a_second_factor_is_named(start_sshd: StartSshd, target_for: TargetFor) -> None:
    server = start_sshd("AuthenticationMethods publickey,password", "PasswordAuthentication yes")
    with pytest.raises(SshError, match="wants password after the key"):
        connect(target_for(server))


def test_a_server_that_never_answers_a_key_is_given_up(
    known_hosts: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "AUTH_SECONDS", 0.3)

    class Slow(Odd):
        def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
            self.executed.wait(TIMEOUT)
            return paramiko.common.AUTH_FAILED

    slow = Slow()
    with odd_server(slow, keys / "host_ed25519") as port:
        target = odd_target(port, known_hosts, keys / "host_ed25519", keys / "user_ed25519")
        with pytest.raises(SshError, match=r"no answer to .*user_ed25519 within 0\.3 s"):
            connect(target)
        slow.executed.set()


def test_an_agent_that_refuses_to_sign_ends_the_connection(
    shared_sshd: Sshd, target_for: TargetFor, keys: Path, agent: Path
) -> None:
    add(agent, keys / "user_ed25519")
    # "confirm" without anything that could ask is a refusal.
    environ = {**os.environ, "SSH_AUTH_SOCK": str(agent)}
    subprocess.run(["ssh-add", "-q", "-D"], env=environ, check=True, capture_output=True)
    subprocess.run(["ssh-add", "-q", "-c", str(keys / "user_ed25519")], env=environ, check=True, capture_output=True)
    target = target_for(shared_sshd, identity_files=(), identities_only=False, agent=str(agent))
    with pytest.raises(SshError, match=r"ended the connection when agent key .* was offered: key cannot be used"):
        connect(target)


def test_the_same_key_is_read_once_for_all_hosts(shared_sshd: Sshd, target_for: TargetFor, keys: Path) -> None:
    target = target_for(shared_sshd)
    reach(target)
    hits = login._load.cache_info().hits
    reach(replace(target, name="server2"))
    assert login._load.cache_info().hits == hits + 1
