"""Rising edges that another program has recorded, as its exports hold them.

open-ephys  a `TTL` folder of the binary format (states.npy or channel_states.npy with timestamps.npy and
            sample_numbers.npy), or the table of events as CSV (line or channel, state, timestamp or
            timestamps, sample_number)
spikeglx    the text that CatGT and TPrime write: one time a line, in s; a file holds one line's edges
lsl         a CSV of time and marker, as one exports an XDF's stream of markers
csv         any table of times in s, with a column `time` and perhaps `line` and `state`
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.errors import UserError
from rt_pose.types import FloatArray

MOST_BYTES = 256 << 20
TIMES = ("timestamp", "timestamps", "time", "time_s", "seconds", "t")
SAMPLES = ("sample_number", "sample_numbers", "sample")
LINES = ("line", "channel")
MARKERS = ("marker", "markers", "value", "label", "event")
UNKNOWN_TIME = -1.0
"""What Open Ephys writes for the time of a stream that was not synchronised."""


@dataclass
class RecordedLines:
    """Rising edges of each recorded line."""

    path: Path
    format: str
    rises_s: dict[str, FloatArray]
    """By the line's name: times, s, in order."""

    def line(self, name: str | None) -> FloatArray:
        """Get the edges of a line.

        Parameters
        ----------
        name
            Its name; None where there is only one.

        Returns
        -------
        FloatArray
            Times, s, in order.

        Raises
        ------
        UserError
            Where there is no such line, or where there are several and none is named.
        """
        there = ", ".join(f"{line} ({len(times)} edges)" for line, times in list(self.rises_s.items())[:20])
        if name is None and len(self.rises_s) == 1:
            return next(iter(self.rises_s.values()))
        if name is None:
            raise UserError(f"events {self.path}: several lines; choose one with --line: {there}")
        if name not in self.rises_s:
            raise UserError(f"events {self.path}: no rising edge of a line '{name}'; there are: {there}")
        return self.rises_s[name]


def read_events(path: Path, format: str | None = None, rate_hz: float | None = None) -> RecordedLines:
    """Read the rising edges of an export.

    Parameters
    ----------
    path
        A file, or a folder of Open Ephys.
    format
        One of `rt_pose.offline.event_formats.FORMATS`; None: told by the content.
    rate_hz
        Samples a second, for exports that have sample numbers only.

    Returns
    -------
    RecordedLines
        The edges.

    Raises
    ------
    UserError
        Where it cannot be read, or holds no rising edge.
    """
    if not path.exists():
        raise UserError(f"events {path}: no such file or folder")
    if path.is_dir():
        if format not in (None, "open-ephys"):
            raise UserError(f"events {path}: is a folder; only --format open-ephys reads one")
        return _lines(path, "open-ephys", *_open_ephys_folder(path, rate_hz))
    rows = _rows(path)
    known = format or _format_of(rows)
    return _lines(path, known, *_READERS[known](path, rows, rate_hz))


Edges = tuple[FloatArray, list[str]]
"""Times of rising edges, s, and the line of each."""


def _lines(path: Path, format: str, times: FloatArray, names: Sequence[str]) -> RecordedLines:
    if not len(times):
        raise UserError(f"events {path}: no rising edge in it (read as {format})")
    if not np.isfinite(times).all():
        raise UserError(f"events {path}: expected finite times in s, got {times[~np.isfinite(times)][0]}")
    by_name: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        by_name.setdefault(name, []).append(i)
    return RecordedLines(path, format, {name: np.sort(times[at]) for name, at in sorted(by_name.items())})


def _open_ephys_folder(path: Path, rate_hz: float | None) -> Edges:
    """A TTL folder: of version 0.6 on with times in s, before it with sample numbers."""
    folder = _ttl_folder(path)
    old = not (folder / "states.npy").is_file()
    states = _load(folder / ("channel_states.npy" if old else "states.npy"))
    seconds = None if old else _load(folder / "timestamps.npy")
    if seconds is not None and (seconds != UNKNOWN_TIME).any():
        times = seconds.astype(float)
    else:
        samples = _load(folder / ("timestamps.npy" if old else "sample_numbers.npy"))
        times = samples / _rate(folder, rate_hz)
    if len(states) != len(times):
        raise UserError(f"events {folder}: {len(states)} states and {len(times)} times; they must be as many")
    rising = states > 0
    return times[rising], [str(int(state)) for state in states[rising]]


def _ttl_folder(path: Path) -> Path:
    """The folder itself, or the only TTL folder below it."""
    if any((path / name).is_file() for name in ("states.npy", "channel_states.npy")):
        return path
    found = sorted(p for p in path.glob("**/TTL*") if p.is_dir())
    if len(found) != 1:
        there = ", ".join(str(p.relative_to(path)) for p in found[:10]) or "none"
        raise UserError(f"events {path}: expected one TTL folder of Open Ephys in it; there are: {there}")
    return found[0]


def _load(path: Path) -> np.ndarray[Any, Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"events {path}: larger than {MOST_BYTES >> 20} MiB")
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError, OverflowError) as error:
        raise UserError(f"events {path}: cannot be read: {error}") from error
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "iuf":
        raise UserError(f"events {path}: expected one column of numbers")
    return array


