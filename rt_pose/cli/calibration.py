"""`rt-pose rig scale` and `rig aim-calibrate`: a rig's measures, written into its configuration."""

from __future__ import annotations

from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rt_pose.cli.options import EXIT_OK, Parser, add_overwrite, length_mm
from rt_pose.clock import HostClock
from rt_pose.config.build import load, to_plain
from rt_pose.config.edit import set_value
from rt_pose.config.files import find_config
from rt_pose.config.schema import RunConfig
from rt_pose.config.shipped import FOLDER
from rt_pose.errors import UserError, nearest
from rt_pose.files import check_output, is_own_png, mark_png, write_atomic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

FRAMES_BEFORE = 10
"""So many frames pass before one is taken, until a camera has settled."""


def rig_scale(options: Namespace) -> int:
    """Millimetres of a camera's pixels, from a ruler or a checkerboard in view."""
    from rt_pose.session.scale import checkerboard_scale, draw_scale, ruler_scale

    if options.ruler and options.checkerboard:
        raise UserError("rig scale: give either --ruler or --checkerboard")
    rig = Path(options.config)
    config = load(RunConfig, options.config)
    camera = _one(options.camera, config.cameras, "--camera", "cameras")
    out = Path(options.out or f"{rig.stem}-{camera}-scale.png")
    inputs = [Path(path) for path in (options.config, options.video, options.image) if path]
    check_output(out, inputs, overwrite=options.overwrite, is_ours=is_own_png)
    known = config.geometry.get(camera)
    measures = options.ruler or options.checkerboard
    if measures:
        _check_not_there(known, f"geometry.{camera}", rig, options.overwrite)
    frame = _frame(config, camera, options.video, options.image)
    scale = None
    if options.ruler:
        scale = ruler_scale(options.ruler, length_mm(options.length, "--length"), known)
    elif options.checkerboard:
        square_mm = length_mm(options.square, "--square")
        inner = _corners(options.checkerboard)
        scale, _ = checkerboard_scale(frame, inner, square_mm, options.max_residual, known)
    _write_picture(out, draw_scale(frame, scale))
    if scale is None:
        print(f"frame: {out}; read the ends of a ruler from it: --ruler X Y X Y --length '100 mm'")
        return EXIT_OK
    print(scale.says)
    given = {key: value for key, value in to_plain(scale.geometry).items() if value is not None}
    _write_value(rig, ["geometry", camera], given)
    print(f"picture: {out}; check that its grid lies on the ruler or the board")
    return EXIT_OK


def scale_parser(parser: Parser) -> None:
    """Add the options of `rt-pose rig scale`."""
    _add_rig(parser)
    parser.add_argument(
        "--ruler",
        type=float,
        nargs=4,
        metavar=("X", "Y", "X", "Y"),
        help="Both ends of a ruler, px; without it and --checkerboard the frame alone is written.",
    )
    parser.add_argument("--length", type=str, default="", help="Length between the ends, e.g. '100 mm'.")
    parser.add_argument(
        "--checkerboard", type=str, help="Inner corners of a board in view, one fewer than squares: 9x6."
    )
    parser.add_argument("--square", type=str, default="", help="Side of a square of the board, e.g. '10 mm'.")
    parser.add_argument("--video", type=str, default="", help="Recording whose first frame is used.")
    parser.add_argument("--image", type=str, default="", help="Picture that is used, in place of the camera.")
    parser.add_argument(
        "--max-residual", type=float, default=1.0, help="Largest residual of a corner that is allowed, px."
    )
    parser.add_argument(
        "--out", type=str, default="", help="PNG to write; RIG-CAMERA-scale.png if not given."
    )
    add_overwrite(parser)


def rig_aim_calibrate(options: Namespace) -> int:
    """Calibrate an output that aims light: from pairs in a CSV, or from spots that the camera sees."""
    from rt_pose.session.aim_calibration import calibrate, grid, measure_pairs, read_pairs

    if bool(options.pairs) == bool(options.grid):
        raise UserError(
            "rig aim-calibrate: give either --pairs FILE.csv, or --grid X Y X Y to light positions"
        )
    rig = Path(options.config)
    config = load(RunConfig, options.config)
    camera = _one(options.camera, config.cameras, "--camera", "cameras")
    output = _one(options.output, config.outputs, "--output", "outputs")
    known = config.outputs[output].aim.get(camera)
    _check_not_there(known, f"outputs.{output}.aim.{camera}", rig, options.overwrite)
    if options.pairs:
        pairs = read_pairs(Path(options.pairs))
        where = f"--pairs {options.pairs}"
    else:
        import rigs

        rigs.register()
        positions = grid(options.grid, options.steps)
        pairs = measure_pairs(config, camera, output, positions, options.threshold, HostClock())
        where = f"--grid: {len(pairs.px)} of {len(positions)} spots were found in the frame"
        print(where.removeprefix("--grid: "))
    found, fitted = calibrate(pairs, options.unit, options.max_residual, where)
    print(
        f"homography from {len(pairs.px)} pairs, px of {camera} to {options.unit} of {output}: residuals "
        f"{fitted.rms:.2f} px (root mean square), {fitted.largest:.2f} px at most"
    )
    if len(pairs.px) == 4:
        print("4 pairs fit any homography, so that these residuals prove nothing; give more")
    _write_value(rig, ["outputs", output, "aim", camera], to_plain(found))
    return EXIT_OK


