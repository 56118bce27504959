"""The verbs that reach no host."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bsdcarp import __version__
from bsdcarp.cli.app import application
from bsdcarp.textfiles.rcconf import RcConf

EXAMPLE = str(Path(__file__).parents[2] / "inventory.example.yml")
VARIABLES = ("CARP1_PASSWORD", "CARP2_PASSWORD", "OUTSIDE_PASSWORD", "INSIDE_PASSWORD", "WEB_PASSWORD")


@pytest.fixture(autouse=True)
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, f"{name.lower().partition('_')[0]}Secret1")


def call(*arguments: str) -> int:
    """Run the command line in this process and return its exit status."""
    try:
        application()(list(arguments))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--version") == 0
    assert capsys.readouterr().out == f"bsdcarp {__version__}\n"


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    shown = capsys.readouterr().out
    for verb in ("validate", "render", "diff", "apply", "verify", "persist", "status", "reboot", "schema", "genpass",
                 "lab", "demo"):  # fmt: skip
        assert re.search(rf"^  {verb} ", shown, re.MULTILINE), verb


def test_the_example_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("validate", EXAMPLE) == 0
    assert "6 hosts, 5 groups: nothing to complain about" in capsys.readouterr().out


def test_validate_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert call("validate", EXAMPLE, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"verb": "validate", "valid": True, "findings": []}
    bad = tmp_path / "bad.yml"
    bad.write_text("version: 1\nhosts: {}\nnonsense: 1\n")
    assert call("validate", str(bad), "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["valid"] is False
    assert document["findings"][0]["line"] == 3


def test_render_writes_what_every_host_needs_and_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("render", EXAMPLE, "--out", str(tmp_path)) == 0
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    kernels = {f"server{n}/usr/src/sys/amd64/conf/CARP" for n in (1, 2)}
    assert {name for name in written if "/usr/src/" in name} == kernels
    assert {name for name in written if name.endswith("loader.conf")} == {
        f"{h}/boot/loader.conf" for h in ("fw1", "fw2", "web1")
    }
    assert {name for name in written if name.startswith("web2/")} == {
        "web2/etc/bsdcarp/carpd.json",
        "web2/etc/sysctl.d/90-bsdcarp.conf",
        "web2/etc/systemd/system/bsdcarp-carpd.service",
        "web2/usr/local/lib/bsdcarp/carpd.pyz",
    }
    rc = RcConf.parse((tmp_path / "server1/etc/rc.conf").read_text())
    assert rc.get("cloned_interfaces") == "carp1 carp2"
    assert rc.get("ifconfig_carp1") == "vhid 1 advskew 0 pass carp1Secret1 192.168.90.1/24"
    assert rc.get("ifconfig_carp2") == "vhid 2 advskew 100 pass carp2Secret1 192.168.90.1/24"
    kernel = (tmp_path / "server1/usr/src/sys/amd64/conf/CARP").read_text()
    assert re.search(r"^include\s+GENERIC$", kernel, re.MULTILINE)
    assert re.search(r"^ident\s+CARP$", kernel, re.MULTILINE)
    assert re.search(r"^device\s+carp$", kernel, re.MULTILINE)
    sysctl = (tmp_path / "server1/etc/sysctl.conf").read_text().splitlines()
    assert sysctl == [f"net.inet.carp.{leaf}=1" for leaf in ("allow", "preempt", "log", "arpbalance")]
    assert "arpbalance" not in (tmp_path / "fw1/etc/sysctl.conf").read_text()
    fw1 = RcConf.parse((tmp_path / "fw1/etc/rc.conf").read_text())
    assert [a.name for a in fw1.assignments] == [
        "ifconfig_vlan10_ipv6", "ifconfig_vlan10_alias0", "ifconfig_vlan10_alias1", "ifconfig_vlan10_alias2",
        "ifconfig_em0_20_alias0"]  # fmt: skip
    assert fw1.get("ifconfig_em0_20_alias0") == "inet vhid 20 advskew 0 pass insideSecret1 alias 198.51.100.1/24"
    assert (tmp_path / "fw1/etc/rc.conf").stat().st_mode & 0o077 == 0
    carpd = json.loads((tmp_path / "web2/etc/bsdcarp/carpd.json").read_text())
    assert carpd["vhids"][0]["addresses"] == ["192.0.2.10/24"]
    assert carpd["vhids"][0]["password"] == "webSecret1"
    assert "Secret1" not in capsys.readouterr().out


def test_render_of_one_host_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("render", EXAMPLE, "--out", str(tmp_path), "--host", "web1", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert {Path(p).parts[len(tmp_path.parts)] for p in document["files"]} == {"web1"}


def test_schema_is_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("schema") == 0
    assert json.loads(capsys.readouterr().out)["$schema"].endswith("2020-12/schema")


def test_genpass_makes_passwords_that_every_release_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("genpass", "--count", "50") == 0
    made = capsys.readouterr().out.split()
    assert len(set(made)) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9]{19}", password) for password in made)
