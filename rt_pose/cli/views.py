"""Several views: `rt-pose rig calibrate-cameras` and `rig check-calibration`, and `rt-pose triangulate`."""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from rt_pose.cli.options import EXIT_FAILED, EXIT_OK, Parser, add_overwrite, length_mm
from rt_pose.errors import UserError
from rt_pose.extras import require
from rt_pose.files import check_output

if TYPE_CHECKING:
    from rt_pose.offline.filter_views import FilteredKeypoints
    from rt_pose.offline.view_sequence import ViewSequence
    from rt_pose.views.board import Board
    from rt_pose.views.camera import CalibratedCamera
    from rt_pose.views.check import CalibrationCheck
    from rt_pose.views.known_length import LengthCheck
    from rt_pose.views.placed import PlacedKeypoints
    from rt_pose.views.view_poses import ViewPoses

MOST_FRAMES = 10_000
BOARD_TOLERANCE, ANIMAL_TOLERANCE = 0.02, 0.25
LEAST_NOISE_PX = 0.01
MOST_LENGTH_FRAMES = 1000


def calibrate_cameras(options: Namespace) -> int:
    """Calibrate several cameras from recordings of a checkerboard or ChArUco board."""
    from rt_pose.views.board_recording import find_board
    from rt_pose.views.calibrate import calibrate_cameras as calibrate
    from rt_pose.views.calibration_file import is_own_calibration, write_calibration
    from rt_pose.views.view_poses import split_names

    require("views", "`rt-pose rig calibrate-cameras`")
    board = _board(options)
    if board is None:
        raise UserError("rig calibrate-cameras: give the board, --checkerboard or --charuco, and --square")
    recordings = {name: Path(file) for name, file in split_names(options.recordings, "--recordings").items()}
    out = Path(options.out)
    check_output(out, recordings.values(), overwrite=options.overwrite, is_ours=is_own_calibration)
    recorded = find_board(board, recordings, _most_frames(options), print)
    result = calibrate(board, recorded.seen, recorded.sizes, options.lens)
    for error in result.errors:
        print(
            f"{error.name}: reprojection error {error.median_px:.2f} px (median), {error.rms_px:.2f} px "
            f"(root mean square) in {error.frames} frames"
        )
    worst = max(result.errors, key=lambda error: error.median_px)
    if not worst.median_px <= options.max_error:
        raise UserError(
            f"rig calibrate-cameras: the corners of camera '{worst.name}' are {worst.median_px:.2f} px off "
            f"(median), at most {options.max_error:g} px are allowed (--max-error): were frames taken at the "
            "same time, is the board flat and as stated, is the lens too wide for --lens simple?"
        )
    write_calibration(out, result.cameras, result.rms_px)
    print(
        f"calibration: {out}; origin and axes are those of camera '{result.cameras[0].name}', lengths in mm"
    )
    return EXIT_OK


def calibrate_cameras_parser(parser: Parser) -> None:
    """Add the options of `rt-pose rig calibrate-cameras`."""
    _add_board(parser, required=True)
    parser.add_argument(
        "--lens",
        choices=("simple", "full"),
        default="simple",
        help="simple: one focal length, k1, the centre that of the frame; full: fx, fy, cx, cy, k1, k2, "
        "p1, p2, for which the board must have been near the edges too.",
    )
    parser.add_argument(
        "--max-error",
        type=float,
        default=3.0,
        help="Largest median reprojection error of a camera that is allowed, px.",
    )
    parser.add_argument("--out", type=str, default="calibration.toml", help="The calibration to write.")
    add_overwrite(parser)


