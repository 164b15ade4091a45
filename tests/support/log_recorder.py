"""A driver registration that also writes down what every process of a run logs, and on which thread."""

from __future__ import annotations

import logging
import multiprocessing
import threading
from pathlib import Path

import rigs
from rt_pose.console import LOGGERS


class Recorder(logging.Handler):
    """Writes down which process and thread log what."""

    def __init__(self, out: Path) -> None:
        super().__init__(logging.DEBUG)
        self._out = out

    def emit(self, record: logging.LogRecord) -> None:
        place = f"{multiprocessing.current_process().name} {threading.current_thread().name}"
        with self._out.open("a") as file:
            file.write(f"{place} {record.name}: {record.getMessage()}\n")


def register_and_record(out: Path) -> None:
    """Children of a run call it before anything else: from then on each line of ours is written down."""
    rigs.register()
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        logger.addHandler(Recorder(out))
    logging.getLogger("rt_pose.loop").info("the recorder works")
