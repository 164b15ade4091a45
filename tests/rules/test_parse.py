"""The trigger language: what it reads, and how it says what it cannot read."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_pose.errors import UserError
from rt_pose.rules.parse import parse
from rt_pose.rules.tree import And, Call, Compare, Not, Or


def test_and_binds_tighter_than_or_and_not_tightest() -> None:
    tree = parse("inside(a, z) or not inside(b, z) and speed(a) > 2")
    assert isinstance(tree, Or)
    assert isinstance(tree.left, Call)
    assert isinstance(tree.right, And)
    assert isinstance(tree.right.left, Not)
    assert isinstance(tree.right.right, Compare)


def test_brackets_win() -> None:
    assert isinstance(parse("(inside(a, z) or inside(b, z)) and speed(a) > 2"), And)


@pytest.mark.parametrize(
    ("text", "operator", "number"),
    [("speed(a)>200", ">", 200.0), ("speed( a ) <= -1.5e2", "<=", -150.0), ("speed(a) >= .5", ">=", 0.5)],
)
def test_comparisons(text: str, operator: str, number: float) -> None:
    tree = parse(text)
    assert isinstance(tree, Compare)
    assert (tree.operator, tree.number) == (operator, number)


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("", 0, "expected a quantity"),
        ("speed(a) >", 10, "expected a number"),
        ("speed(a) > fast", 11, "expected a number, got 'fast'"),
        ("speed a > 2", 6, "expected '('"),
        ("speed(a > 2", 8, "expected ')'"),
        ("speed(a) > 2 speed(b) > 2", 13, "expected 'and', 'or' or the end"),
        ("speed(a) == 2", 9, "cannot read '='"),
        ("inside(a, 3)", 10, "expected the name"),
        ("(inside(a, z)", 13, "expected ')'"),
        ("and inside(a, z)", 0, "expected a quantity"),
        ("__import__('os')", 11, "cannot read"),
    ],
)
def test_an_error_points_at_the_place(text: str, at: int, says: str) -> None:
    with pytest.raises(UserError, match="rule 'r'") as caught:
        parse(text, "rule 'r'")
    message, shown, caret = str(caught.value).split("\n")
    assert says in message
    assert shown == f"  {text}"
    assert caret == "  " + " " * at + "^"


def test_deep_nesting_is_refused_not_a_crash() -> None:
    with pytest.raises(UserError, match="nested"):
        parse("(" * 5000 + "inside(a, z)" + ")" * 5000)
    with pytest.raises(UserError, match="nested"):
        parse("not " * 5000 + "inside(a, z)")


WORDS = [
    "and",
    "or",
    "not",
    "(",
    ")",
    ",",
    "speed",
    "inside",
    "nose",
    "<",
    ">=",
    "1.5",
    "-2",
    " ",
    "%",
    "é",
    "\n",
]


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)))
def test_any_text_gives_a_tree_or_a_user_error(text: str) -> None:
    with contextlib.suppress(UserError):
        parse(text)
