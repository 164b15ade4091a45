"""Everything that only a GPU can show, in one command of less than nine minutes.

    python -m bench.gpu [--quick] [--out STEM] [--packages DIR] [--video FILE]

Each section is a process of its own with a time limit: one that fails, hangs or brings CUDA down is recorded
with its last words, keeps the rows it had, and the others go on. The networks' heads are nobody's
(`bench.gpu_packages`): their keypoints mean nothing, their times and bits do. Writes STEM.json and STEM.md,
and prints a short table last.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.gpu_page import short_table
from bench.gpu_section import Options, Rows
from bench.output import check_out, conditions
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError
from rt_pose.gpu.device import driver_version
from rt_pose.loop.device import cuda_devices

WHOLE_S = 520.0
"""After so long nothing is begun and what runs is ended."""
SECTIONS = {
    # name: seconds that it may take, whole and with --quick
    "machine": (40.0, 30.0),
    "packages": (150.0, 60.0),
    "parity": (60.0, 40.0),
    "video": (40.0, 30.0),
    "race": (60.0, 20.0),
    "stages": (80.0, 30.0),
    "latency": (260.0, 60.0),
    "training": (90.0, 40.0),
    "tests": (150.0, 60.0),
}
"""In the order of what a first run should settle; what comes first is there even where time runs out."""
SAID = 1500
"""Characters kept of what a section that failed said last."""


def main() -> int:
    """The command line."""
    options = _parsed()
    try:
        check_out(options.out)
        _check_gpu()
        if options.section:
            return _run_here(options)
        figures = _run_all(options)
    except UserError as error:
        print(f"gpu: {error}", file=sys.stderr)
        return 2
    _finish(figures, options.out)
    return 0


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="every section, a fraction of its rows")
    parser.add_argument("--out", type=Path, default=Path("runs/bench/gpu"), help="stem of the result files")
    parser.add_argument("--packages", type=Path, default=Path("runs/bench/gpu-packages"))
    parser.add_argument("--video", type=Path, help="an H.264 recording; without it one is made")
    parser.add_argument("--only", nargs="*", choices=list(SECTIONS), help="these sections and no others")
    parser.add_argument("--section", choices=list(SECTIONS), help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.section:
        options.out.parent.mkdir(parents=True, exist_ok=True)
    return options


def _check_gpu() -> None:
    if cuda_devices() == 0:
        raise UserError(
            f"this machine shows no CUDA device (driver for CUDA {driver_version() / 1000:g}); run it where "
            "`nvidia-smi` lists a GPU"
        )


def _run_here(options: argparse.Namespace) -> int:
    """One section, in this process."""
    rows = Rows(options.rows, options.seconds, HostClock())
    section = import_module(f"bench.gpu_{options.section}")
    section.measure(Options(options.packages, options.video, options.quick), rows)
    return 0


def _run_all(options: argparse.Namespace) -> dict[str, Any]:
    clock = HostClock()
    begin_ns = clock.now_ns()
    figures: dict[str, Any] = {"bench": "gpu", "quick": options.quick, **conditions(), "sections": {}}
    with tempfile.TemporaryDirectory(prefix="rt-pose-gpu-") as folder:
        for name in options.only or SECTIONS:
            left_s = WHOLE_S - (clock.now_ns() - begin_ns) / NS_PER_S
            limit_s = min(SECTIONS[name][options.quick], left_s)
            print(f"{name} (at most {max(limit_s, 0):.0f} s) ...", file=sys.stderr, flush=True)
            figures["sections"][name] = _section(name, options, limit_s, Path(folder) / f"{name}.json", clock)
            # Written after each: what is there stays even if this process is killed.
            options.out.with_suffix(".json").write_text(
                json.dumps(figures, indent=1) + "\n", encoding="utf-8"
            )
    figures["seconds"] = round((clock.now_ns() - begin_ns) / NS_PER_S, 1)
    return figures


def _section(
    name: str, options: argparse.Namespace, limit_s: float, file: Path, clock: HostClock
) -> dict[str, Any]:
    """A section's rows, how long it took, and what went wrong."""
    if limit_s < 5:
        return {"rows": [], "failed": "left out: the time was over", "seconds": 0.0}
    command = [sys.executable, "-m", "bench.gpu", "--section", name, "--rows", str(file)]
    command += ["--seconds", f"{limit_s - 5:.0f}", "--packages", str(options.packages)]
    command += ["--quick"] if options.quick else []
    command += ["--video", str(options.video)] if options.video else []
    begin_ns = clock.now_ns()
    failed = ""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
        )
        if done.returncode != 0:
            failed = f"exit {done.returncode}: {done.stdout[-SAID:].strip()}"
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode(errors="replace")
        failed = f"not done after {limit_s:.0f} s: {said[-SAID:].strip()}"
    rows = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    return {"rows": rows, "failed": failed, "seconds": round((clock.now_ns() - begin_ns) / NS_PER_S, 1)}


def _finish(figures: dict[str, Any], out: Path) -> None:
    text = short_table(figures)
    out.with_suffix(".json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(json.dumps(figures))
    print(text)


if __name__ == "__main__":
    sys.exit(main())
