"""The daemon as one file: the same bytes from the same sources, and any Python from 3.8 on runs them."""

from __future__ import annotations

import ast
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest

from bsdcarp import __version__
from bsdcarp.platforms.zipapp import carpd_zipapp

PACKAGE = Path(__file__).parents[2] / "bsdcarp"
SOURCES = [
    PACKAGE / "__init__.py",
    *sorted((PACKAGE / "carp").rglob("*.py")),
    *sorted((PACKAGE / "carpd").rglob("*.py")),
]


def pythons() -> list[str]:
    """Every python3.N there is on this host, from 3.8 on, and those that pyenv has."""
    found = [shutil.which(f"python3.{minor}") for minor in range(8, 16)]
    found += [str(path) for path in Path.home().glob(".pyenv/versions/3.*/bin/python")]
    usable: dict[int, str] = {}
    for path in [sys.executable, *filter(None, found)]:
        try:
            done = subprocess.run(
                [path, "-c", "import sys; print(sys.version_info[1])"],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        except OSError:
            continue
        if done.returncode == 0 and int(done.stdout) >= 8:
            usable.setdefault(int(done.stdout), path)
    return [usable[minor] for minor in sorted(usable)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "carpd.pyz"
    path.write_bytes(carpd_zipapp())
    path.chmod(0o755)
    return path


def test_the_bytes_are_the_same_each_time_and_in_another_process() -> None:
    code = "import sys; from bsdcarp.platforms.zipapp import carpd_zipapp; sys.stdout.buffer.write(carpd_zipapp())"
    other = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, check=True, timeout=30,
        env={"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "LC_ALL": "C"},
    ).stdout  # fmt: skip
    assert carpd_zipapp() == carpd_zipapp() == other


def test_it_holds_the_daemon_and_nothing_else() -> None:
    with ZipFile(io.BytesIO(carpd_zipapp())) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == sorted(names)
        assert set(names) == {"__main__.py", *(str(path.relative_to(PACKAGE.parent)) for path in SOURCES)}
        for entry in archive.infolist():
            assert entry.compress_type == ZIP_STORED
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.external_attr == 0o100644 << 16
        for path in SOURCES:
            assert archive.read(str(path.relative_to(PACKAGE.parent))) == path.read_bytes()


def test_it_begins_with_a_line_for_the_kernel() -> None:
    assert carpd_zipapp().startswith(b"#!/usr/bin/env python3\nPK\x03\x04")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_module_is_python_3_8(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 8))
    if any(isinstance(node, (ast.AnnAssign, ast.arg)) for node in ast.walk(tree)):
        assert any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body), path


@pytest.mark.parametrize("python", pythons(), ids=lambda path: re.sub(r"\W+", "_", path))
def test_it_runs_isolated_on_every_python_that_is_here(python: str, program: Path) -> None:
    def carpd(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-W", "error", "-I", str(program), *arguments],
            cwd="/", capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    version = carpd("--version")
    assert (version.returncode, version.stdout, version.stderr) == (0, f"carpd {__version__}\n", "")
    config = program.parent / "carpd.json"
    config.write_text('{"version": 1, "settings": {"allow": 1}, "vhids": []}')
    config.chmod(0o600)
    tested = carpd("run", "-n", "-c", str(config))
    assert (tested.returncode, tested.stderr) == (0, "")
    every = "import sys, importlib; sys.path.insert(0, sys.argv[1]); [importlib.import_module(m) for m in sys.argv[2:]]"
    modules = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in SOURCES]
    names = [name for name in modules if not name.endswith(("__init__", "__main__"))]
    done = subprocess.run(
        [python, "-W", "error", "-I", "-c", every, str(program), *names], cwd="/", capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_directory_with_other_things_in_it_adds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "bsdcarp"
    shutil.copytree(PACKAGE, copy)
    before = carpd_zipapp()
    for name in (".#app.py", "app.py~", "app.cpython-311.pyc", "1.py", "notes.txt"):
        (copy / "carpd" / name).write_text("x")
    monkeypatch.setattr("bsdcarp.platforms.zipapp.files", lambda _: copy)
    assert carpd_zipapp() == before
