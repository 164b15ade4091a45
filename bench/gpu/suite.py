"""The tests that need a GPU, as pytest runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from bench.gpu.section import Options, Row, Rows

FILES = ("tests/inference", "tests/train/data/test_device_clips.py")
LENIENT = ("-p", "no:cacheprovider", "-o", "addopts=", "-W", "default")
"""Another machine's torch may give other warnings, and it may lack pytest's plug-ins."""
QUICK_FRAMES, FRAMES = "1000", "10000"


def measure(options: Options, rows: Rows) -> None:
    """Run the tests: one row with how many passed, failed and were skipped, and the failures' names.

    Parameters
    ----------
    options
        Of the section.
    rows
        Keeps the rows.
    """
    rows.add("pytest -m gpu", _run, options, rows.left_s())


def _run(options: Options, limit_s: float) -> Row:
    environment = os.environ | {"RT_POSE_GPU_FRAMES": QUICK_FRAMES if options.quick else FRAMES}
    command = [sys.executable, "-m", "pytest", *FILES, "-m", "gpu", "-q", "-rfEs", *LENIENT]
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=max(limit_s - 3, 1),
            check=False,
        )
        messages, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as error:
        found = error.stdout or b""
        messages, code = found if isinstance(found, str) else found.decode(errors="replace"), -1
    lines = [line[:300] for line in messages.splitlines() if line.startswith(("FAILED", "ERROR", "SKIPPED"))]
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)", messages)}
    row: Row = {"exit": code, "counts": counts, "lines": lines, "tail": messages[-1500:] if code else ""}
    return row if code == 0 else row | {"failed": f"pytest ended with {code}; " + "; ".join(lines[:4])}
