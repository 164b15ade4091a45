"""Everything that only a GPU can show, in commands of less than nine minutes each.

    python -m bench.gpu --part checks     parity with the CPU, NVDEC, the order of streams, tests
    python -m bench.gpu --part speed      stages beside their floors, latency by network, frame and cameras
    python -m bench.gpu --part long       27,000 frames at the camera's pace, by two networks; a training step
    python -m bench.gpu [--quick] [--only SECTION ...] [--out STEM] [--packages DIR] [--video FILE]

Without a part every section but the long one. Each section is a process of its own with a time limit: one
that fails, hangs or brings CUDA down is recorded with its last words, keeps the rows it had, and the others
go on. Sections done by an earlier command with the same --out are kept, so the parts come together in one
file. The networks' heads are nobody's (`bench.gpu.packages`): their keypoints mean nothing, their times and
bits do. Writes STEM.json, STEM.md and STEM.html, prints tables and, last, every claim: held, not, or not
measured; exit status 1 where one was not held.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

from bench.gpu.claims import claims
from bench.gpu.page import page, text
from bench.gpu.section import Options, Rows
from bench.output import check_out, conditions, write
from bench.program import guarded
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError
from rt_pose.inference.device import cuda_devices
from rt_pose.inference.gpu.device import driver_version

WHOLE_S = 520.0
"""Time, s, after which nothing is begun and what runs is ended."""
SECTIONS = {
    # name: seconds that it may take, whole and with --quick
    "machine": (30.0, 30.0),
    "packages": (100.0, 60.0),
    "parity": (80.0, 40.0),
    "video": (40.0, 30.0),
    "race": (60.0, 20.0),
    "stages": (110.0, 30.0),
    "latency": (240.0, 60.0),
    "training": (60.0, 40.0),
    "tests": (150.0, 60.0),
    "long": (330.0, 60.0),
}
"""In the order of what a first run should settle; what comes first is there even where time runs out."""
PARTS = {
    "checks": ("machine", "packages", "parity", "video", "race", "tests"),
    "speed": ("machine", "packages", "stages", "latency"),
    "long": ("machine", "packages", "long", "training"),
}
"""Sections for one command each. Every part makes the packages where they are not there: a machine lent anew
is a bare one."""
REPORTED = 1500
"""Characters kept of what a section that failed said last."""


@dataclass(kw_only=True)
class Command:
    """The command line."""

    quick: Annotated[bool, "every section, a fraction of its rows"] = False
    out: Annotated[Path, "stem of the result files"] = Path("runs/bench/gpu")
    packages: Path = Path("runs/bench/gpu-packages")
    video: Annotated[Path | None, "an H.264 recording; without it one is made"] = None
    only: Annotated[list[str], "these sections and no others", list(SECTIONS)] = field(default_factory=list)
    part: Annotated[str, "the sections of one command", list(PARTS)] = ""
    section: Annotated[str, argparse.SUPPRESS, list(SECTIONS)] = ""
    rows: Annotated[Path, argparse.SUPPRESS] = Path()
    seconds: Annotated[float, argparse.SUPPRESS] = 0.0


def main() -> int:
    """Run the command line."""
    return guarded(Command, _main)


def _main(options: Command) -> int:
    if not options.section:
        options.out.parent.mkdir(parents=True, exist_ok=True)
    check_out(options.out)
    _check_gpu()
    return _run_here(options) if options.section else _finish(_run_all(options), options.out)


def module_of(section: str) -> str:
    """Get the module that measures a section; `tests` would read as a folder of tests.

    Parameters
    ----------
    section
        One of `SECTIONS`.

    Returns
    -------
    str
        Name of the module.
    """
    return f"bench.gpu.{'suite' if section == 'tests' else section}"


def _check_gpu() -> None:
    if cuda_devices() == 0:
        raise UserError(
            f"this machine shows no CUDA device (driver for CUDA {driver_version() / 1000:g}); run it where "
            "`nvidia-smi` lists a GPU"
        )


def _run_here(options: Command) -> int:
    """One section, in this process."""
    rows = Rows(options.rows, options.seconds, HostClock())
    section = import_module(module_of(options.section))
    section.measure(Options(options.packages, options.video, options.quick), rows)
    return 0


def _run_all(options: Command) -> dict[str, Any]:
    clock = HostClock()
    begin_ns = clock.now_ns()
    figures: dict[str, Any] = {"bench": "gpu", "quick": options.quick, **conditions()}
    figures["sections"] = earlier(options.out, options.quick)
    with tempfile.TemporaryDirectory(prefix="rt-pose-gpu-") as folder:
        for name in chosen(options.only, options.part):
            left_s = WHOLE_S - (clock.now_ns() - begin_ns) / NS_PER_S
            limit_s = min(SECTIONS[name][options.quick], left_s)
            print(f"{name} (at most {max(limit_s, 0):.0f} s) ...", file=sys.stderr, flush=True)
            figures["sections"][name] = _section(name, options, limit_s, Path(folder) / f"{name}.json", clock)
            # Written after each: what is there stays even if this process is killed.
            write(figures, text(figures), options.out)
    figures["seconds"] = round((clock.now_ns() - begin_ns) / NS_PER_S, 1)
    return figures


def chosen(only: Sequence[str], part: str) -> Sequence[str]:
    """Choose the sections to run.

    Parameters
    ----------
    only
        Sections of the command line; empty for no choice.
    part
        One of `PARTS`; empty for every section but the long one.

    Returns
    -------
    Sequence[str]
        Names of sections.
    """
    if only:
        return only
    return PARTS[part] if part else [name for name in SECTIONS if name != "long"]


def earlier(out: Path, quick: bool) -> dict[str, Any]:
    """Read the sections that an earlier command left.

    Parameters
    ----------
    out
        Stem of the result files.
    quick
        Whether this is a quick run.

    Returns
    -------
    dict[str, Any]
        Rows by section; empty where there are none, or of the other kind.

    Raises
    ------
    UserError
        Where the file is no result of this program.
    """
    file = out.with_name(out.name + ".json")
    if not file.is_file():
        return {}
    try:
        figures = json.loads(file.read_text(encoding="utf-8"))
        return dict(figures["sections"]) if figures["quick"] == quick else {}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"--out {out}: {file} is no result of this program; give another name") from error


def _section(name: str, options: Command, limit_s: float, file: Path, clock: HostClock) -> dict[str, Any]:
    """A section's rows, how long it took, and what went wrong."""
    if limit_s < 5:
        return {"rows": [], "failed": "left out: the time was over", "seconds": 0.0}
    command = [sys.executable, "-m", "bench.gpu", "--section", name, "--rows", str(file)]
    command += ["--seconds", f"{limit_s - 5:.0f}", "--packages", str(options.packages)]
    command += ["--quick"] if options.quick else []
    command += ["--video", str(options.video)] if options.video else []
    begin_ns = clock.now_ns()
    failed = run_limited(command, limit_s)
    rows = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    return {"rows": rows, "failed": failed, "seconds": round((clock.now_ns() - begin_ns) / NS_PER_S, 1)}


def run_limited(command: list[str], limit_s: float) -> str:
    """Run a command to its end.

    One that takes too long is ended with all the processes it started: they would go on using the GPU.

    Parameters
    ----------
    command
        The command line.
    limit_s
        Longest time, s.

    Returns
    -------
    str
        What went wrong, with its last output; empty where nothing did.
    """
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        messages, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        messages, _ = process.communicate()
        return f"not done after {limit_s:.0f} s: {messages[-REPORTED:].strip()}"
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return f"exit {process.returncode}: {messages[-REPORTED:].strip()}" if process.returncode else ""


def _finish(figures: dict[str, Any], out: Path) -> int:
    """Write and print all of it; the exit status."""
    judged = claims(figures["sections"])
    figures["claims"] = [asdict(claim) for claim in judged]
    write(figures, text(figures), out)
    out.with_name(out.name + ".html").write_text(page(figures), encoding="utf-8")
    print(json.dumps(figures))
    print(text(figures))
    return 1 if any(claim.held is False for claim in judged) else 0
