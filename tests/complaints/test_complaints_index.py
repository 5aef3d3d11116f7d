"""The table of complaints is whole, and what it names is really run."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

INDEX = Path(__file__).with_name("index.yaml")
HOW_MANY = 61
_SKIPS = ("mark.skip", "mark.xfail", "pytest.skip", "importorskip")


def entries() -> list[dict[str, Any]]:
    """Read the table."""
    found = yaml.safe_load(INDEX.read_text(encoding="utf-8"))
    assert isinstance(found, list)
    return found


def named() -> list[str]:
    """Give the tests that it names, each once."""
    return sorted({test for entry in entries() for test in entry.get("tests", ())})


def text_of(root: Path, path: str, names: set[str]) -> str:
    """Give the text of test functions with their decorators, and of what marks their whole module."""
    tree = ast.parse((root / path).read_text(encoding="utf-8"))
    wanted = [
        ast.unparse(each)
        for each in ast.walk(tree)
        if isinstance(each, ast.FunctionDef) and each.name in names
    ]
    marks = [line for each in tree.body if (line := ast.unparse(each)).startswith("pytestmark")]
    assert len(wanted) == len(names)
    return "\n".join([*wanted, *marks])


def test_every_complaint_is_in_the_table() -> None:
    """The numbers are all there, in order, each with a sentence and either tests or the reason why not."""
    found = entries()

    assert [entry["number"] for entry in found] == list(range(1, HOW_MANY + 1))
    for entry in found:
        assert len(entry["complaint"]) > 20
        assert entry.keys() <= {"number", "complaint", "applies", "note", "why", "tests"}
        assert bool(entry.get("tests")) is entry["applies"]
        assert bool(entry.get("why")) is not entry["applies"]


def collected(root: Path, files: list[str]) -> set[str]:
    """Give the tests that pytest finds in these files, in a process of its own."""
    asked = [sys.executable, "-m", "pytest", "--collect-only", "-n0", "-p", "no:cacheprovider"]
    answer = subprocess.run(
        [*asked, *files], cwd=root, capture_output=True, text=True, check=False, timeout=120
    )
    assert answer.returncode == 0, answer.stdout[-2_000:] + answer.stderr[-2_000:]
    return {line.partition("[")[0] for line in answer.stdout.splitlines() if "::" in line}


def test_every_named_test_is_collected(root: Path, request: pytest.FixtureRequest) -> None:
    """By this run of pytest where it runs everything; what it leaves out is asked for."""
    here = {item.nodeid.partition("[")[0] for item in request.session.items}
    missing = set(named()) - here
    if missing:
        missing -= collected(root, sorted({test.partition("::")[0] for test in missing}))

    assert missing == set()


def test_no_named_test_is_skipped(root: Path) -> None:
    """Nor expected to fail, neither by itself nor with its whole module."""
    by_path: dict[str, set[str]] = {}
    for test in named():
        path, _, name = test.partition("::")
        by_path.setdefault(path, set()).add(name.rpartition("::")[2])

    for path, names in by_path.items():
        text = text_of(root, path, names)
        assert [word for word in _SKIPS if word in text] == [], path


def test_every_test_of_this_folder_is_in_the_table(root: Path) -> None:
    """A complaint's test that no complaint leads to would be forgotten."""
    here = {
        f"{path.relative_to(root)}::{each.name}"
        for path in sorted(INDEX.parent.glob("test_complaints_*.py"))
        if path != Path(__file__)
        for each in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
    }

    assert here - set(named()) == set()
