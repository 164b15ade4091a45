"""The trigger language's own tree: nothing of a rule is ever evaluated as Python."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """A quantity and its arguments: `speed(nose)`."""

    name: str
    arguments: tuple[str, ...]
    place: int
    """Offset of the name in the text, for messages."""
    argument_places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """A quantity against a number: `speed(nose) > 200`."""

    call: Call
    operator: str
    number: float
    place: int


@dataclass(frozen=True, slots=True)
class Not:
    """Negation."""

    inner: Node


@dataclass(frozen=True, slots=True)
class And:
    """Both."""

    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Or:
    """Either or both."""

    left: Node
    right: Node


Node = Call | Compare | Not | And | Or