def check_calibration(options: Namespace) -> int:
    """Check a calibration by poses or a board: exit 0 if it is right, 1 and the wrong camera if not."""
    from rt_pose.audit.recorded_views import read_view_poses
    from rt_pose.views.board_recording import find_board
    from rt_pose.views.calibration_file import read_calibration
    from rt_pose.views.view_poses import cameras_of, split_names

    calibration = read_calibration(Path(options.calibration))
    board = _board(options)
    if bool(options.poses) == bool(options.recordings) or bool(board) != bool(options.recordings):
        raise UserError(
            "rig check-calibration: give either --poses, or --recordings of a board with --checkerboard or "
            "--charuco and --square"
        )
    if board is not None:
        files = {name: Path(file) for name, file in split_names(options.recordings, "--recordings").items()}
        cameras_of(calibration, list(files), "--recordings")  # known before minutes have gone into it
        poses = find_board(board, files, _most_frames(options), print).poses(board)
    else:
        poses = read_view_poses(options.poses, options.min_confidence)
    cameras = cameras_of(calibration, poses.cameras, "--recordings" if board else "--poses")
    found, length = _check(cameras, poses, options, board)
    print("\n".join(lines(found, length)))
    unchecked = [camera.name for camera in calibration if camera.name not in poses.cameras]
    if unchecked:
        print(f"not checked, nothing was given of them: {', '.join(unchecked)}")
    if found.explanation is not None or (length is not None and not length.right):
        print(f"WRONG: {fault(found, length)}")
        return EXIT_FAILED
    print(f"{options.calibration} is right")
    return EXIT_OK


def check_calibration_parser(parser: Parser) -> None:
    """Add the options of `rt-pose rig check-calibration`."""
    parser.add_argument("calibration", type=str, help="The calibration, as anipose writes it.")
    _add_poses(parser, required=False)
    _add_noise(parser)
    _add_board(parser, required=False)
    parser.add_argument(
        "--length",
        nargs=3,
        metavar=("KEYPOINT", "KEYPOINT", "LENGTH"),
        help="Known distance of two keypoints, e.g. nose tail_base '85 mm', missed by at most "
        f"{100 * ANIMAL_TOLERANCE:g} %%: poses alone cannot tell mm from cm. The squares of a board are "
        f"compared anyway, to {100 * BOARD_TOLERANCE:g} %%.",
    )


def triangulate(options: Namespace) -> int:
    """Keypoints in space, with their covariances, from the 2D poses of several calibrated cameras, as CSV."""
    from rt_pose.audit.recorded_views import read_view_poses
    from rt_pose.offline.points3d_csv import write_points
    from rt_pose.offline.prediction_files import is_own_table
    from rt_pose.offline.view_sequence import ViewSequence
    from rt_pose.views.calibration_file import read_calibration
    from rt_pose.views.placed import place_keypoints
    from rt_pose.views.view_poses import cameras_of, split_names

    if options.filter == "none" and options.fps is not None:
        raise UserError("--fps: only --filter causal and --filter smooth need times; leave it out")
    out, calibration = Path(options.out), Path(options.calibration)
    folder = len(options.poses) == 1 and Path(options.poses[0]).is_dir()
    inputs = [] if folder else [Path(file) for file in split_names(options.poses, "--poses").values()]
    check_output(out, [calibration, *inputs], overwrite=options.overwrite, is_ours=is_own_table)
    poses = read_view_poses(options.poses, options.min_confidence)
    cameras = cameras_of(read_calibration(calibration), poses.cameras, "--poses")
    if options.filter != "none":
        ViewSequence.of(poses, 1.0, options.fps)  # a mistake is known before the work begins
    found, _ = _check(cameras, poses, options, None)
    print("\n".join(lines(found, None)))
    if found.explanation is not None and not options.although_wrong:
        raise UserError(
            f"calibration {calibration} is wrong: {fault(found, None)}; see `rt-pose rig check-calibration`; "
            "--although-wrong triangulates all the same"
        )
    if poses.cov is None:
        print(f"covariances: of {found.noise_px:.2f} px in x and y, by the reprojection errors themselves")
    else:
        print("covariances: those of the poses")
    noise_px = max(found.noise_px, LEAST_NOISE_PX)
    placed = place_keypoints(cameras, poses, noise_px)
    points: PlacedKeypoints | FilteredKeypoints = placed
    if options.filter != "none":
        points = _filter(cameras, ViewSequence.of(poses, noise_px, options.fps), placed, options.filter)
    write_points(out, poses.keypoints, poses.frames, points)
    print(f"{_counts(points, len(poses.frames))}\npoints: {out}")
    return EXIT_OK


