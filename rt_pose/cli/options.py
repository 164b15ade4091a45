"""What verbs share: exit codes, options of a configuration, and options as plain values."""

from __future__ import annotations

from typing import Any

from jsonargparse import ArgumentParser, Namespace

EXIT_OK, EXIT_FAILED, EXIT_USER = 0, 1, 2
EXIT_INTERRUPTED = 130
"""By Ctrl-C: 128 and the signal's number, as shells have it."""


def plain(options: Namespace) -> dict[str, Any]:
    """A verb's options as nested dicts, as `build` takes them, without the file they came from."""
    values = options.as_dict() if isinstance(options, Namespace) else dict(options)
    values.pop("config", None)
    return values


def add_config(parser: ArgumentParser, kind: type, skip: set[str] | None = None) -> None:
    """Options for each field of a configuration class, and `--config FILE` for many of them."""
    parser.add_argument("--config", action="config", help="YAML file; flags after it win.")
    parser.add_class_arguments(kind, nested_key=None, skip=skip)


def add_tolerance(parser: ArgumentParser) -> None:
    """The option of verbs that match events to episodes of the truth."""
    parser.add_argument(
        "--tolerance-ms",
        type=float,
        default=100.0,
        help="So far from the episode it belongs to may an event take effect (ms).",
    )


def no_options(parser: ArgumentParser) -> None:
    """For verbs that take none."""
