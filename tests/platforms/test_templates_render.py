"""The templates against the editors and against sh: every release, every kind of file, with no host at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from desired_hosts import KERNCONF, LOADER, PASSWORD, RC, SYSCTL, desired, group, inventory, texts
from jinja2 import UndefinedError

from bsdcarp.errors import BsdcarpError
from bsdcarp.model import Secret
from bsdcarp.platforms.capabilities import ERAS
from bsdcarp.platforms.desire import desire
from bsdcarp.platforms.templates import rcquote, render
from bsdcarp.platforms.write import write_tree
from bsdcarp.textfiles.kernconf import KernConf
from bsdcarp.textfiles.loaderconf import LoaderConf
from bsdcarp.textfiles.rcconf import RcConf
from bsdcarp.textfiles.sysctlconf import SysctlConf

RELEASES = [f"{major}.{minor}" for (major, minor), _ in ERAS]


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_renders_files_that_all_readers_take(release: str) -> None:
    six = [] if int(release.split(".", maxsplit=1)[0]) < 9 else ["2001:db8::10/64", "2001:db8::11/64"]
    groups = {"web": group(1, "192.0.2.10/24", "192.0.2.11/24", *six, advbase=2), "db": group(2, "192.0.2.20/24")}
    found = texts(desired(release, groups))
    rc = RcConf.parse(found[RC] or "")
    assert not rc.problems
    assert rc.assignments
    assert not SysctlConf.parse(found[SYSCTL] or "").odd
    for name in {LOADER} & set(found):
        assert not LoaderConf.parse(found[name] or "").problems
    if KERNCONF in found:
        assert KernConf.parse(found[KERNCONF] or "").has_device("carp")
    assert (LOADER in found) != (KERNCONF in found)
    done = subprocess.run(["/bin/sh", "-n"], input=found[RC], text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_alias_line_repeats_the_peers() -> None:
    members = [{"host": "a", "peer": "192.0.2.3", "peer6": "2001:db8::3"}, {"host": "b", "peer": "192.0.2.2"}]
    groups = {"web": {**group(1, "192.0.2.10/24", "192.0.2.11/24", "2001:db8::10/64"), "members": members}}
    lines = [line for line in (texts(desired("14.2", groups))[RC] or "").splitlines() if "_alias" in line]
    assert len(lines) == 3
    assert all(" peer 192.0.2.3 peer6 2001:db8::3 " in line for line in lines)


@pytest.mark.parametrize("value", ["a b", '"$x`y`\\', "'", "\\\\n"])
def test_quoting_is_read_back_by_sh_unchanged(value: str) -> None:
    script = f'x={rcquote(value)}; printf %s "$x"'
    assert subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True).stdout == value


def test_what_is_undefined_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("freebsd/kernel.j2", ident="CARP")


def test_a_tree_keeps_passwords_to_their_owner(tmp_path: Path) -> None:
    paths = write_tree(desired("14.2", {"web": group(1, "192.0.2.10/24")}), tmp_path)
    modes = {str(path.relative_to(tmp_path)): path.stat().st_mode & 0o777 for path in paths}
    assert modes == {"a/etc/rc.conf": 0o600, "a/etc/sysctl.conf": 0o644, "a/boot/loader.conf": 0o644}
    assert PASSWORD in (tmp_path / "a/etc/rc.conf").read_text()
    (tmp_path / "file").write_text("")
    with pytest.raises(BsdcarpError, match="cannot write"):
        write_tree(desired("14.2", {"web": group(1, "192.0.2.10/24")}), tmp_path / "file")


def test_without_os_and_host_there_is_nothing_to_render() -> None:
    plan = inventory("14.2", {"web": group(1, "192.0.2.10/24")}, {"os": None})
    with pytest.raises(BsdcarpError, match="release is unknown"):
        desire(plan, plan.hosts["a"], {"web": Secret("x")}, None)