def _filter(
    cameras: list[CalibratedCamera], sequence: ViewSequence, placed: PlacedKeypoints, kind: str
) -> FilteredKeypoints:
    """Filtered or smoothed with parameters of this recording, which are printed."""
    import numpy as np

    from rt_pose.offline.filter_views import filter_causal, smooth_recording
    from rt_pose.offline.fit_views import fit_views

    spec = fit_views(cameras, sequence, placed.xyz)
    speed = np.sqrt(0.5 * spec.q * spec.tau_s)
    print(
        f"filter: fitted to what was seen, medians of the keypoints: speeds of {np.median(speed):.4g} (the "
        f"file's unit/s, in x, y and z), that last for {1e3 * np.median(spec.tau_s):.0f} ms, variances "
        f"{np.median(spec.gain):.3g} times as stated"
    )
    if sequence.late:
        print(f"{sequence.late} exposures were earlier than those of a frame before and were left out")
    if kind == "causal":
        return filter_causal(cameras, sequence, spec)
    return smooth_recording(cameras, sequence, spec, placed)


def _counts(points: PlacedKeypoints | FilteredKeypoints, frames: int) -> str:
    """How many places there are, and how many observations did not count."""
    import numpy as np

    from rt_pose.views.placed import PlacedKeypoints

    if isinstance(points, PlacedKeypoints):
        count, left_out = np.isfinite(points.cameras).sum(), points.left_out
        return (
            f"{count} keypoints placed in {frames} frames; {left_out} observations contradicted the others "
            "and were left out"
        )
    count, outside = np.isfinite(points.placed.cameras).sum(), points.placed.left_out
    return f"{count} keypoints placed in {frames} frames; {outside} observations lay beyond their gates"


def triangulate_parser(parser: Parser) -> None:
    """Add the options of `rt-pose triangulate`."""
    parser.add_argument("calibration", type=str, help="The calibration, as anipose writes it.")
    _add_poses(parser, required=True)
    _add_noise(parser)
    parser.add_argument("--out", type=str, required=True, help="The CSV to write.")
    parser.add_argument(
        "--filter",
        choices=("none", "causal", "smooth"),
        default="none",
        help="none: frame by frame, from two cameras or more; causal: each place from what was seen until "
        "then, as a live filter has it; smooth: from all that was seen, before and after.",
    )
    parser.add_argument(
        "--fps",
        type=float,
        help="Frames a second of files of poses, for --filter; a session knows its own times.",
    )
    parser.add_argument(
        "--although-wrong", action="store_true", help="Go on where the calibration is found to be wrong."
    )
    add_overwrite(parser)


def lines(found: CalibrationCheck, length: LengthCheck | None) -> list[str]:
    """Format what a check has found.

    Parameters
    ----------
    found
        The figures.
    length
        The comparison of lengths; None where none is known.

    Returns
    -------
    list[str]
        For people.
    """
    width = max(len("camera"), *(len(row.name) for row in found.cameras))
    table = [
        f"{'camera':{width}}  points  error px  noise without it px  offset px (limit)",
        *(
            f"{row.name:{width}}  {row.points:6}  {row.error_px:8.2f}  {_number(row.noise_without_px):>19}  "
            f"{_number(row.offset_px):>9} ({_number(row.offset_limit_px)})"
            for row in found.cameras
        ),
        f"noise of the keypoints: {found.noise_px:.2f} px, at most {found.noise_limit_px:.2f} px are allowed",
    ]
    return [*table, f"scale: {length}" if length else "scale: not checked, it takes a known length"]


def fault(found: CalibrationCheck, length: LengthCheck | None) -> str:
    """Say what is wrong with a calibration.

    Parameters
    ----------
    found
        The check.
    length
        The comparison of lengths; None where none is known.

    Returns
    -------
    str
        With the cameras' names.
    """
    if found.explanation is None:
        return str(length)
    names = found.explanation.cameras
    return f"camera{'s' * (len(names) > 1)} {', '.join(names)}: {found.explanation.text}"


def _check(
    cameras: list[CalibratedCamera], poses: ViewPoses, options: Namespace, board: Board | None
) -> tuple[CalibrationCheck, LengthCheck | None]:
    """By poses, and by a known length where there is one."""
    from rt_pose.views.check import BOARD_SHARE, EXPECTED_SHARE, check_calibration, expected_noise

    if options.noise_px is not None and not 0 < options.noise_px < 1000:
        raise UserError(f"--noise-px: expected more than 0 px, got {options.noise_px:g}")
    length = getattr(options, "length", None)
    stated = _known_length(poses, *length) if length else None
    if board is not None:
        stated = board.neighbours, board.square_mm, BOARD_TOLERANCE, "a square"
    usual = expected_noise(cameras, BOARD_SHARE if board else EXPECTED_SHARE)
    found = check_calibration(cameras, poses, options.noise_px or usual)
    if found.explanation is not None:  # lengths mean nothing then
        return found, None
    return found, _check_length(cameras, poses, *stated) if stated else None


