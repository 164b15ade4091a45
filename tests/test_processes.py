"""The process that tests is to its tests like one that a user began, wherever it comes from."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading

from support.programs import real_popen


def test_nobody_forked_it() -> None:
    assert multiprocessing.parent_process() is None
    assert multiprocessing.current_process().name == "MainProcess"
    assert multiprocessing.get_start_method() == "fork"
    assert threading.current_thread() is threading.main_thread()


def test_what_it_starts_begins_cold() -> None:
    assert subprocess.Popen is real_popen
    code = "import sys; print(*(name for name in ('numpy', 'rt_pose', 'torch') if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
