"""`rt-pose export`: a session or a file of predictions in the format of another program."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rt_pose.cli.options import EXIT_OK, Parser
from rt_pose.errors import UserError
from rt_pose.files import check_output

if TYPE_CHECKING:
    from rt_pose.export.formats import Format
    from rt_pose.export.poses import Recording
    from rt_pose.session.read import Session


def export(options: Namespace) -> int:
    """Poses, times and events in the format of another program; says what that has no place for."""
    from rt_pose.export.formats import find_format, left_out
    from rt_pose.export.losses import losses

    source, out = Path(options.source), Path(options.out)
    chosen = find_format(options.format or "", out)
    _check_out(source, out, Path(options.video or source), options.overwrite)
    recording = _recording(source, chosen, options)
    write = chosen.write if recording.cameras else chosen.spatial
    assert write is not None  # else no such recording is made
    with _whole(out) as part:
        write(recording, part)
    for poses in recording.cameras:
        name = f"camera '{poses.camera}': " if poses.camera else ""
        print(f"{name}{len(poses.frames):,} frames of {len(poses.keypoints)} keypoints; times: {poses.times}")
        if poses.where:
            print(f"{name}numbered by the {poses.where}")
    for placed in recording.spatial:
        what = f"{len(placed.t_s):,} times of {len(placed.keypoints)} keypoints in space, {placed.info.unit}"
        whose = f", {placed.individual}" if placed.individual else ""
        print(f"group '{placed.group}'{whose}: {what}; times: exposure of the newest view")
    for loss in losses(recording):
        print(f"missing: {loss}")
    if lacking := left_out(recording, chosen):
        print(f"left out, since {chosen.name} has no place for it: {'; '.join(lacking)}")
    if chosen.name == "nwb":
        _print_metadata(recording)
    print(f"{out}: for {chosen.read_by}")
    return EXIT_OK


def _check_out(source: Path, out: Path, video: Path, overwrite: bool) -> None:
    """Nothing is replaced that the user has not named, and never what a session consists of."""
    from rt_pose.export.deposit import calibrations
    from rt_pose.session.read import read_info
    from rt_pose.session.seal import SEAL_NAME, sealed_names

    if not out.absolute().parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}; make it first")
    own: list[str] = []
    if source.is_dir():
        info = read_info(source)
        own = [*sealed_names(info.cameras), SEAL_NAME, *calibrations(info.views)]
    check_output(out, [source, video, *(source / name for name in own)], overwrite=True)
    if out.exists() and not overwrite:
        raise UserError(f"--out {out}: is there already; give another name, or --overwrite to replace it")


def _recording(source: Path, chosen: Format, options: Namespace) -> Recording:
    from rt_pose.export.formats import CAMERAS, SPACE, YES
    from rt_pose.export.poses import recording_of_session
    from rt_pose.export.predictions import recording_of_file
    from rt_pose.session.read import Session

    camera, video = options.camera or "", Path(options.video) if options.video else None
    if source.is_file():
        return recording_of_file(source, camera, options.fps, video)
    if not source.is_dir():
        raise UserError(
            f"{source}: expected the folder of a session, or a file of predictions; there is none"
        )
    if options.fps or options.video:
        raise UserError(f"{source}: a session has its own times and films; leave --fps and --video out")
    session = Session.read(source)
    if camera in session.info.views:
        return _recording_of_group(session, camera, chosen)
    names = [camera] if camera else list(session.info.cameras)
    if len(names) > 1 and CAMERAS not in chosen.holds:
        groups = ", ".join(session.info.views) if chosen.spatial else ""
        also = f" and, in space, {groups}" if groups else ""
        raise UserError(
            f"session {source}: it has the cameras {', '.join(names)}{also}, and {chosen.name} holds one; "
            "say which with --camera"
        )
    beside = chosen.holds.get(SPACE) == YES and not camera
    return recording_of_session(session, names, list(session.info.views) if beside else [])


def _recording_of_group(session: Session, group: str, chosen: Format) -> Recording:
    """A group of cameras by itself."""
    from rt_pose.export.formats import FORMATS, SPACE, YES
    from rt_pose.export.poses import recording_of_session

    if chosen.spatial is None:
        if chosen.holds.get(SPACE) == YES:
            raise UserError(
                f"--camera {group}: {chosen.name} holds a group beside its cameras; leave --camera out"
            )
        fitting = ", ".join(one.name for one in FORMATS.values() if SPACE in one.holds)
        raise UserError(
            f"--camera {group}: is a group of cameras, and {chosen.name} has no place for tracks in space; "
            f"expected one of {fitting}"
        )
    recording = recording_of_session(session, [], [group])
    if not recording.spatial:
        raise UserError(f"session {session.path}: the group '{group}' has placed nothing in space")
    return recording


def _print_metadata(recording: Recording) -> None:
    from rt_pose.export.deposit import manifests
    from rt_pose.export.nwb import UNKNOWN_START, start_time
    from rt_pose.export.nwb_metadata import missing_metadata

    if lacking := missing_metadata(recording):
        print(f"archives ask for what `metadata` of the run does not say: {', '.join(lacking)}")
    if start_time(recording) == UNKNOWN_START:
        print(f"the time of day of the beginning is not known: {UNKNOWN_START:%Y-%m-%d} stands in its place")
    if recording.session is None:
        return
    for name, manifest in manifests(recording.session).items():
        if manifest is None:
            print(f"{name} is not deposited: the model package that ran is not where the session names it")


@contextmanager
def _whole(out: Path) -> Iterator[Path]:
    """A file beside `out` that takes its place when it is whole; its ending is kept, which writers go by."""
    part = out.with_name(f".part-{out.name}")
    try:
        yield part
        part.replace(out)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def export_parser(parser: Parser) -> None:
    """Add the options of `rt-pose export`."""
    parser.add_argument(
        "source", type=str, help="Folder of a session, or a file of predictions: CSV, .h5, .slp or .nwb."
    )
    parser.add_argument("--out", type=str, required=True, help="The file to write.")
    parser.add_argument(
        "--format",
        type=str,
        help="csv, dlc-h5, slp, analysis-h5, netcdf, parquet, nwb, rerun or film; by the file's ending where "
        "that is of one alone.",
    )
    parser.add_argument(
        "--camera",
        type=str,
        help="One of several; nwb, parquet and rerun take all where none is named. Or a group of views, in "
        "csv, netcdf and parquet.",
    )
    parser.add_argument(
        "--video", type=str, help="Of a file of predictions: its video, for times and pictures."
    )
    parser.add_argument("--fps", type=float, help="Of a file of predictions: its video's rate, frames/s.")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="Replace the file where it is there already; what the command reads it never replaces.",
    )
