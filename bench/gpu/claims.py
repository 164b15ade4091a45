"""What `bench.gpu` claims, each judged by its rows: held, not held, or not measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bench.gpu.section import Row

Sections = dict[str, dict[str, Any]]

PIXELS = 0.1
"""Grey levels that the GPU's preprocessing may lie from the CPU's."""
DECODED = 2.0
"""Mean grey levels that a frame of NVDEC's may lie from PyAV's: each rounds colours in its own way."""
LONG_FRAMES = 26_900
"""Of 27,000: a session's first frames may come before the loop is ready."""
TARGET_MS = {"p50": 0.98, "p99": 1.20, "p99_9": 1.61}
"""What strand-braid publishes without a network in its path, on another machine: a target, not a win."""
NOT_THERE = "tensorrt is not installed"
"""Reason of failed rows that speak against no claim."""


@dataclass
class Claim:
    """A claim, with the figures that speak for or against it."""

    what: str
    held: bool | None
    """None: it was not measured."""
    figures: str


def claims(sections: Sections) -> list[Claim]:
    """Judge all claims.

    Parameters
    ----------
    sections
        Rows by section.

    Returns
    -------
    list[Claim]
        In the order of what a first run should settle.
    """
    return [
        _each(sections, "machine", "DALI runs", "DALI runs on the GPU", "largest_error", 1e-3),
        _each(
            sections, "parity", "preprocess", "network inputs as on the CPU", "largest_grey_levels", PIXELS
        ),
        _each(sections, "parity", "keypoints", "float32 keypoints as on the CPU, P99 px", "p99_px", 0.05),
        _all_there(sections, "parity", "golden", "fp16 and bf16 pass the golden check"),
        _each(
            sections, "video", "every frame", "NVDEC's frames are PyAV's", "worst_frame_grey_levels", DECODED
        ),
        _counted(sections),
        _each(sections, "video", "stretches", "clips at the places asked for", "worst_grey_levels", DECODED),
        _race(sections, "waiting", "no wrong pixel where the host waits", lambda wrong: wrong == 0),
        _race(sections, "ours", "no wrong pixel by the order of streams", lambda wrong: wrong == 0),
        _race(sections, "careless", "the search for wrong pixels finds some", lambda wrong: wrong > 0),
        _tests(sections),
        *_long(sections),
        _nothing_failed(sections),
    ]


def _rows(sections: Sections, section: str, begins: str) -> list[Row]:
    rows = sections.get(section, {}).get("rows", [])
    return [row for row in rows if row["what"].startswith(begins)]


def _each(sections: Sections, section: str, begins: str, what: str, key: str, bound: float) -> Claim:
    """Every row's figure at most `bound`."""
    rows = _rows(sections, section, begins)
    found = [row[key] for row in rows if key in row]
    if not found:
        return Claim(what, None, "not measured")
    held = len(found) == len(rows) and all(value <= bound for value in found)
    return Claim(what, held, f"at most {max(found):.4g} in {len(found)} of {len(rows)} rows, bound {bound:g}")


def _all_there(sections: Sections, section: str, begins: str, what: str) -> Claim:
    rows = _rows(sections, section, begins)
    failed = [row["what"] for row in rows if "failed" in row]
    if not rows:
        return Claim(what, None, "not measured")
    return Claim(what, not failed, ", ".join(failed) or f"{len(rows)} rows")


def _counted(sections: Sections) -> Claim:
    rows = [row for row in _rows(sections, "video", "every frame") if "frames" in row]
    if not rows:
        return Claim("NVDEC gives every frame", None, "not measured")
    held = all(row["frames"] == row["frames_of_pyav"] for row in rows)
    counts = ", ".join(f"{row['frames']} of {row['frames_of_pyav']}" for row in rows)
    return Claim("NVDEC gives every frame", held, counts)


def _race(sections: Sections, way: str, what: str, good: Callable[[int], bool]) -> Claim:
    rows = [row for row in _rows(sections, "race", way) if "wrong" in row]
    if not rows:
        return Claim(what, None, "not measured")
    (row,) = rows
    return Claim(what, good(row["wrong"]), f"{row['wrong']} of {row['frames']} frames")


def _tests(sections: Sections) -> Claim:
    what = "the tests that need a GPU pass"
    rows = [row for row in _rows(sections, "tests", "pytest") if "exit" in row]
    if not rows:
        return Claim(what, None, "not run")
    counts = rows[0]["counts"]
    held = rows[0]["exit"] == 0 and counts.get("passed", 0) > 0
    return Claim(
        what, held, ", ".join(f"{n} {word}" for word, n in counts.items()) or f"exit {rows[0]['exit']}"
    )


def _long(sections: Sections) -> Iterator[Claim]:
    """Of each network's long run: that it is one; whether the target is met is said, and no claim."""
    rows = _rows(sections, "long", "")
    if not rows:
        yield Claim("27,000 frames at the camera's pace", None, "not measured")
    for row in rows:
        latency = row.get("image_to_decision_ms")
        if latency is None:
            yield Claim(row["what"], False, row.get("failed", "no latencies"))
            continue
        figures = ", ".join(
            f"{key} {latency[key]:.3f} (target {wanted:.2f})" if latency[key] is not None else f"{key} -"
            for key, wanted in TARGET_MS.items()
        )
        yield Claim(row["what"], latency["n"] >= LONG_FRAMES, f"n {latency['n']}, ms: {figures}")


def _nothing_failed(sections: Sections) -> Claim:
    failed = [name for name, section in sections.items() if section["failed"]]
    for name, section in sections.items():
        failed += [
            f"{name}: {row['what']}"
            for row in section["rows"]
            if "failed" in row and NOT_THERE not in row["failed"] and "(tried)" not in row["what"]
        ]
    return Claim("nothing failed or was left out", not failed, "; ".join(failed[:8]) or "nothing")
