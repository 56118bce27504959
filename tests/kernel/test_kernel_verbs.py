"""kernel render, status, build and install, as an operator sees them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from kernel_lab import KernelLab, kernel_lab, pair

from bsdcarp.kernels import Place, trial_script

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def start(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., KernelLab]]:
    with ExitStack() as stack:

        def begin(release: str = "12.1", method: str = "static", text: str = "") -> KernelLab:
            keys = tmp_path_factory.getbasetemp() / "keys"
            keys.mkdir(exist_ok=True)
            return stack.enter_context(kernel_lab(tmp_path, text or pair(release, method), keys))

        yield begin


@pytest.mark.parametrize("release", ["12.1", "14.2", "9.3"])
def test_a_kernel_is_built_installed_tried_and_made_the_default(start: Callable[..., KernelLab], release: str) -> None:
    bench = start(release)
    bench.ready()
    result = bench.kernel("install")
    assert result.row[0] == "changed", result
    assert "/boot/kernel.CARP was tried" in result.row[1]
    machine = bench.machine
    assert 'kernel="kernel.CARP"' in (machine.read("/boot/loader.conf") or "")
    assert "carp_load" not in (machine.read("/boot/loader.conf") or "")
    assert not machine.tree.exists("/boot/kernel.CARP/carp.ko")
    assert machine.tree.exists("/boot/kernel/kernel")
    assert bench.run("verify").status == 0
    assert bench.run("persist").status == 0
    assert bench.kernel("status").document["hosts"]["a"]["step"]["name"] == "nothing"
    # Up to date: nothing is built, installed or booted again.
    generation = machine.generation
    assert bench.kernel("build").row[0] == "unchanged"
    assert bench.kernel("install").row[0] == "unchanged"
    assert machine.generation == generation
    assert bench.run("diff").status == 0
    bench.reboot()
    assert machine.alive
    assert machine.kernel.linker.find_module("carp") is not None


def test_where_only_a_kernel_can_carp_auto_is_static(start: Callable[..., KernelLab]) -> None:
    bench = start("7.2", "auto")
    bench.without_carp()
    shown = bench.kernel("status").document["hosts"]["a"]
    assert shown["method"]["name"] == "static"
    assert "only compiled in" in shown["method"]["why"]
    assert shown["step"]["name"] == "build"
    bench.ready()
    assert bench.kernel("install").row[0] == "changed"
    assert bench.run("verify").status == 0


@pytest.mark.parametrize(("release", "variable"), [("9.3", "if_carp_load"), ("12.1", "carp_load")])
def test_auto_prefers_the_module_and_says_why(start: Callable[..., KernelLab], release: str, variable: str) -> None:
    bench = start(release, "auto")
    shown = bench.kernel("status").document["hosts"]["a"]
    assert shown["method"]["name"] == "module"
    assert variable in shown["method"]["why"]
    assert "nothing has to be built" in bench.kernel("build").row[1]
    assert bench.kernel("install").row[0] == "changed"
    assert f'{variable}="YES"' in (bench.machine.read("/boot/loader.conf") or "")
    assert bench.machine.kernel.linker.find_module("carp") is not None
    shown = bench.kernel("status").document["hosts"]["a"]
    assert shown["next_boot"]["carp"] == "loader.conf"
    assert shown["next_boot"]["where"].startswith("/boot/loader.conf:")
    assert bench.kernel("install").row[0] == "unchanged"
    # What it wrote is bsdcarp's own, for apply to keep or to take away.
    assert f"line /boot/loader.conf {variable}" in (bench.machine.read("/var/db/bsdcarp/record") or "")


def test_where_carp_comes_from_is_told(start: Callable[..., KernelLab]) -> None:
    bench = start("12.1", "auto")
    bench.machine.tree.append("/etc/rc.conf", 'kld_list="carp"\n')
    bench.reboot()
    shown = bench.kernel("status").document["hosts"]["a"]
    assert shown["running"]["carp"] == "module"
    assert shown["next_boot"]["carp"] == "kld_list"
    assert "/etc/rc.conf:" in shown["next_boot"]["where"]
    text = bench.run("kernel", "status").out
    assert "kld_list" in text
    assert "/boot/kernel: no carp compiled in, carp.ko beside it" in text


def test_a_module_that_securelevel_keeps_out_comes_with_the_next_boot(start: Callable[..., KernelLab]) -> None:
    bench = start("12.1", "auto")
    bench.machine.kernel.securelevel = 1
    result = bench.kernel("install")
    assert result.row[0] == "changed", result
    assert "kern.securelevel 1 forbids" in result.row[1]
    assert "reboot" in result.row[1]
    assert bench.machine.kernel.linker.find_module("carp") is None
    bench.reboot()
    assert bench.machine.kernel.linker.find_module("carp") is not None


def test_render_prints_the_configuration_alone(start: Callable[..., KernelLab]) -> None:
    bench = start()
    out = _render(bench)
    assert "include\t\tGENERIC\n" in out
    assert "ident\t\tCARP\n" in out
    assert "device\t\tcarp\n" in out


def _render(bench: KernelLab) -> str:
    import io
    from contextlib import redirect_stdout

    from bsdcarp.cli.app import application

    out = io.StringIO()
    with redirect_stdout(out):
        application()(["kernel", "render", str(bench.path)], standalone_mode=False)
    return out.getvalue()


def test_a_build_outlives_its_session_and_is_found_again(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.machine.compiler.pause = 0.1
    assert bench.kernel("build", "--no-wait").row[0] == "building"
    again = bench.kernel("build", "--no-wait")
    assert again.row == ("building", "it was under way already; it goes on without this session")
    shown = bench.kernel("status").document["hosts"]["a"]["build"]
    assert shown["state"] == "running"
    assert shown["stage"].startswith("stage ")
    bench.machine.compiler.pause = 0.0
    followed = bench.kernel("build")
    assert followed.row[0] == "built", followed
    assert bench.kernel("status").document["hosts"]["a"]["build"]["current"] is True
    # The configuration is bsdcarp's own file.
    assert "file /usr/src/sys/amd64/conf/CARP" not in (bench.machine.read("/var/db/bsdcarp/record") or "x")


def test_a_build_that_a_restart_cut_off_is_begun_again(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.machine.compiler.pause = 0.2
    bench.kernel("build", "--no-wait")
    bench.reboot()
    assert bench.kernel("status").document["hosts"]["a"]["build"]["state"] == "interrupted"
    bench.machine.compiler.pause = 0.0
    assert bench.kernel("build").row[0] == "built"


def test_changed_sources_are_built_anew(start: Callable[..., KernelLab]) -> None:
    bench = start()
    assert bench.kernel("build").row[0] == "built"
    assert bench.kernel("status").document["hosts"]["a"]["step"]["name"] == "install"
    bench.machine.tree.write("/usr/src/sys/conf/newvers.sh", 'REVISION="12.1"\nBRANCH="RELEASE-p3"\n')
    shown = bench.kernel("status").document["hosts"]["a"]
    assert shown["sources"] == "12.1"
    assert shown["step"]["why"] == "the configuration or the sources changed since the last build"
    assert bench.kernel("install").status == 1


def test_install_without_trial_boots_nothing(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.ready()
    generation = bench.machine.generation
    result = bench.kernel("install", "--no-trial")
    assert result.row == ("changed", "/boot/kernel.CARP is there, and nothing boots it")
    assert bench.machine.generation == generation
    assert "kernel=" not in (bench.machine.read("/boot/loader.conf") or "")
    assert not bench.machine.tree.exists("/boot/nextboot.conf")


def test_a_host_that_serves_with_the_module_gets_a_kernel(start: Callable[..., KernelLab]) -> None:
    """What loads the module is still in loader.conf during the trial; that is no fault of the kernel."""
    bench = start("12.1", "module")
    assert bench.run("apply", "--yes").status == 0
    bench.path.write_text(pair("12.1", "static"))
    assert bench.kernel("build").row[0] == "built"
    result = bench.kernel("install", "--outage")
    assert result.row[0] == "changed", result.row
    assert "carp_load" not in (bench.machine.read("/boot/loader.conf") or "")


def test_an_installation_that_ended_between_its_choice_and_the_boot_goes_on(start: Callable[..., KernelLab]) -> None:
    """So on FreeBSD 12.1: it put a second kernel there, and took the choice for somebody else's."""
    bench = start()
    bench.ready()
    assert bench.kernel("install", "--no-trial").row[0] == "changed"
    script = trial_script(Place("CARP", "amd64"), "kernel.CARP", options="-e carp_load=NO", token="a" * 16)
    environment = {**os.environ, **bench.machine.session_env()}
    subprocess.run(["/bin/sh", "-s"], input=script, env=environment, cwd=bench.machine.root, check=True)
    shown = bench.kernel("status").document["hosts"]["a"]
    assert [finding["rule"] for finding in shown["findings"]] == ["persist-nextboot"]
    result = bench.kernel("install")
    assert result.row[0] == "changed", result.row
    assert bench.machine.kernel.image.directory == "kernel.CARP"
    assert not bench.machine.tree.exists("/boot/kernel.CARP-2")


