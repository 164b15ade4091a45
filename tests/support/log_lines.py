"""The lines that a call logs, collected instead of shown."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from rt_pose.console import LOGGERS, format_line

T = TypeVar("T")


class _Lines(logging.Handler):
    def __init__(self, take: Callable[[str], object]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        self._take(format_line(record))


def log_into(
    lines: list[str] | Callable[[str], object], call: Callable[..., T], *args: Any, **options: Any
) -> T:
    """What `call` returns; every line that is logged meanwhile goes to `lines`, a list or a function."""
    handler = _Lines(lines.append if isinstance(lines, list) else lines)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    try:
        return call(*args, **options)
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
