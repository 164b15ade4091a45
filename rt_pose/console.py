"""What long jobs show on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Show a bar of how many items are done and the time left, on standard error.

    Parameters
    ----------
    items
        What is worked through.
    what
        Text beside the bar.
    total
        How many items there are; None asks `items` for its length.

    Yields
    ------
    T
        Each of `items` in turn.
    """
    with _bar(what) as bar:
        yield from bar.track(items, total=total)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show the bar of `track` for work that is not a loop here.

    Parameters
    ----------
    what
        Text beside the bar.
    total
        How much work there is.

    Yields
    ------
    Callable[[int], None]
        A function to call with how much is done.
    """
    with _bar(what) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def _bar(what: str) -> Progress:
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
