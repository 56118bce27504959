"""Is it the host it claims to be: strict, accept-new, changed and revoked keys, against a real sshd."""

from __future__ import annotations

import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sshd_peer import TIMEOUT, Sshd, StartSshd, TargetFor, needs_sshd, public

from bsdcarp.errors import SshError
from bsdcarp.ssh import connect
from bsdcarp.ssh.target import SshTarget

pytestmark = needs_sshd


def reach(target: SshTarget) -> None:
    with connect(target) as session:
        assert session.run(b"echo here\n", timeout=TIMEOUT).stdout == b"here\n"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


def fingerprint(key: Path) -> str:
    return subprocess.run(["ssh-keygen", "-lf", str(key)], capture_output=True, check=True).stdout.split()[1].decode()


def test_an_unknown_key_is_refused_with_its_fingerprint(shared_sshd: Sshd, target_for: TargetFor) -> None:
    with pytest.raises(SshError) as caught:
        connect(target_for(shared_sshd, known=False))
    assert fingerprint(shared_sshd.host_keys[0]) in str(caught.value)
    assert "is not known" in caught.value.cause
    assert "--accept-new" in caught.value.remedy
    assert caught.value.exit_code == 5


def test_accept_new_writes_the_key_down_once(shared_sshd: Sshd, target_for: TargetFor, known_hosts: Path) -> None:
    target = target_for(shared_sshd, known=False, strict="accept-new")
    reach(target)
    reach(target)
    assert known_hosts.read_text() == shared_sshd.known_line()
    assert stat.S_IMODE(known_hosts.stat().st_mode) == 0o600
    assert stat.S_IMODE(known_hosts.parent.stat().st_mode) == 0o700
    reach(target_for(shared_sshd, known=False, strict="yes"))


def test_accept_new_keeps_what_is_there_even_without_a_last_line_end(
    shared_sshd: Sshd, target_for: TargetFor, known_hosts: Path
) -> None:
    write(known_hosts, "# mine\nother ssh-ed25519 AAAA")
    reach(target_for(shared_sshd, known=False, strict="accept-new"))
    assert known_hosts.read_text() == "# mine\nother ssh-ed25519 AAAA\n" + shared_sshd.known_line()


def test_twenty_hosts_accepted_at_once_give_whole_lines(
    shared_sshd: Sshd, target_for: TargetFor, known_hosts: Path
) -> None:
    targets = [
        target_for(shared_sshd, known=False, strict="accept-new", host_key_alias=f"host{number}")
        for number in range(20)
    ]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(reach, targets))
    assert sorted(known_hosts.read_text().splitlines(keepends=True)) == sorted(
        shared_sshd.known_line(f"host{number}") for number in range(20)
    )


@pytest.mark.parametrize("strict", ["yes", "accept-new"])
def test_a_changed_key_is_always_refused(
    shared_sshd: Sshd, target_for: TargetFor, known_hosts: Path, keys: Path, strict: str
) -> None:
    name = f"[127.0.0.1]:{shared_sshd.port}"
    write(known_hosts, f"# first line\n{name} {' '.join(public(keys / 'other_ed25519'))}\n")
    with pytest.raises(SshError) as caught:
        connect(target_for(shared_sshd, known=False, strict=strict))
    text = str(caught.value)
    assert "the host key has CHANGED" in text
    assert fingerprint(keys / "other_ed25519") in text
    assert fingerprint(shared_sshd.host_keys[0]) in text
    assert f"{known_hosts}:2" in text
    assert f"ssh-keygen -R '{name}' -f {known_hosts}" in text


def test_a_key_of_another_type_than_the_known_one_is_refused_even_by_accept_new(
    shared_sshd: Sshd, target_for: TargetFor, known_hosts: Path, keys: Path
) -> None:
    write(known_hosts, f"[127.0.0.1]:{shared_sshd.port} {' '.join(public(keys / 'host_ecdsa'))}\n")
    with pytest.raises(SshError, match="is of another type than the known one: known is ecdsa-sha2-nistp256"):
        connect(target_for(shared_sshd, known=False, strict="accept-new"))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_the_key_type_already_known_is_asked_for(
    start_sshd: StartSshd, target_for: TargetFor, known_hosts: Path, kind: str
) -> None:
    kinds = ("ed25519", "ecdsa", "rsa")
    server = start_sshd(host_keys=kinds)
    write(known_hosts, server.known_line(key=kinds.index(kind)))
    reach(target_for(server, known=False))


