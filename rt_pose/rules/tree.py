"""The trigger language's own tree: nothing of a rule is ever evaluated as Python.

Every node knows its `place`, the offset in the text, for messages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Number:
    """A number and its unit (empty where none was written): `20 cm/s`."""

    value: float
    unit: str
    place: int


@dataclass(frozen=True, slots=True)
class Name:
    """A keypoint, zone, line or word, as an argument."""

    text: str
    place: int


@dataclass(frozen=True, slots=True)
class Call:
    """A quantity and its arguments: `speed(nose)`."""

    name: str
    arguments: tuple[Node, ...]
    place: int


@dataclass(frozen=True, slots=True)
class Negative:
    """`- inner`."""

    inner: Node
    place: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Terms joined by `+` and `-`, or factors joined by `*` and `/`, from left to right."""

    operands: tuple[Node, ...]
    signs: tuple[str, ...]
    """One fewer than operands."""
    place: int


@dataclass(frozen=True, slots=True)
class Compare:
    """Comparisons in a row: `100 < speed(nose) <= 300`."""

    operands: tuple[Node, ...]
    signs: tuple[str, ...]
    """One fewer than operands."""
    place: int
    """Of the first sign."""


@dataclass(frozen=True, slots=True)
class Not:
    """Negation."""

    inner: Node
    place: int


@dataclass(frozen=True, slots=True)
class And:
    """All of its parts."""

    parts: tuple[Node, ...]
    place: int


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of its parts."""

    parts: tuple[Node, ...]
    place: int


Node = Number | Name | Call | Negative | Chain | Compare | Not | And | Or


def names_in(node: Node) -> Iterator[Name]:
    """List the names in a tree, in the order in which they are written.

    Parameters
    ----------
    node
        The tree.

    Yields
    ------
    Name
        Each name: a keypoint, a zone, an input or a word.
    """
    match node:
        case Name():
            yield node
        case Call(_, parts) | Chain(parts) | Compare(parts) | And(parts) | Or(parts):
            for part in parts:
                yield from names_in(part)
        case Negative(inner) | Not(inner):
            yield from names_in(inner)
