"""The wheel in empty environments: built, installed, and an experiment run with it; sizes and times.

Not part of the tests, since it installs from the network: `make wheel-check`, or by hand

    PYTHONPATH=tests python tests/packaging/check_wheel.py --python python3.12 --extras viewer int8 osc,lsl
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from support.clip import write_clip
from support.tiny_package import make_tiny_package

from rt_pose.clock import NS_PER_S, HostClock

ROOT = Path(__file__).resolve().parents[2]
SHADOWS = ("train", "bench", "rigs", "rt_pose")
"""Folders of the place where it is tried, in which the wrong packages lie."""
NEVER = ("torch", "nvidia", "pytorch_lightning", "tensorboard", "PySide6", "pandas", "tables")
"""What the bare wheel must not bring."""


def call(*command: object, cwd: Path) -> str:
    """Run a command without the clone on Python's path; what it printed. It must end well."""
    words = [str(word) for word in command]
    alone = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(words, cwd=cwd, env=alone, capture_output=True, text=True, check=False)
    if done.returncode:
        messages = done.stdout + done.stderr
        raise SystemExit(f"{' '.join(words)}\nended with {done.returncode}:\n{messages}")
    return done.stdout + done.stderr


def build(scratch: Path) -> Path:
    """The wheel of the files of this clone, built beside them: no old `build/` folder gets in."""
    files = call("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines()
    source = scratch / "source"
    for name in files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():
            (source / name).symlink_to((ROOT / name).readlink())
        elif (ROOT / name).is_file():
            (source / name).write_bytes((ROOT / name).read_bytes())
    call(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", scratch, source, cwd=scratch)
    return next(scratch.glob("*.whl"))


def install(python: str, environment: Path, wheel: Path, extras: str, before: list[str]) -> dict[str, object]:
    """A new environment with the wheel; seconds and MB, without pip's own."""
    call(python, "-m", "venv", environment, cwd=ROOT)
    site = next(environment.glob("lib/python*/site-packages"))
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check"]
    clock, empty = HostClock(), megabytes(site)
    if before:
        call(*pip, *before, cwd=ROOT)
    started = clock.now_ns()
    call(*pip, f"{wheel}[{extras}]" if extras else wheel, cwd=ROOT)
    seconds = (clock.now_ns() - started) / NS_PER_S
    return {"extras": extras, "seconds": round(seconds, 1), "megabytes": megabytes(site) - empty}


def megabytes(folder: Path) -> int:
    """Size of a folder on the disk."""
    return int(call("du", "-sm", folder, cwd=ROOT).split()[0])


def try_out(environment: Path, place: Path) -> None:
    """The program outside the clone, among folders that bear the names of our packages."""
    for name in SHADOWS:
        (place / name).mkdir(parents=True)
        (place / name / "__init__.py").write_text("raise RuntimeError('the wrong package')\n")
    make_tiny_package(place / "package")
    write_clip(place / "video.avi", frames=40, rate_hz=20)
    program = environment / "bin" / "rt-pose"
    where = "import rt_pose, train, rigs, bench; print(*rt_pose.__path__, *train.__path__, *bench.__path__)"
    found = call(environment / "bin" / "python", "-P", "-c", where, cwd=place).split()
    assert all(path.startswith(str(environment)) for path in found), found
    for words in (["--version"], ["configs"], ["configs", "copy", "video"], ["doctor"]):
        print(call(program, *words, cwd=place), end="")
    ports = ["--publish.address", "tcp://127.0.0.1:*", "--publish.control", "tcp://127.0.0.1:*"]
    run = ["run", "video.yaml", "--model", "package", "--camera", "video.avi", "--seconds", "3", *ports]
    print(call(program, *run, "--out", "session", cwd=place), end="")
    print(call(program, "replay", "session", cwd=place), end="")


def try_with(extras: str, python: str, wheel: Path, scratch: Path, before: list[str]) -> dict[str, object]:
    """Install the wheel with extras into an empty environment and run it there; the figures, for JSON."""
    environment = scratch / "environment"
    found = install(python, environment, wheel, extras, before)
    version = call(environment / "bin" / "python", "--version", cwd=scratch).strip()
    if not extras:
        site = next(environment.glob("lib/python*/site-packages"))
        brought = [name for name in NEVER if (site / name).exists()]
        assert not brought, f"the live half brings {brought}"
    try_out(environment, scratch / "place")
    for folder in (environment, scratch / "place"):
        shutil.rmtree(folder)
    return {"wheel": wheel.name, "python": version, **found}


def main() -> None:
    """Print what was seen; ends with a message where something is not as it should be."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("--python", default=sys.executable, help="The Python of the empty environments.")
    parser.add_argument(
        "--extras",
        nargs="*",
        default=[],
        help="Of rt-pose: an environment for each, after that of the live half; several in one with commas.",
    )
    parser.add_argument("--before", nargs="*", default=[], help="Installed first, e.g. a CPU build of torch.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rt-pose-wheel-") as folder:
        scratch = Path(folder)
        wheel = build(scratch)
        rows = [
            try_with(extras, options.python, wheel, scratch, options.before if extras else [])
            for extras in ["", *options.extras]
        ]
    for row in rows:
        print(json.dumps(row))
    print("the wheel works")


if __name__ == "__main__":
    main()
