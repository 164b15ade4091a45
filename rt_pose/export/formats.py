"""The formats, one entry each: who reads it, what it holds, and what has no place in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rt_pose.errors import UserError, nearest
from rt_pose.export import film, movement, nwb, rerun, sleap, spatial_tables, tables
from rt_pose.export.poses import Recording
from rt_pose.extras import installed, remedy
from rt_pose.session.frame_numbers import NOT_IN_VIDEO

POSES, SKELETON, NUMBERS = "positions and confidences by name", "skeleton", "numbers of the video's frames"
TIMES, UNNUMBERED = "times of exposures", "frames that the video lacks"
COVARIANCES, VELOCITIES = "covariances", "velocities"
ANIMALS, IDENTITIES = "several animals", "probabilities of identity"
CAMERAS, EVENTS, LATENCIES = "several cameras", "events and stimuli", "latency of each frame"
SPACE = "tracks in space"
PICTURES, DEPOSIT = "pictures", "log and configuration, to replay"
CONTENT = (
    *(POSES, ANIMALS, IDENTITIES, SKELETON, NUMBERS, UNNUMBERED, TIMES, COVARIANCES, VELOCITIES),
    *(CAMERAS, SPACE, EVENTS, LATENCIES, PICTURES, DEPOSIT),
)
"""What a session has, in the order of the documentation's table."""
YES, DRAWN, BESIDE, ALONE = "yes", "drawn", "beside", "alone"
CONFIDENCES, VIEWS, CALIBRATION = "confidences", "views and reprojection errors", "calibration"
SPATIAL_CONTENT = (CONFIDENCES, IDENTITIES, SKELETON, COVARIANCES, VELOCITIES, VIEWS, CALIBRATION)
"""What tracks in space have besides places and times."""


def _holds(*content: str, **others: tuple[str, ...]) -> dict[str, str]:
    return dict.fromkeys(content, YES) | {name: how for how, names in others.items() for name in names}


@dataclass(frozen=True)
class Format:
    """A format of another program."""

    name: str
    suffix: str
    read_by: str
    """Who reads it."""
    write: Callable[[Recording, Path], None]
    holds: Mapping[str, str] = field(default_factory=dict)
    """Of `CONTENT` what has a place, and how: yes, drawn into the picture, beside, by a path to it, or alone,
    in a file that holds nothing else."""
    modules: tuple[str, ...] = ()
    """What must be installed."""
    extra: str = "export"
    """What installs it."""
    spatial: Callable[[Recording, Path], None] | None = None
    """Writes the tracks in space of one group, in a file of their own."""
    spatial_holds: tuple[str, ...] = SPATIAL_CONTENT
    """What that file has a place for."""


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format(
            *("csv", ".csv", "Lightning Pose, DeepLabCut", tables.write_csv),
            _holds(POSES, ANIMALS, NUMBERS, alone=(SPACE,)),
            spatial=spatial_tables.write_csv,
            spatial_holds=(COVARIANCES, VELOCITIES, VIEWS),
        ),
        Format(
            *("dlc-h5", ".h5", "DeepLabCut", tables.write_dlc_h5),
            _holds(POSES, ANIMALS, NUMBERS),
            ("pandas", "tables"),
        ),
        Format(
            *("slp", ".slp", "SLEAP, sleap-io", sleap.write_slp),
            _holds(POSES, ANIMALS, IDENTITIES, SKELETON, NUMBERS, beside=(PICTURES,)),
            ("sleap_io",),
        ),
        Format(
            *("analysis-h5", ".h5", "SLEAP's analysis, movement", sleap.write_analysis_h5),
            _holds(POSES, ANIMALS, IDENTITIES, SKELETON, NUMBERS, beside=(PICTURES,)),
            ("sleap_io",),
        ),
        Format(
            *("netcdf", ".nc", "movement, xarray", movement.write_netcdf),
            _holds(*CONTENT[: CONTENT.index(VELOCITIES) + 1], alone=(SPACE,)),
            ("xarray", "h5netcdf"),
            spatial=movement.write_spatial_netcdf,
        ),
        Format(
            *("parquet", ".parquet", "pandas, polars, R, DuckDB", tables.write_parquet),
            _holds(*CONTENT[: CONTENT.index(CAMERAS) + 1], alone=(SPACE,)),
            *(("pyarrow",), "parquet"),
            spatial=spatial_tables.write_parquet,
        ),
        Format(
            *("nwb", ".nwb", "NWB with ndx-pose", nwb.write_nwb),
            _holds(*(name for name in CONTENT if name != PICTURES), beside=(PICTURES,)),
            ("pynwb", "ndx_pose"),
        ),
        Format(
            *("rerun", ".rrd", "rerun", rerun.write_rerun),
            _holds(
                *(POSES, ANIMALS, IDENTITIES, SKELETON, UNNUMBERED, TIMES, CAMERAS, SPACE, EVENTS, PICTURES),
                drawn=(COVARIANCES,),
            ),
            *(("rerun",), "rerun"),
            spatial_holds=(CONFIDENCES, IDENTITIES, SKELETON, CALIBRATION),
        ),
        Format(
            *("film", ".mp4", "any player", film.write_film),
            _holds(TIMES, PICTURES, drawn=(POSES, ANIMALS, IDENTITIES, SKELETON, COVARIANCES, EVENTS)),
        ),
    )
}


