"""Two runs of `rt-pose bench latency` side by side: ratios, and what else differs between them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rt_pose.errors import UserError

PERCENTILES = ("p50", "p90", "p99", "p99_9", "max")
MACHINE = ("cpu", "cores_usable", "features", "arch")
"""Keys in which two machines must agree to count as the same; memory and kernel are not among them."""


def read_earlier(path: Path) -> dict[str, Any]:
    """Read the figures that an earlier run wrote.

    Parameters
    ----------
    path
        Its latency.json.

    Returns
    -------
    dict[str, Any]
        The figures.

    Raises
    ------
    UserError
        Where the file is no result of `rt-pose bench latency`.
    """
    if not path.is_file():
        raise UserError(
            f"--compare {path}: no such file; `rt-pose bench latency --out DIR` writes latency.json"
        )
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"--compare {path}: not JSON: {error}") from error
    missing = [key for key in ("latency_ms", "machine") if not isinstance(found, dict) or key not in found]
    if missing:
        raise UserError(
            f"--compare {path}: not a result of `rt-pose bench latency`: it has no `{missing[0]}`"
        )
    return dict(found)


def compare(now: dict[str, Any], earlier: dict[str, Any], file: str) -> dict[str, Any]:
    """Compare a run with an earlier one.

    Parameters
    ----------
    now, earlier
        Figures of both.
    file
        Name of the earlier file.

    Returns
    -------
    dict[str, Any]
        Notes, and ratios now / earlier by figure and percentile; None where either is missing.
    """
    ours, theirs = _rows(now), _rows(earlier)
    ratios = {
        name: {key: _ratio(found.get(key), theirs[name].get(key)) for key in PERCENTILES}
        for name, found in ours.items()
        if name in theirs
    }
    return {"file": file, "notes": notes(now, earlier), "ratios": ratios, "earlier": theirs}


def notes(now: dict[str, Any], earlier: dict[str, Any]) -> list[str]:
    """Say what weakens the ratios: another machine, engine, package or recording.

    Parameters
    ----------
    now, earlier
        Figures of both.

    Returns
    -------
    list[str]
        A sentence each.
    """
    found = []
    if any(now["machine"].get(key) != earlier["machine"].get(key) for key in MACHINE):
        found.append(
            f"different machines: this one is {machine_name(now['machine'])}; that one was "
            f"{machine_name(earlier['machine'])}. The ratios compare machines, not versions of the program"
        )
    for name, here, there in (
        ("engine", _engine(now), _engine(earlier)),
        ("package", now.get("package", {}).get("sha256"), earlier.get("package", {}).get("sha256")),
        ("versions", now.get("versions"), earlier.get("versions")),
        *_recordings(now, earlier),
    ):
        if here != there:
            found.append(f"different {name}: {_shown(here, there)}; that one: {_shown(there, here)}")
    return found


def machine_name(machine: dict[str, Any]) -> str:
    """Describe a machine in words.

    Parameters
    ----------
    machine
        What `rt_pose.session.describe.machine` returned.

    Returns
    -------
    str
        Processor, cores and features.
    """
    features = " ".join(machine.get("features") or []) or "no features known"
    return f"{machine.get('cpu')}, {machine.get('cores_usable')} cores ({features})"


def _rows(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every summary of a result by name; an older result has fewer."""
    rows = dict(figures["latency_ms"])
    rows |= {f"stage {name}": found for name, found in figures.get("stages_ms", {}).items()}
    bare = figures.get("bench", {}).get("reference", {}).get("bare_ms", {})
    rows |= {f"bare {name}": found for name, found in bare.items()}
    return {name: found for name, found in rows.items() if found}


def _ratio(here: float | None, there: float | None) -> float | None:
    # Overheads may be near or below zero, where a ratio says nothing.
    return round(here / there, 4) if here is not None and there and here > 0 and there > 0 else None


def _engine(figures: dict[str, Any]) -> dict[str, Any]:
    engine = figures.get("engine", {})
    return {key: engine.get(key) for key in ("backend", "precision", "threads", "preprocess")}


def _recordings(now: dict[str, Any], earlier: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    here, there = (f.get("bench", {}).get("recording") for f in (now, earlier))
    if here is None or there is None:
        return []  # an older result does not say what was played
    return [
        ("recording", {**here, "path": Path(here["path"]).name}, {**there, "path": Path(there["path"]).name})
    ]


def _shown(value: Any, other: Any) -> str:
    """A value; of a mapping only what differs from `other`."""
    if isinstance(value, dict) and isinstance(other, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items() if other.get(k) != v) or "-"
    return str(value)[:32]
