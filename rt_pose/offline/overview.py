"""One table over all predicted videos of a folder, made of their records, whoever has predicted them."""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from rt_pose.errors import UserError
from rt_pose.extras import installed
from rt_pose.files import PART, atomic_writer
from rt_pose.offline.find_videos import VideoJob
from rt_pose.offline.finish import parquet_path, picture_path
from rt_pose.offline.predict_ensemble import MEMBERS
from rt_pose.offline.prediction_record import SUFFIX, PredictionRecord, file_bytes, read_record, record_path
from rt_pose.offline.quality import GRADES, KINDS, grade_of, shares_text
from rt_pose.offline.quality_config import LimitsConfig

_LOG = logging.getLogger(__name__)

OVERVIEW, OVERVIEW_PARQUET = "overview.csv", "overview.parquet"
FAILED, OPEN, UNKNOWN = "failed", "open", "unknown"
"""Instead of a grade: could not be predicted; is not predicted; quality was not measured."""
SHOWN = 10
"""So many of the videos that are not good are named on the terminal."""


@dataclass
class OverviewRow:
    """A video of the overview; its fields are the columns."""

    video: str
    grade: str
    lost: float | None
    implausible: float | None
    frozen: float | None
    drifted: float | None
    confidence: float | None
    frames: int
    worst_frames: str
    """Their numbers, separated by spaces."""
    table: str
    """Relative to the folder, as the files below."""
    parquet: str
    picture: str
    package: str
    engine: str
    failure: str


def write_overview(folder: Path, limits: LimitsConfig, jobs: Sequence[VideoJob] = ()) -> list[OverviewRow]:
    """Write overview.csv, and overview.parquet where pyarrow is installed, and log what is not good.

    Parameters
    ----------
    folder
        Folder of the tables.
    limits
        Shares of frames from which a video is to be checked, and bad.
    jobs
        Videos that are in it even if they have no record.

    Returns
    -------
    list[OverviewRow]
        The rows, by the tables' paths.

    Raises
    ------
    UserError
        Where there is no video, or a file cannot be written.
    """
    rows = collect_rows(folder, limits, jobs)
    if not rows:
        raise UserError(
            f"{folder}: no record of a predicted video in it or below; `rt-pose predict --videos` writes them"
        )
    names = [field.name for field in fields(OverviewRow)]
    with atomic_writer(folder / OVERVIEW) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_cell(getattr(row, name)) for name in names] for row in rows)
    if installed("pyarrow"):
        _write_parquet(folder / OVERVIEW_PARQUET, rows, names)
    _log_grades(rows, folder)
    return rows


def collect_rows(folder: Path, limits: LimitsConfig, jobs: Sequence[VideoJob] = ()) -> list[OverviewRow]:
    """Read the records of a folder and those below it.

    Parameters
    ----------
    folder, limits, jobs
        As of `write_overview`.

    Returns
    -------
    list[OverviewRow]
        The rows, by the tables' paths.
    """
    records = {record_path(job): read_record(record_path(job)) for job in jobs} | {
        path: read_record(path) for path in folder.rglob(f"*.csv{SUFFIX}") if not _is_of_member(path, folder)
    }
    videos = {record_path(job): str(job.video.absolute()) for job in jobs}
    return [
        _row(path, record, folder, limits, videos.get(path, ""))
        for path, record in sorted(records.items())
        if path in videos or (record is not None and not (jobs and _is_gone(record)))
    ]


def is_own_overview(head: bytes) -> bool:
    """Tell whether rt-pose has written an overview.

    Parameters
    ----------
    head
        Its first bytes.

    Returns
    -------
    bool
        Whether it has the header.
    """
    return head.startswith(",".join(field.name for field in fields(OverviewRow)).encode())


def _is_of_member(path: Path, folder: Path) -> bool:
    """Whether a record is of one network of an ensemble, or in a hidden folder."""
    parts = path.relative_to(folder).parts[:-1]
    return any(part == MEMBERS or part.endswith(f".{MEMBERS}") or part.startswith(".") for part in parts)


def _is_gone(record: PredictionRecord) -> bool:
    """Whether a video failed once, and has been taken away since."""
    return not record.table_bytes and not Path(record.video).exists()


def _row(
    path: Path, record: PredictionRecord | None, folder: Path, limits: LimitsConfig, video: str
) -> OverviewRow:
    table = path.with_name(path.name.removesuffix(SUFFIX))
    known = record or PredictionRecord("", "", 0, 0, 0, 0)
    measured, job = known.quality, VideoJob(Path(video), "", table)
    return OverviewRow(
        video=video or known.video,
        grade=OPEN if record is None else _grade(record, table, limits),
        **{name: getattr(measured, name, None) for name in (*KINDS, "confidence")},
        frames=known.frames,
        worst_frames=" ".join(str(worst.frame) for worst in measured.worst) if measured else "",
        table=_relative(table, folder),
        parquet=_relative(parquet_path(job), folder),
        picture=_relative(picture_path(job), folder),
        package=known.package[:16],
        engine=known.engine,
        failure=known.failure,
    )


def _grade(record: PredictionRecord, table: Path, limits: LimitsConfig) -> str:
    if record.failure:
        return FAILED
    if file_bytes(table) != record.table_bytes:
        return OPEN
    return UNKNOWN if record.quality is None else grade_of(record.quality, limits)


def _relative(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_file() else ""


def _cell(value: object) -> object:
    """Shares with enough digits for a frame in a million."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value


def _write_parquet(path: Path, rows: Sequence[OverviewRow], names: Sequence[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"frames": pa.int64()} | dict.fromkeys((*KINDS, "confidence"), pa.float64())
    columns = {
        name: pa.array([getattr(row, name) for row in rows], kinds.get(name, pa.string())) for name in names
    }
    part = path.with_name(path.name + PART)
    pq.write_table(pa.table(columns), part)
    part.replace(path)


def _log_grades(rows: Sequence[OverviewRow], folder: Path) -> None:
    count = Counter(row.grade for row in rows)
    order = (*GRADES, UNKNOWN, OPEN, FAILED)
    _LOG.info("quality: " + ", ".join(f"{count[grade]} {grade}" for grade in order if count[grade]))
    worst = [row for grade in ("bad", "check") for row in rows if row.grade == grade]
    for row in worst[:SHOWN]:
        picture = f"; its worst frames: {row.picture}" if row.picture else ""
        _LOG.info(f"{row.grade}: {row.table}: {shares_text(row)}{picture}")
    if len(worst) > SHOWN:
        _LOG.info(f"and {len(worst) - SHOWN} more")
    _LOG.info(f"one table over all: {folder / OVERVIEW}")
