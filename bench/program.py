"""A benchmark as a program: its options are a dataclass, an error of its user's is one line.

    @dataclass(kw_only=True)
    class Options:
        model: Annotated[str, "folder of the model package"]
        rounds: Annotated[int, "of each side, in turn"] = 3
        out: Out = None

Every field is an option, `--model FOLDER`; one without a default must be given. A bool is a flag, and a list
takes several values, at once or one by one. What follows the help text in `Annotated` limits the values (a
collection of all that are allowed) or reads them (a function of the text).
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Protocol, TypeVar, get_args, get_origin, get_type_hints

from bench.output import check_out, finish
from rt_pose.console import log_to_console
from rt_pose.errors import UserError

Out = Annotated[Path | None, "write OUT.json and OUT.md"]
POSITIONAL = "positional"
"""Instead of a limit: the value is given without the option's name."""
FAILED = 2
"""Exit status where the command line cannot be carried out."""


class Writes(Protocol):
    """Options that say where the result goes."""

    out: Path | None


T = TypeVar("T")
W = TypeVar("W", bound=Writes)


def run(
    options: type[W],
    measure: Callable[[W], dict[str, Any]],
    table: Callable[[dict[str, Any]], str],
    argv: Sequence[str] | None = None,
) -> int:
    """Run a program that measures once and shows a table.

    Parameters
    ----------
    options
        Dataclass of the command line.
    measure
        Returns the figures, for JSON.
    table
        Formats the figures for people.
    argv
        The command line; that of the process where none is given.

    Returns
    -------
    int
        Exit status.
    """

    def work(chosen: W) -> int:
        check_out(chosen.out)
        figures = measure(chosen)
        finish(figures, table(figures), chosen.out)
        return 0

    return guarded(options, work, argv)


def guarded(
    options: type[T], work: Callable[[T], int], argv: Sequence[str] | None = None, failed: int = FAILED
) -> int:
    """Run a program, and report a UserError in one line.

    Parameters
    ----------
    options
        Dataclass of the command line.
    work
        Returns the exit status.
    argv
        The command line; that of the process where none is given.
    failed
        Exit status after a UserError.

    Returns
    -------
    int
        Exit status.
    """
    chosen = parse(options, argv)
    log_to_console()
    try:
        return work(chosen)
    except UserError as error:
        print(f"{_name(options)}: {error}", file=sys.stderr)
        return failed


def parse(options: type[T], argv: Sequence[str] | None = None) -> T:
    """Parse a command line; argparse ends the program where it does not fit.

    Parameters
    ----------
    options
        Dataclass of the command line.
    argv
        The command line; that of the process where none is given.

    Returns
    -------
    T
        The options.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {_name(options)}",
        description=sys.modules[options.__module__].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,  # what is not given keeps the dataclass's default
    )
    hints = get_type_hints(options, include_extras=True)
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        _add(parser, field, *_taken_apart(hints[field.name]))
    return options(**vars(parser.parse_args(argv)))


def say(text: str) -> None:
    """Report progress on standard error; standard output is for the result.

    Parameters
    ----------
    text
        A line.
    """
    print(text, file=sys.stderr, flush=True)


def _name(options: type) -> str:
    """Get the name that `python -m` is given."""
    spec = sys.modules[options.__module__].__spec__  # of the module that runs, `__module__` is "__main__"
    return (spec.name if spec else options.__module__).removesuffix(".program")


def _taken_apart(hint: Any) -> tuple[Any, str, Any]:
    """Get the type of a value, its help, and what limits or reads it."""
    kind, text, limits = (*get_args(hint), None)[:3] if get_origin(hint) is Annotated else (hint, "", None)
    if isinstance(kind, UnionType):
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
    if get_origin(kind) is Literal:
        limits = get_args(kind)
        kind = type(limits[0])
    return kind, text, limits


def _add(
    parser: argparse.ArgumentParser, field: dataclasses.Field[Any], kind: Any, text: str, limits: Any
) -> None:
    if limits == POSITIONAL:
        parser.add_argument(field.name, type=kind, help=text)
        return
    settings: dict[str, Any] = {"help": text}
    if kind is bool:
        settings["action"] = "store_true"
    elif callable(limits):
        settings["type"] = limits
    else:
        if get_origin(kind) is list:
            settings |= {"nargs": "*", "action": "extend"}
            (kind,) = get_args(kind)
        settings |= {"type": kind, "choices": limits}
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
        settings["required"] = True
    parser.add_argument(f"--{field.name.replace('_', '-')}", **settings)
