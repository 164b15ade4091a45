"""What long jobs show on the terminal: lines of the log, and bars of what is done."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")
LOGGERS = ("rt_pose", "train", "rigs", "bench")
"""Whose lines are shown."""
LINE_EVERY_S = 30.0
"""How often a line is printed where a bar cannot be drawn."""


class ConsoleHandler(logging.Handler):
    """Writes each line as it is: information to standard output, warnings and errors to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`; a progress bar may have replaced the streams, so they are looked up."""
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        stream.write(format_line(record) + "\n")
        stream.flush()  # a file would get it minutes later


_CONSOLE = ConsoleHandler()
_PREFIXES: list[str] = []


def format_line(record: logging.LogRecord) -> str:
    """Format a record as a line of the terminal.

    Parameters
    ----------
    record
        The record.

    Returns
    -------
    str
        Its message behind the current prefixes.
    """
    return "".join(_PREFIXES) + record.getMessage()


def log_to(handler: logging.Handler) -> None:
    """Hand every record of the program's loggers, from INFO on, to a handler.

    Parameters
    ----------
    handler
        The handler; a second call with it changes nothing.
    """
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)


def log_to_console() -> None:
    """Show the log on the terminal; for programs, once, before anything is logged."""
    log_to(_CONSOLE)


@contextmanager
def warnings_only() -> Iterator[None]:
    """Log nothing below a warning, while the block runs: for a step whose lines are of no use to the user."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def line_prefix(prefix: str) -> Iterator[None]:
    """Begin every line with a prefix, while the block runs.

    Parameters
    ----------
    prefix
        The text.
    """
    _PREFIXES.append(prefix)
    try:
        yield
    finally:
        _PREFIXES.pop()


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
    with progress(what, len(items) if total is None else total) as report_progress:  # type: ignore[arg-type]
        for done, item in enumerate(items, 1):
            yield item
            report_progress(done)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show the bar of `track` for work that is not a loop here.

    Where standard error is no terminal a line is printed every half minute instead.

    Parameters
    ----------
    what
        Text beside the bar.
    total
        How much work there is, as far as is known: at the end it is what was done.

    Yields
    ------
    Callable[[int], None]
        A function to call with how much is done.
    """
    with _bar() as bar:
        task = bar.add_task(what, total=total)
        lines = ProgressLines(bar, what)

        def report_progress(done: int) -> None:
            bar.update(task, completed=done)
            lines.print_if_due()

        yield report_progress
        bar.update(task, total=bar.tasks[0].completed)


class ProgressLines:
    """Lines that say how far a bar is, where nobody sees the bar, since its output goes to a file."""

    def __init__(self, bar: Progress, what: str) -> None:
        """Make the first line due after `LINE_EVERY_S`.

        Parameters
        ----------
        bar
            A bar with one task.
        what
            Begins each line.
        """
        self._bar, self._what, self._due_s = bar, what, LINE_EVERY_S

    def print_if_due(self, more: str = "") -> None:
        """Print a line where `LINE_EVERY_S` have passed since the last one.

        Parameters
        ----------
        more
            Ends the line.
        """
        task = self._bar.tasks[0]
        elapsed_s = task.elapsed or 0.0
        if self._bar.console.is_terminal or elapsed_s < self._due_s:
            return
        self._due_s = elapsed_s + LINE_EVERY_S
        left = "" if task.time_remaining is None else f", about {task.time_remaining / 60:.1f} min left"
        done = f"{self._what}: {task.completed:g} of {task.total:g}{left}{more}"
        self._bar.console.print(done, markup=False, highlight=False, soft_wrap=True)


def _bar() -> Progress:
    # Every verb shows log lines, few a bar.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # Names of files may hold braces and square brackets.
    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
