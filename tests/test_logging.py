"""What is logged reaches the terminal as it is, and the loop's thread logs nothing."""

from __future__ import annotations

import ast
import functools
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.live_run import config
from support.log_recorder import register_and_record
from support.tiny_package import make_tiny_package

from rt_pose.clock import HostClock
from rt_pose.console import (
    LOGGERS,
    ConsoleHandler,
    format_line,
    line_prefix,
    log_to,
    log_to_console,
    warnings_only,
)
from rt_pose.session.run import run_session

ROOT = Path(__file__).resolve().parent.parent
LOOP_ROOMS = ("loop", "inference", "tracking", "rules", "decisions", "outputs")
LOOP_FILES = sorted(path for room in LOOP_ROOMS for path in (ROOT / "rt_pose" / room).rglob("*.py"))
BEFORE_FRAMES = {
    # Building an engine takes minutes; a ring that cannot be pinned is used as it is.
    ROOT / "rt_pose/inference/engines/tensorrt.py": {"_build"},
    ROOT / "rt_pose/inference/gpu/staging.py": {"register"},
}
"""Functions of those rooms that log: the loop's thread does not call them while it takes frames."""


def logging_functions(tree: ast.AST) -> set[str]:
    """The functions that use a logger; `import` where a module takes `logging` without using it in one."""
    imported = any(
        (isinstance(node, ast.Import) and any(alias.name.startswith("logging") for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("logging"))
        for node in ast.walk(tree)
    )
    if not imported:
        return set()
    users = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(name, ast.Name) and name.id in ("logging", "_LOG") for name in ast.walk(node))
    }
    return users or {"import"}


def test_the_check_sees_what_it_looks_for() -> None:
    bad = "import logging\n_LOG = logging.getLogger(__name__)\ndef step():\n    _LOG.info('x')\n"
    assert logging_functions(ast.parse(bad)) == {"step"}
    assert logging_functions(ast.parse("from logging import getLogger\n")) == {"import"}
    assert logging_functions(ast.parse("def step(): pass\n")) == set()


@pytest.mark.parametrize("path", LOOP_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_that_the_loops_thread_runs_logs(path: Path) -> None:
    assert logging_functions(ast.parse(path.read_text(encoding="utf-8"))) <= BEFORE_FRAMES.get(path, set())


def test_information_goes_to_standard_output_and_warnings_to_standard_error() -> None:
    code = (
        "import logging\n"
        "from rt_pose.console import line_prefix, log_to_console\n"
        "log = logging.getLogger('train.fitting.fit')\n"
        "log.info('before any program asks for it')\n"
        "log_to_console(); log_to_console()\n"
        "log.info('100 % done'); log.debug('detail'); log.warning('beware')\n"
        "with line_prefix('seed-1: '): log.info('step 5')\n"
        "logging.getLogger('another.library').info('not ours')\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd="/"
    )
    assert ran.stdout == "100 % done\nseed-1: step 5\n"
    assert ran.stderr == "beware\n"


def test_a_step_may_be_silent_and_its_warnings_are_not() -> None:
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(format_line(record))

    handler, logger = Lines(), logging.getLogger("train.quiet")
    log_to(handler)
    try:
        with warnings_only():
            logger.info("of no use")
            logger.warning("of use")
        with line_prefix("a: "):
            logger.info("again")
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(handler)
    assert lines == ["of use", "a: again"]


def test_the_console_is_added_once() -> None:
    log_to_console()
    log_to_console()
    for name in LOGGERS:
        assert sum(isinstance(h, ConsoleHandler) for h in logging.getLogger(name).handlers) == 1


def test_a_run_logs_nothing_on_the_loops_thread(tmp_path: Path) -> None:
    package = tmp_path / "package"
    make_tiny_package(package, keypoints=3)
    lines = tmp_path / "lines.txt"
    run_config = config(package, seconds=0.7)
    result = run_session(run_config, None, functools.partial(register_and_record, lines), HostClock())
    assert result.status == "complete"
    assert result.summary["cameras"]["top"]["processed"] > 10
    of_loop = [line for line in lines.read_text().splitlines() if line.startswith("rt-pose-loop MainThread ")]
    assert of_loop == ["rt-pose-loop MainThread rt_pose.loop: the recorder works"]
