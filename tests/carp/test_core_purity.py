"""The core stays what it promises to be: no input or output, nothing else of the project, and Python 3.8."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bsdcarp.carp

MODULES = sorted(Path(bsdcarp.carp.__file__).parent.glob("*.py"))
ALLOWED = {
    "__future__", "bsdcarp.carp", "collections", "collections.abc", "dataclasses", "enum", "hmac", "ipaddress",
    "struct", "typing",
}  # fmt: skip


@pytest.fixture(params=MODULES, ids=lambda path: path.stem)
def tree(request: pytest.FixtureRequest) -> ast.Module:
    # Raises SyntaxError for match statements, except*, parenthesised with, positional patterns and the like.
    return ast.parse(Path(request.param).read_text(encoding="utf-8"), feature_version=(3, 8))


def test_it_imports_neither_io_nor_the_rest_of_the_project(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            assert node.module in ALLOWED or (node.module or "").startswith("bsdcarp.carp.")
        elif isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= ALLOWED


def test_annotations_are_not_evaluated(tree: ast.Module) -> None:
    first = next(node for node in tree.body if isinstance(node, ast.ImportFrom))
    assert (first.module, first.names[0].name) == ("__future__", "annotations")


def test_nothing_needs_a_newer_python_at_run_time(tree: ast.Module) -> None:
    builtin = {"dict", "list", "tuple", "set", "frozenset", "type", "deque", "Callable", "Mapping", "Iterable"}
    annotations = {
        id(inner)
        for node in ast.walk(tree)
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if annotation is not None
        for inner in ast.walk(annotation)
    }
    for node in ast.walk(tree):
        if id(node) in annotations:
            continue
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            assert node.value.id not in builtin
        if isinstance(node, ast.Call):
            named = {keyword.arg for keyword in node.keywords}
            assert not named & {"slots", "kw_only", "strict"}
            if isinstance(node.func, ast.Attribute):
                assert node.func.attr not in {"removeprefix", "removesuffix", "bit_count"}


def test_every_module_says_what_it_is_and_what_it_exports(tree: ast.Module) -> None:
    assert ast.get_docstring(tree)
    names = [
        node.targets[0].id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    ]
    assert "__all__" in names


def test_no_module_is_longer_than_300_lines() -> None:
    assert [path.name for path in MODULES if len(path.read_text(encoding="utf-8").splitlines()) >= 300] == []


def test_everything_exported_has_a_docstring() -> None:
    for name in bsdcarp.carp.__all__:
        assert getattr(bsdcarp.carp, name).__doc__