def aim_calibrate_parser(parser: Parser) -> None:
    """Add the options of `rt-pose rig aim-calibrate`."""
    _add_rig(parser)
    parser.add_argument(
        "--output", type=str, default="", help="Output that aims; may be left out if only one."
    )
    parser.add_argument("--unit", type=str, default="V", help="Unit of the output's positions.")
    parser.add_argument(
        "--pairs", type=str, default="", help="CSV with the columns x_px,y_px (frame) and x,y (output)."
    )
    parser.add_argument(
        "--grid",
        type=float,
        nargs=4,
        metavar=("X", "Y", "X", "Y"),
        help="Light a grid between two corners (output's unit) and find the spots. No animal in the rig!",
    )
    parser.add_argument("--steps", type=int, default=4, help="Positions of the grid in each direction.")
    parser.add_argument(
        "--threshold", type=int, default=250, help="Grey level from which on a pixel is lit, of a spot."
    )
    parser.add_argument(
        "--max-residual", type=float, default=2.0, help="Largest residual of a pair that is allowed, px."
    )
    add_overwrite(parser)


def _add_rig(parser: Parser) -> None:
    parser.add_argument("config", type=str, help="YAML file of the rig; the result is written into it.")
    parser.add_argument("--camera", type=str, default="", help="Which camera; may be left out if only one.")


def _one(name: str, there: dict[str, Any], option: str, kind: str) -> str:
    """The named one, or the only one."""
    if not name and len(there) == 1:
        return next(iter(there))
    if name not in there:
        hint = nearest(name, there) or f"; the configuration has no {kind}"
        raise UserError(f"{option}: expected one of the rig's {kind}, got '{name}'{hint}")
    return name


def _check_not_there(known: object, key: str, rig: Path, overwrite: bool) -> None:
    found = find_config(rig)
    if FOLDER.resolve() in found.resolve().parents or found.resolve() != rig.resolve():
        raise UserError(
            f"{rig}: comes with rt-pose and is not changed; make a copy: `rt-pose configs copy {rig} "
            "--out mine.yaml`"
        )
    if known is not None and not overwrite:
        raise UserError(f"{rig}: {key} is there already; --overwrite replaces it")


def _frame(config: RunConfig, camera: str, video: str, image: str) -> Image:
    """The frame that is measured, (H, W, 1 or 3)."""
    import numpy as np

    from rt_pose.image_file import read_image
    from rt_pose.session.aim_calibration import opened_camera
    from rt_pose.video import read_frames

    if video and image:
        raise UserError("rig scale: give either --video or --image")
    if video:
        for frame in read_frames(Path(video), 3):
            return frame.image.copy()
        raise UserError(f"{video}: has no frame")
    if image:
        read = read_image(image, 3)
        if read is None:
            raise UserError(f"{image}: cannot be read as a picture; give --image a PNG or JPEG")
        return read
    import rigs
    from rt_pose.drivers import DriverContext

    rigs.register()
    with ExitStack() as stack:
        (x, y), frames = opened_camera(config, camera, DriverContext(HostClock(), config.seed), stack)
        for _ in range(FRAMES_BEFORE):
            taken = next(frames)
        # As a part of the sensor, so that a place in the picture is a place of the poses.
        return np.pad(taken, ((y, 0), (x, 0), (0, 0)))


def _corners(text: str) -> tuple[int, int]:
    columns, cross, rows = text.partition("x")
    if not (cross and columns.isdigit() and rows.isdigit() and len(text) < 10):
        raise UserError(f"--checkerboard: expected inner corners such as 9x6, got {text!r}")
    return int(columns), int(rows)


def _write_picture(out: Path, picture: Image) -> None:
    import cv2

    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: expected the name of a PNG")
    out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(out), picture):
        raise UserError(f"{out}: cannot be written; choose another --out")
    mark_png(out)


def _write_value(rig: Path, path: list[str], value: Any) -> None:
    text = set_value(rig.read_text(encoding="utf-8"), path, value, str(rig))
    write_atomic(rig, text, "write it by hand")
    print(f"{'.'.join(path)}: written into {rig}")