def _known_length(
    poses: ViewPoses, first: str, second: str, length: str
) -> tuple[list[tuple[int, int]], float, float, str]:
    """The keypoints, their distance (mm), its tolerance, and what it is."""
    from rt_pose.errors import nearest

    for name in (first, second):
        if name not in poses.keypoints:
            raise UserError(f"--length: there is no keypoint '{name}'{nearest(name, poses.keypoints)}")
    pair = poses.keypoints.index(first), poses.keypoints.index(second)
    return [pair], length_mm(length, "--length"), ANIMAL_TOLERANCE, f"{first} to {second}"


def _check_length(
    cameras: list[CalibratedCamera],
    poses: ViewPoses,
    pairs: list[tuple[int, int]],
    known_mm: float,
    tolerance: float,
    what: str,
) -> LengthCheck:
    from rt_pose.views.known_length import check_length
    from rt_pose.views.triangulation import triangulate
    from rt_pose.views.view_poses import evenly_spaced

    some = poses.xy[:, evenly_spaced(len(poses.frames), MOST_LENGTH_FRAMES)]
    placed = triangulate(cameras, some.reshape(len(cameras), -1, 2))
    xyz = placed.xyz.reshape(-1, len(poses.keypoints), 3)
    return check_length(xyz, pairs, known_mm, tolerance, what)


def _add_poses(parser: Parser, *, required: bool) -> None:
    parser.add_argument(
        "--poses",
        type=str,
        nargs="+",
        required=required,
        metavar="CAMERA=FILE",
        help="Predictions or labels of each camera (CSV, .h5, .slp, .nwb), whose frames of one number were "
        "exposed together; or the folder of one session with several cameras.",
    )
    parser.add_argument(
        "--min-confidence", type=float, default=0.5, help="A keypoint of less counts as not seen."
    )


def _add_noise(parser: Parser) -> None:
    parser.add_argument(
        "--noise-px",
        type=float,
        help="Expected noise of keypoints in x and y; 0.3 %% of a frame's diagonal if not given, "
        "of a board's corners 0.1 %%. Twice as much is refused, or a camera that is off by more.",
    )


def _add_board(parser: Parser, *, required: bool) -> None:
    parser.add_argument(
        "--recordings",
        type=str,
        nargs="+",
        required=required,
        metavar="CAMERA=FILE",
        help="A video of the moved board from each camera; frame i of all was exposed at the same time.",
    )
    parser.add_argument("--checkerboard", type=str, help="Inner corners, one fewer than squares: 9x6.")
    parser.add_argument("--charuco", type=str, help="Squares of a ChArUco board: 8x11.")
    parser.add_argument("--square", type=str, default="", help="Side of a square, e.g. '24 mm'.")
    parser.add_argument("--marker", type=str, default="", help="Side of a ChArUco marker, e.g. '18.75 mm'.")
    parser.add_argument(
        "--dictionary", type=str, default="4x4_1000", help="Bits and number of ChArUco's markers."
    )
    parser.add_argument(
        "--legacy-pattern",
        action="store_true",
        help="The ChArUco board has an even number of rows and was drawn by OpenCV before 4.6.",
    )
    parser.add_argument(
        "--frames", type=int, default=200, help="So many frames of each recording are used, evenly."
    )


def _board(options: Namespace) -> Board | None:
    """The board that was stated, if any."""
    from rt_pose.views.board import charuco, checkerboard

    if options.checkerboard and options.charuco:
        raise UserError("give either --checkerboard or --charuco")
    if not (options.checkerboard or options.charuco):
        return None
    square_mm = length_mm(options.square, "--square")
    if options.checkerboard:
        return checkerboard(options.checkerboard, square_mm)
    marker_mm = length_mm(options.marker, "--marker")
    return charuco(options.charuco, square_mm, marker_mm, options.dictionary, legacy=options.legacy_pattern)


def _most_frames(options: Namespace) -> int:
    if not 1 <= options.frames <= MOST_FRAMES:
        raise UserError(f"--frames: expected 1 to {MOST_FRAMES}, got {options.frames}")
    return int(options.frames)


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"