def test_a_mounted_boot_environment_is_prepared(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.machine.disk.filesystem = "zfs"
    bench.machine.tree.write("/mnt/be/boot/loader.conf", 'carp_load="YES"\n')
    bench.machine.tree.write("/mnt/be/etc/rc.conf", 'hostname="a"\n')
    for name in ("kernel", "carp.ko"):
        bench.machine.tree.write(f"/mnt/be/boot/kernel/{name}", bench.machine.read(f"/boot/kernel/{name}") or "")
    bench.ready()
    generation = bench.machine.generation
    result = bench.kernel("install", "--root", "/mnt/be")
    assert result.row[0] == "changed", result
    assert bench.machine.tree.exists("/mnt/be/boot/kernel.CARP/kernel")
    assert not bench.machine.tree.exists("/mnt/be/boot/kernel.CARP/carp.ko")
    assert bench.machine.read("/mnt/be/boot/loader.conf") == 'kernel="kernel.CARP"\n'
    assert not bench.machine.tree.exists("/boot/kernel.CARP")
    assert bench.machine.generation == generation
    assert bench.kernel("status", "--root", "mnt").status in (1, 2)


def test_zfs_is_tried_from_thirteen_on(start: Callable[..., KernelLab]) -> None:
    bench = start("14.2")
    bench.machine.disk.filesystem = "zfs"
    bench.ready()
    assert bench.kernel("install").row[0] == "changed"
    assert 'kernel="kernel.CARP"' in (bench.machine.read("/boot/loader.conf") or "")


def test_a_panic_that_waits_in_loader_conf_is_seen_and_cured(start: Callable[..., KernelLab]) -> None:
    bench = start("12.1", "auto")
    machine = bench.machine
    machine.tree.install_kernel("CARP", "kernel.hand")
    machine.tree.append("/boot/loader.conf", 'kernel="kernel.hand"\ncarp_load="YES"\n')
    shown = bench.kernel("status").document["hosts"]["a"]
    assert shown["next_boot"]["panics"] is True
    assert shown["step"]["name"] == "default"
    result = bench.kernel("install")
    assert result.row[0] == "changed", result
    bench.reboot()
    assert machine.alive
    assert machine.kernel.linker.find_module("carp") is not None


def test_linux_needs_no_kernel(start: Callable[..., KernelLab]) -> None:
    text = pair().replace("freebsd-12.1, kernel: {method: static}", "debian-12, user: admin, become: sudo")
    bench = start(text=text)
    assert "on Linux a daemon speaks CARP" in bench.kernel("install").row[1]
    assert bench.kernel("build").row[0] == "unchanged"
    assert bench.run("kernel", "status").status == 0
    assert _render(bench) == ""


def test_the_estimate_moves(start: Callable[..., KernelLab]) -> None:
    bench = start()
    bench.kernel("build")
    bench.machine.tree.append("/usr/src/sys/amd64/conf/CARP", "# again\n")
    bench.machine.compiler.pause = 0.15
    bench.kernel("build", "--no-wait")
    shares = []
    for _ in range(3):
        share = bench.kernel("status").document["hosts"]["a"]["build"]["share"]
        shares.append(share)
        time.sleep(0.3)
    assert shares == sorted(shares)
    assert 0 < shares[-1] <= 1