def find_format(name: str, out: Path) -> Format:
    """Look a format up, and check that what it needs is there.

    Parameters
    ----------
    name
        Its name; empty to go by the file's ending.
    out
        The file.

    Returns
    -------
    Format
        The format.

    Raises
    ------
    UserError
        Where there is no such format, the ending fits several, or a package is missing.
    """
    fitting = [one for one in FORMATS.values() if one.suffix == out.suffix.lower()]
    if name and name not in FORMATS:
        raise UserError(f"--format {name}: expected one of {', '.join(FORMATS)}{nearest(name, FORMATS)}")
    if not name and len(fitting) != 1:
        which = ", ".join(one.name for one in fitting or FORMATS.values())
        raise UserError(f"--out {out}: its ending does not say the format; give --format, one of {which}")
    found = FORMATS[name] if name else fitting[0]
    if name and out.suffix.lower() != found.suffix:
        raise UserError(f"--out {out}: its readers know {name} by the ending {found.suffix}; give it that")
    lacking = [module for module in found.modules if not installed(module)]
    if lacking:
        raise UserError(f"--format {found.name} needs {', '.join(lacking)}; `{remedy(found.extra)}`")
    return found


def left_out(recording: Recording, chosen: Format) -> list[str]:
    """List what a recording has and a format has no place for.

    Parameters
    ----------
    recording
        What is exported.
    chosen
        The format.

    Returns
    -------
    list[str]
        Of `CONTENT`, with numbers where there are any.
    """
    if not recording.cameras:  # a group by itself
        found = [name for name in _in_space(recording) if name not in chosen.spatial_holds]
        return [*found, "what its cameras hold", *([EVENTS] if recording.events else []), DEPOSIT]
    found = [name for name in _content(recording) if chosen.holds.get(name, ALONE) == ALONE]
    lacking = [name for name in _in_space(recording) if name not in chosen.spatial_holds]
    return [*(_counted(recording, name) for name in found), *(f"{name} of the {SPACE}" for name in lacking)]


def _in_space(recording: Recording) -> list[str]:
    """What its tracks in space have besides places and times."""
    stated = any(poses.identity_p is not None for poses in recording.spatial)
    return [name for name in SPATIAL_CONTENT if recording.spatial and (stated or name != IDENTITIES)]


def _content(recording: Recording) -> Iterator[str]:
    first = recording.cameras[0]
    present = {
        POSES: True,
        ANIMALS: len(first.individuals) > 1,
        IDENTITIES: first.identity_p is not None,
        SKELETON: bool(first.skeleton),
        NUMBERS: bool((first.numbers != NOT_IN_VIDEO).any()),
        UNNUMBERED: any(poses.unnumbered for poses in recording.cameras),
        TIMES: recording.session is not None or not first.times.startswith("frame numbers"),
        COVARIANCES: first.covariance is not None,
        VELOCITIES: first.velocity is not None,
        CAMERAS: len(recording.cameras) > 1 or bool(recording.other_cameras),
        SPACE: bool(recording.spatial or recording.other_groups),
        EVENTS: bool(recording.events or recording.stimuli),
        LATENCIES: first.latency_s is not None,
        PICTURES: first.pictures is not None,
        DEPOSIT: recording.session is not None,
    }
    return (name for name in CONTENT if present[name])


def _counted(recording: Recording, name: str) -> str:
    if name == UNNUMBERED:
        return f"{sum(poses.unnumbered for poses in recording.cameras):,} {name}"
    if name == CAMERAS:
        return f"the cameras {', '.join(recording.other_cameras)}"
    if name == SPACE:
        return f"{SPACE} of the group {', '.join(recording.other_groups)}"
    if name == EVENTS:
        return f"{len(recording.events):,} events and {len(recording.stimuli):,} stimuli"
    return name


def documentation() -> list[str]:
    """Format what each format holds.

    Returns
    -------
    list[str]
        Lines of a Markdown table, a column a format.
    """
    names = list(FORMATS)
    rows = [["", *(f"`{name}`" for name in names)], ["---"] * (len(names) + 1)]
    rows.append(["read by", *(one.read_by for one in FORMATS.values())])
    rows.append(["ending", *(f"`{one.suffix}`" for one in FORMATS.values())])
    rows += [[name, *(one.holds.get(name, "") for one in FORMATS.values())] for name in CONTENT]
    return ["| " + " | ".join(row) + " |" for row in rows]
