"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {
    path: path.read_text(encoding="utf-8")
    for wing in ("rt_pose", "train", "rigs", "bench")
    for path in sorted((ROOT / wing).rglob("*.py"))
}


def names_of_time(text: str) -> list[int]:
    """Lines that import the time module, or ask datetime for the present."""
    if re.search(r"\b(import|from)\b.*\btime\b|\.(now|utcnow|today)\b", text) is None:
        return []  # quicker than to parse it
    lines = []
    for node in ast.walk(ast.parse(text)):
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
    assert names_of_time(bad) == [1, 2, 4]
    assert [names_of_time(line) for line in bad.splitlines()] == [[1], [1], [], [1]]
    assert names_of_time("import os, time\n") == [1]


ELSEWHERE = (
    ROOT / "train" / "importing" / "original_worker.py",
    ROOT / "bench" / "peers" / "litpose_worker.py",
    ROOT / "bench" / "training" / "litpose.py",
    ROOT / "bench" / "headtohead" / "litpose_worker.py",
    ROOT / "bench" / "headtohead" / "sleap_worker.py",
)
"""They run in another program's Python, which has no clock of ours."""


def test_only_the_clock_reads_time() -> None:
    allowed = (ROOT / "rt_pose" / "clock.py", *ELSEWHERE)
    found = {
        path: lines
        for path, text in SOURCES.items()
        if path not in allowed and (lines := names_of_time(text))
    }
    assert len(SOURCES) > 400
    assert found == {}


PICKLERS = ("pickle", "dill", "cloudpickle", "joblib")


def pickling(text: str) -> set[str]:
    """What in a module's text pickles, or lets something be unpickled."""
    found = {words for words in ("allow_pickle=True", "weights_only=False") if words in text}
    if not any(name in text for name in PICKLERS):
        return found  # quicker than to parse it
    return found | {
        alias.name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import)
        for alias in node.names
    }.intersection(PICKLERS)


def test_nothing_pickles() -> None:
    """A package or a message that could run code has no place in an experiment."""
    assert pickling("import pickle\nload(allow_pickle=True)") == {"pickle", "allow_pickle=True"}
    assert {path: words for path, text in SOURCES.items() if (words := pickling(text))} == {}