def _rows(path: Path) -> list[list[str]]:
    """The rows of a text table: separated by commas, tabs or semicolons."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"events {path}: larger than {MOST_BYTES >> 20} MiB")
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.read(4096)
            file.seek(0)
            separator = max(",\t;", key=head.count)
            rows = [row for row in csv.reader(file, delimiter=separator) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"events {path}: cannot be read as a table of text: {error}") from error
    if not rows:
        raise UserError(f"events {path}: is empty")
    return rows


def _format_of(rows: list[list[str]]) -> str:
    head = [cell.strip().lower() for cell in rows[0]]
    if any(name in head for name in LINES) and "state" in head:
        return "open-ephys"
    if len(rows[0]) == 1 and _number(rows[0][0]) is not None:
        return "spikeglx"
    if any(name in head for name in MARKERS) or (len(head) == 2 and _number(head[0]) is not None):
        return "lsl"
    return "csv"


def _open_ephys_table(path: Path, rows: list[list[str]], rate_hz: float | None) -> Edges:
    head = _head(rows)
    line = _column(path, head, LINES, "the line")
    state = _column(path, head, ("state",), "the state")
    times = _times(path, head, rows[1:], rate_hz)
    states = _numbers(path, rows[1:], state, "state")
    rising = states > 0
    return times[rising], [row[line].strip() for row, rises in zip(rows[1:], rising, strict=True) if rises]


def _spikeglx(path: Path, rows: list[list[str]], rate_hz: float | None) -> Edges:  # noqa: ARG001
    if len(rows[0]) != 1:
        raise UserError(
            f"events {path}: expected one time a line, as CatGT and TPrime write it, got "
            f"{len(rows[0])} columns"
        )
    return _numbers(path, rows, 0, "time", first_line=1), ["0"] * len(rows)


def _markers(path: Path, rows: list[list[str]], rate_hz: float | None) -> Edges:
    head = _head(rows)
    if _number(rows[0][0]) is not None:  # without a row of names
        times, marker, body = _numbers(path, rows, 0, "time", first_line=1), 1, rows
    else:
        body = rows[1:]
        times, marker = _times(path, head, body, rate_hz), _column(path, head, MARKERS, "the marker")
    return times, [row[marker].strip() if marker < len(row) else "" for row in body]


def _table(path: Path, rows: list[list[str]], rate_hz: float | None) -> Edges:
    head = _head(rows)
    times = _times(path, head, rows[1:], rate_hz)
    line = next((head[name] for name in LINES if name in head), None)
    names = ["0"] * len(times) if line is None else [row[line].strip() for row in rows[1:]]
    if "state" not in head:
        return times, names
    rising = _numbers(path, rows[1:], head["state"], "state") > 0
    return times[rising], [name for name, rises in zip(names, rising, strict=True) if rises]


_READERS: dict[str, Callable[[Path, list[list[str]], float | None], Edges]] = {
    "open-ephys": _open_ephys_table,
    "spikeglx": _spikeglx,
    "lsl": _markers,
    "csv": _table,
}


def _head(rows: list[list[str]]) -> dict[str, int]:
    return {cell.strip().lower(): i for i, cell in enumerate(rows[0])}


def _column(path: Path, head: dict[str, int], names: tuple[str, ...], what: str) -> int:
    for name in names:
        if name in head:
            return head[name]
    raise UserError(
        f"events {path}: no column of {what} ({' or '.join(names)}); there are: {', '.join(head) or 'none'}"
    )


def _times(path: Path, head: dict[str, int], rows: list[list[str]], rate_hz: float | None) -> FloatArray:
    """Times in s; from sample numbers where there are no others."""
    name = next((name for name in TIMES if name in head), None)
    if name is not None:
        times = _numbers(path, rows, head[name], name)
        if not len(times) or (times != UNKNOWN_TIME).any():
            return times
    if any(sample in head for sample in SAMPLES):
        column = _column(path, head, SAMPLES, "sample numbers")
        return _numbers(path, rows, column, "sample number") / _rate(path, rate_hz)
    return _numbers(path, rows, _column(path, head, TIMES, "times in s"), "time")


def _rate(path: Path, rate_hz: float | None) -> float:
    if rate_hz is None:
        raise UserError(
            f"events {path}: has sample numbers and no times in s; say with --rate-hz how many make 1 s"
        )
    if not 0.0 < rate_hz < math.inf:
        raise UserError(f"--rate-hz: expected more than 0, got {rate_hz:g}")
    return rate_hz


def _numbers(path: Path, rows: list[list[str]], column: int, what: str, first_line: int = 2) -> FloatArray:
    values = np.empty(len(rows))
    for i, row in enumerate(rows):
        number = _number(row[column]) if column < len(row) else None
        if number is None:
            got = repr(row[column][:40]) if column < len(row) else "nothing"
            raise UserError(
                f"events {path}: row {i + first_line}: expected a number for the {what}, got {got}"
            )
        values[i] = number
    return values


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
