"""The trigger language: what it reads, and how it says what it cannot read."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rt_pose.errors import UserError
from rt_pose.rules.parse import parse
from rt_pose.rules.tree import And, Call, Chain, Compare, Name, Negative, Not, Number, Or


def test_and_binds_tighter_than_or_and_not_tightest() -> None:
    tree = parse("inside(a, z) or not inside(b, z) and speed(a) > 2")
    assert isinstance(tree, Or)
    first, second = tree.parts
    assert isinstance(first, Call)
    assert isinstance(second, And)
    assert isinstance(second.parts[0], Not)
    assert isinstance(second.parts[1], Compare)


def test_brackets_win() -> None:
    assert isinstance(parse("(inside(a, z) or inside(b, z)) and speed(a) > 2"), And)


@pytest.mark.parametrize(
    ("text", "signs", "number", "unit"),
    [
        ("speed(a)>200", (">",), 200.0, ""),
        ("speed( a ) <= 1.5e2px/s", ("<=",), 150.0, "px/s"),
        ("speed(a) >= .5 cm/s", (">=",), 0.5, "cm/s"),
        ("100 < speed(a) <= 3e2 and inside(a, z)", ("<", "<="), 300.0, ""),
        ("speed(a) < 30 % and inside(a, z)", ("<",), 30.0, "%"),
    ],
)
def test_comparisons(text: str, signs: tuple[str, ...], number: float, unit: str) -> None:
    tree = parse(text)
    tree = tree.parts[0] if isinstance(tree, And) else tree
    assert isinstance(tree, Compare)
    last = tree.operands[-1]
    assert isinstance(last, Number)
    assert (tree.signs, last.value, last.unit) == (signs, number, unit)


def test_products_bind_tighter_than_sums_and_a_division_is_no_unit() -> None:
    tree = parse("x(a) - 2 * y(a) / 5 px/speed(b) > -3")
    assert isinstance(tree, Compare)
    total, limit = tree.operands
    assert isinstance(total, Chain)
    assert total.signs == ("-",)
    product = total.operands[1]
    assert isinstance(product, Chain)
    assert product.signs == ("*", "/", "/")
    assert isinstance(product.operands[2], Number)
    assert product.operands[2].unit == "px"
    assert isinstance(limit, Negative)


def test_arguments_are_names_or_values() -> None:
    tree = parse("phase(y(paw-left) + 1, 8 Hz) < 90 deg")
    assert isinstance(tree, Compare)
    call = tree.operands[0]
    assert isinstance(call, Call)
    assert isinstance(call.arguments[0], Chain)
    inner = call.arguments[0].operands[0]
    assert isinstance(inner, Call)
    assert inner.arguments == (Name("paw-left", 8),)


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("", 0, "expected a quantity"),
        ("speed(a) >", 10, "or a number, got 'the end'"),
        ("speed(a) > fast", 15, "expected '('"),
        ("speed(a) > 2 cms/s", 13, "unknown unit 'cms/s', did you mean 'cm/s'?"),
        ("speed(a) > 1e999", 11, "too large"),
        ("speed a > 2", 6, "expected '('"),
        ("speed(a > 2", 8, "expected ')'"),
        ("speed(a) > 2 speed(b) > 2", 13, "unknown unit 'speed'"),
        ("speed(a) == 2", 9, "cannot read '='"),
        ("inside(a, z) inside(b, z)", 13, "expected 'and', 'or', a sign or the end"),
        ("inside(a, )", 10, "expected a quantity"),
        ("(inside(a, z)", 13, "expected ')'"),
        ("and inside(a, z)", 0, "expected a quantity"),
        ("__import__(os=1)", 13, "cannot read"),
        ("speed('a) > 2", 6, "a quote that is not closed"),
    ],
)
def test_an_error_points_at_the_place(text: str, at: int, expected: str) -> None:
    with pytest.raises(UserError, match="rule 'r'") as caught:
        parse(text, "rule 'r'")
    message, shown, caret = str(caught.value).split("\n")
    assert expected in message
    assert shown == f"  {text}"
    assert caret == "  " + " " * at + "^"


def test_deep_nesting_is_refused_not_a_crash() -> None:
    with pytest.raises(UserError, match="nested"):
        parse("(" * 5000 + "inside(a, z)" + ")" * 5000)
    with pytest.raises(UserError, match="nested"):
        parse("not " * 5000 + "inside(a, z)")
    with pytest.raises(UserError, match="nested"):
        parse("-" * 5000 + "x(a) > 1")
    with pytest.raises(UserError, match="nested"):
        parse("f(" * 5000 + "a" + ")" * 5000)


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
