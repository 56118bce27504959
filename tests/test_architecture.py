"""The imports run downwards, the pure parts stay pure, and heavy libraries stay where they belong."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "bsdcarp"

# Lower number: lower layer.  A module may import its own package, and packages of a lower number.
LAYERS = {
    "dataclass": 0, "errors": 0, "plaintext": 0, "shellwords": 0, "model": 0, "carp": 0,
    "textfiles": 1, "carpd": 1,
    "hostlock": 1,
    "snapshot": 2,
    "inventory": 3, "platforms": 3,
    "plan": 4,
    "transaction": 5,
    "judge": 5, "ssh": 5, "kernels": 5,
    "fleet": 6,
    "report": 7, "lab": 7,
    "tour": 8,
    "cli": 9,
}  # fmt: skip
SAME_LAYER = {("inventory", "platforms"), ("platforms", "inventory"), ("plaintext", "errors"), ("errors", "plaintext"),
              ("model", "errors"), ("model", "dataclass")}  # fmt: skip


def modules() -> Iterator[tuple[Path, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).parts
        room = parts[0].removesuffix(".py")
        if room not in ("__init__", "__main__"):
            yield path, room


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "bsdcarp")


@pytest.mark.parametrize(("path", "room"), [pytest.param(p, r, id=str(p.relative_to(ROOT))) for p, r in modules()])
def test_imports_run_downwards(path: Path, room: str) -> None:
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "bsdcarp" or len(parts) < 2 or parts[1] in (room, "__version__"):
            continue
        target = parts[1]
        allowed = LAYERS[target] < LAYERS[room] or (room, target) in SAME_LAYER
        assert allowed, f"{room} may not import {target}"


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("paramiko", {"ssh", "lab"}),
        ("rich", {"report"}),
        ("jinja2", {"platforms"}),
        ("typer", {"cli"}),
        ("ruamel", {"inventory"}),
        ("subprocess", {"inventory", "lab", "tour", "ssh", "carpd"}),
        ("socket", {"ssh", "lab", "fleet", "carpd"}),
    ],
)
def test_a_library_is_used_only_where_it_belongs(library: str, rooms: set[str]) -> None:
    users = {room for path, room in modules() if any(name.split(".")[0] == library for name in imports(path))}
    assert users <= rooms


def test_the_protocol_core_touches_nothing_outside_itself() -> None:
    forbidden = {"socket", "time", "threading", "asyncio", "subprocess", "os", "pathlib", "io", "select", "logging"}
    for path, room in modules():
        if room == "carp":
            used = set(imports(path))
            assert not {name.split(".")[0] for name in used} & forbidden, path
            assert all(name.startswith("bsdcarp.carp") for name in used if name.split(".")[0] == "bsdcarp"), path


@pytest.mark.parametrize("room", ["textfiles", "plan", "judge", "platforms", "transaction", "kernels", "snapshot"])
def test_pure_packages_open_nothing(room: str) -> None:
    forbidden = {"socket", "subprocess", "threading", "time", "asyncio", "tempfile", "shutil"}
    for path, found in modules():
        if found == room:
            assert not {name.split(".")[0] for name in imports(path)} & forbidden, path


def test_no_module_is_longer_than_four_hundred_lines() -> None:
    long = {str(p.relative_to(ROOT)): n for p, _ in modules() if (n := len(p.read_text("utf-8").splitlines())) > 400}
    assert long == {}


@pytest.mark.parametrize("arguments", [["--help"], ["validate", "inventory.example.yml"]])
def test_light_verbs_import_neither_paramiko_nor_jinja2(arguments: list[str]) -> None:
    code = (
        "import sys\nsys.argv[1:] = sys.argv[1:]\n"
        "from bsdcarp.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    pass\n"
        "print(sorted({'paramiko', 'jinja2', 'cryptography'} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr.splitlines()[-1] == "[]", done.stderr


def test_a_change_begins_before_the_judges_are_imported() -> None:
    code = (
        "import sys\nimport bsdcarp.fleet.application\n"
        "print(sorted(name for name in sys.modules if name.startswith('bsdcarp.judge')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


def test_what_host_threads_import_of_the_judge_is_its_package() -> None:
    """While they do, the main thread imports it as well; who takes a module first and its package second meets whoever
    takes the package first, and Python ends one of both with an error."""
    hurried = [
        (path.name, node.module)
        for path, room in modules()
        if room == "fleet" and path.name != "kernels.py"
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("bsdcarp.judge.")
    ]
    assert hurried == []