@pytest.mark.parametrize("names", ["[127.0.0.1]:{port}", "127.0.0.1", "[127.0.0.*]:{port}", "*"])
def test_a_revoked_key_is_refused_although_it_is_known(
    shared_sshd: Sshd, target_for: TargetFor, known_hosts: Path, names: str
) -> None:
    write(
        known_hosts,
        shared_sshd.known_line() + "@revoked " + shared_sshd.known_line(names.format(port=shared_sshd.port)),
    )
    with pytest.raises(SshError, match=rf"revoked ssh-ed25519 key, SHA256:.*{known_hosts}:2"):
        connect(target_for(shared_sshd, known=False, strict="accept-new"))


def test_hashed_names_are_found(shared_sshd: Sshd, target_for: TargetFor, known_hosts: Path) -> None:
    write(known_hosts, shared_sshd.known_line())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(known_hosts)], check=True, capture_output=True)
    assert known_hosts.read_text().startswith("|1|")
    reach(target_for(shared_sshd, known=False))


@pytest.mark.parametrize("name", ["127.0.0.1", "127.0.0.?", "!10.*,127.*"])
def test_a_key_known_without_the_port_will_do(
    shared_sshd: Sshd, target_for: TargetFor, known_hosts: Path, name: str
) -> None:
    write(known_hosts, shared_sshd.known_line(name))
    reach(target_for(shared_sshd, known=False))


def test_another_key_known_without_the_port_makes_the_host_unknown_not_changed(
    shared_sshd: Sshd, target_for: TargetFor, known_hosts: Path, keys: Path
) -> None:
    write(known_hosts, f"127.0.0.1 {' '.join(public(keys / 'other_ed25519'))}\n")
    with pytest.raises(SshError, match="is not known"):
        connect(target_for(shared_sshd, known=False))


def test_an_alias_takes_the_place_of_name_and_port(shared_sshd: Sshd, target_for: TargetFor, known_hosts: Path) -> None:
    write(known_hosts, shared_sshd.known_line("Server1.Example"))
    reach(target_for(shared_sshd, known=False, host_key_alias="server1.example"))
    with pytest.raises(SshError, match="of other is not known"):
        connect(target_for(shared_sshd, known=False, host_key_alias="other"))


def test_a_certificate_authority_is_named_as_not_supported(
    shared_sshd: Sshd, target_for: TargetFor, known_hosts: Path, keys: Path
) -> None:
    write(known_hosts, f"@cert-authority [127.0.0.1]:* {' '.join(public(keys / 'other_ed25519'))}\n")
    with pytest.raises(SshError, match=rf"host certificates \(@cert-authority, {known_hosts}:1\) are not supported"):
        connect(target_for(shared_sshd, known=False))


def test_the_system_wide_file_counts_and_is_not_written(
    shared_sshd: Sshd, target_for: TargetFor, known_hosts: Path, tmp_path: Path
) -> None:
    system = tmp_path / "ssh_known_hosts"
    system.write_text(shared_sshd.known_line())
    reach(target_for(shared_sshd, known=False, strict="accept-new", known_hosts_files=(known_hosts, system)))
    assert not known_hosts.exists()
    system.write_text("")
    with pytest.raises(SshError, match="no file to write the new host key to"):
        connect(
            target_for(shared_sshd, known=False, strict="accept-new", known_hosts_files=(system,), new_keys_file=None)
        )


def test_a_file_that_cannot_be_read_or_written_is_named(
    shared_sshd: Sshd, target_for: TargetFor, tmp_path: Path
) -> None:
    with pytest.raises(SshError, match=rf"{tmp_path}: cannot be read: Is a directory"):
        connect(target_for(shared_sshd, known=False, known_hosts_files=(tmp_path,)))
    (tmp_path / "file").touch()
    unwritable = tmp_path / "file" / "known_hosts"
    with pytest.raises(SshError, match=rf"{unwritable}: a new host key cannot be written: "):
        connect(target_for(shared_sshd, known=False, strict="accept-new", new_keys_file=unwritable))
