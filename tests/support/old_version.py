"""Files that an earlier version of the program wrote: `tests/fixtures/VERSION`."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

V0_1 = Path(__file__).resolve().parents[1] / "fixtures" / "v0_1"


def unpack(archive: str, into: Path) -> Path:
    """Extract `archive` of the fixtures; the folder it was extracted into."""
    with tarfile.open(V0_1 / archive) as packed:
        packed.extractall(into, filter="data")
    return into


def copy_session(into: Path) -> Path:
    """A copy of the recorded session without what audits and reports left in it; its folder."""
    session = shutil.copytree(V0_1 / "session", into / "session")
    for name in ("report.json", "replay.json"):
        (session / name).unlink()
    return session


def differences(old: Any, new: Any, ignored: tuple[str, ...] = (), at: str = "") -> list[str]:
    """Where `new` lacks a key of `old` or has another value; keys that `old` has not are no difference.

    Floats may differ by a millionth. `ignored` are paths of keys, joined by dots.
    """
    if at in ignored:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        missing = [f"{at}.{key}: is missing" for key in old if key not in new]
        both = [key for key in old if key in new]
        return missing + [
            found
            for key in both
            for found in differences(old[key], new[key], ignored, f"{at}.{key}".strip("."))
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [found for i, (a, b) in pairs for found in differences(a, b, ignored, f"{at}.{i}")]
    if isinstance(old, float) and isinstance(new, int | float) and not isinstance(new, bool):
        return [] if new == pytest.approx(old, rel=1e-6, abs=1e-6) else [f"{at}: was {old}, is {new}"]
    return [] if old == new else [f"{at}: was {old!r}, is {new!r}"]


def missing_keys(old: Any, new: Any, counts: tuple[str, ...] = (), at: str = "") -> list[str]:
    """Paths of the keys of `old` that `new` has not; values, and the lengths of lists, may differ.

    What was not measured is null, also where `old` has a whole table. `counts` are names of tables whose keys
    are what happened.
    """
    if new is None:
        return []
    if isinstance(old, list) and isinstance(new, list):
        return missing_keys(old[0], new[0], counts, f"{at}[]") if old and new else []
    if not isinstance(old, dict):
        return []
    if not isinstance(new, dict):
        return [at]
    if at.rpartition(".")[2] in counts:
        return []
    missing = [f"{at}.{key}" for key in old if key not in new]
    both = [key for key in old if key in new]
    return missing + [
        path for key in both for path in missing_keys(old[key], new[key], counts, f"{at}.{key}")
    ]
