"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
from pathlib import Path

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


def test_only_the_clock_reads_time() -> None:
    allowed = (ROOT / "rt_pose" / "clock.py", *ELSEWHERE)
    found = {
        path: lines
        for path in SOURCES
        if path not in allowed and (lines := names_of_time(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert len(SOURCES) > 400
    assert found == {}


def pickling(text: str) -> set[str]:
    """What in a module's text pickles, or lets something be unpickled."""
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    found = imported & {"pickle", "dill", "cloudpickle", "joblib"}
    return found | {words for words in ("allow_pickle=True", "weights_only=False") if words in text}


def test_nothing_pickles() -> None:
    """A package or a message that could run code has no place in an experiment."""
    assert pickling("import pickle\nload(allow_pickle=True)") == {"pickle", "allow_pickle=True"}
    found = {path: words for path in SOURCES if (words := pickling(path.read_text(encoding="utf-8")))}
    assert found == {}
