"""Identifiers are the terms of the field: none of the words that were retired comes back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(
    path for wing in ("rt_pose", "train", "rigs", "bench", "tests") for path in (ROOT / wing).rglob("*.py")
)


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


RETIRED = word_set(
    """
    teller told heard hear deaf tell forgiven folded lasting lifesigns life_signs
    onward by_turns in_clip itself past_of pastof emptied
    belief moment nodes_of judge judges chance chances jointly of_form by_nodes
    seat seats verdict forget remembers said_unit adopted
    beat beat_within_ns lane on_lane cudalane hostlane
    shown_frames silent silent_rules in_words life
    built yardstick doubt doubts settle lonely unplaced sureness sure doubt_px begin_as
    filmed sharpened untrained untrained_package look look_back look_at look_at_videos
    arrange arrangement passage stretch stretches rhythm rhythms material
    beside estimators_beside estimate_in_turn
    ended_others others_ended end_if_not_first how_together full_disk_told full_gpu_told
    can_go_on goes_on of_today other_skeleton other_settings
    side_by_side one_by_one in_precision no_tf32 hold_statistics
    filming filmwriter filmtimes read_film hear_outputs
    wholecheckpoints remembered stepback what_is_wrong why_not foreign
    """
)
"""Compared with a name in lower case and without its leading underscores."""
RETIRED_CLASSES = word_set(
    """Past Moment Nodes Shown Setup Frames Others Lane Tracker Passage Stretch Material Message Member
    Notices"""
)
"""Words that are fine as the name of a value, but are no class."""
RETIRED_FUNCTIONS = word_set("held watch reach fitted exact certain said words evenly noisy")
"""Words that are fine as the name of a value, but say nothing as a function."""
EXCEPTIONS: dict[str, frozenset[str]] = {
    # A verdict is a key of hindsight.json.
    "rt_pose/audit/hindsight.py": frozenset({"verdict"}),
    "tests/audit/test_hindsight.py": frozenset({"verdict"}),
    # The messages of the serial protocol, as its description names them.
    "rigs/firmware/protocol.py": frozenset({"Message"}),
    # What the library of the log calls on a file.
    "rt_pose/session/log_file.py": frozenset({"tell"}),
}


def names(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(kind, name) of every class, function, parameter and attribute that a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield "class", node.name
            for item in node.body:
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                    yield "attribute", item.target.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield "function", node.name
        elif isinstance(node, ast.arg):
            yield "parameter", node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield "attribute", node.attr


def retired(kind: str, name: str) -> bool:
    """Whether a name is one of the words that were given up."""
    plain = name.lstrip("_")
    return (
        plain.lower() in RETIRED
        or (kind == "class" and plain in RETIRED_CLASSES)
        or (kind == "function" and plain in RETIRED_FUNCTIONS)
    )


def test_the_check_sees_what_it_looks_for() -> None:
    bad = (
        "class _Teller:\n    lane: int\n    def hear(self, told): self._beat = 1\n"
        "def watch(): pass\nclass Past: pass\n"
    )
    assert {name for kind, name in names(ast.parse(bad)) if retired(kind, name)} == {
        "_Teller", "lane", "hear", "told", "_beat", "watch", "Past"
    }  # fmt: skip
    good = "def emit(past, watch, held): pass\n"
    assert not [name for kind, name in names(ast.parse(good)) if retired(kind, name)]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_names_are_terms_of_the_field(path: Path) -> None:
    place = str(path.relative_to(ROOT))
    module = path.parent.name if path.name == "__init__.py" else path.stem.removeprefix("test_")
    found = [("module", module), *names(ast.parse(path.read_text(encoding="utf-8")))]
    allowed = EXCEPTIONS.get(place, frozenset())
    assert (
        sorted({f"{kind} {name}" for kind, name in found if retired(kind, name) and name not in allowed})
        == []
    )
