"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path for wing in ("rt_pose", "train", "rigs", "bench") for path in (ROOT / wing).rglob("*.py")
)


def names_of_time(tree: ast.AST) -> list[int]:
    """Lines that import the time module, or ask datetime for the present."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(alias.name == "time" for alias in node.names):
            lines.append(node.lineno)
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            lines.append(node.lineno)
        if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today"):
            owner = node.value
            if isinstance(owner, ast.Name) and owner.id in ("datetime", "date"):
                lines.append(node.lineno)
    return lines


def test_the_check_sees_what_it_looks_for() -> None:
    bad = "import time\nfrom time import sleep\nfrom datetime import datetime\nx = datetime.now()\n"
    assert names_of_time(ast.parse(bad)) == [1, 2, 4]


ELSEWHERE = (
    ROOT / "train" / "importing" / "original_worker.py",
    ROOT / "bench" / "peers" / "litpose_worker.py",
    ROOT / "bench" / "training" / "litpose.py",
)
"""They run in another program's Python, which has no clock of ours."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_clock_reads_time(path: Path) -> None:
    if path in (ROOT / "rt_pose" / "clock.py", *ELSEWHERE):
        return
    assert names_of_time(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_pickles(path: Path) -> None:
    """A package or a message that could run code has no place in an experiment."""
    text = path.read_text(encoding="utf-8")
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    assert not imported & {"pickle", "dill", "cloudpickle", "joblib"}
    assert "allow_pickle=True" not in text
    assert "weights_only=False" not in text
