"""`rt-pose export`: a session or a table of predictions in the format of another program."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rt_pose.cli.options import EXIT_OK, Parser, add_overwrite
from rt_pose.errors import UserError
from rt_pose.files import check_output


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


def export(options: Namespace) -> int:
    """Write poses, times and events in the format of another program, and say what it has no place for."""
    from rt_pose.export.formats import find_format
    from rt_pose.export.poses import poses_of_session, poses_of_table
    from rt_pose.session.read import Session

    source, out = Path(options.source), Path(options.out)
    chosen = find_format(options.format or "", out)
    check_output(out, [source], overwrite=options.overwrite)
    if source.is_dir():
        poses = poses_of_session(Session.read(source), options.camera or "")
    elif source.is_file():
        poses = poses_of_table(source, options.fps)
    else:
        raise UserError(f"{source}: expected the folder of a session, or a table of predictions; there is none")
    with _whole(out) as part:
        chosen.write(poses, part)
    print(f"{out}: {len(poses.frames):,} frames of {len(poses.keypoints)} keypoints, for {chosen.read_by}")
    if chosen.leaves_out:
        print(f"left out, since the format has no place for them: {', '.join(chosen.leaves_out)}")
    return EXIT_OK


def export_parser(parser: Parser) -> None:
    """Add the options of `rt-pose export`."""
    parser.add_argument("source", type=str, help="Folder of a session, or a CSV or HDF of predictions.")
    parser.add_argument("--out", type=str, required=True, help="The file to write.")
    parser.add_argument(
        "--format",
        type=str,
        help="csv, dlc-h5, slp, analysis-h5, netcdf, parquet, nwb, rerun or film; by the file's ending where it says.",
    )
    parser.add_argument("--camera", type=str, help="Of a session with several.")
    parser.add_argument("--fps", type=float, help="Rate of the video of a table, frames a second.")
    add_overwrite(parser)
