"""Calibration of an output that aims light: pairs of a camera's pixels and the output's positions.

The pairs come from a table, or are measured: the output lights one position after another, and the spot is
found in the camera's frame by a pixel threshold.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.config.schema import AimCalibrationConfig, RunConfig
from rt_pose.drivers import Camera, CameraFault, DriverContext, Output, make_camera, make_output
from rt_pose.errors import UserError, nearest
from rt_pose.rules.homography import FittedHomography, fit_homography, hull
from rt_pose.session.scale import rounded
from rt_pose.types import Command, FrameStamps

Image = NDArray[np.uint8]
Places = NDArray[np.float64]
COLUMNS = ("x_px", "y_px", "x", "y")
LIT_MS = 400
"""How long each spot stays on at most."""
LAST_FRAMES = 12
"""So many frames are waited for the spot to come, and to go."""
DARK_FRAMES = 5
NO_FRAME_S = 10
"""How long a camera may bring no whole frame."""
SMALLEST_PX = 3
"""Pixels of a spot; fewer are a hot pixel or a reflection."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Places of the frame and the positions that light them."""

    px: Places
    """(n, 2)."""
    device: Places
    """(n, 2), in the unit of the output."""
    unseen: int = 0
    """Positions whose spot was not found in the frame."""


def calibrate(
    pairs: Pairs, unit: str, largest_px: float, where: str
) -> tuple[AimCalibrationConfig, FittedHomography]:
    """Fit the calibration of an output to pairs.

    Parameters
    ----------
    pairs
        The pairs.
    unit
        Of the output's positions.
    largest_px
        Largest residual that is allowed, px.
    where
        Where the pairs come from, for messages.

    Returns
    -------
    tuple[AimCalibrationConfig, FittedHomography]
        The keys of the configuration, and the fit with its residuals.

    Raises
    ------
    UserError
        Where the pairs are too few, degenerate, or do not fit.
    """
    fitted = fit_homography(pairs.px, pairs.device, largest_px, where)
    matrix = [[rounded(value) for value in row] for row in fitted.matrix.tolist()]
    return AimCalibrationConfig(unit, matrix, hull(pairs.px), round(fitted.largest, 3)), fitted


def read_pairs(path: Path) -> Pairs:
    """Read a table of pairs.

    Parameters
    ----------
    path
        A CSV with the columns x_px, y_px (px of the frame) and x, y (the output's position).

    Returns
    -------
    Pairs
        The pairs.

    Raises
    ------
    UserError
        Where it cannot be read, or a column or number is missing.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"--pairs {path}: cannot be read as a CSV: {error}") from error
    there = list(rows[0]) if rows else []
    if not set(COLUMNS) <= set(there):
        raise UserError(
            f"--pairs {path}: expected a CSV whose first line is {','.join(COLUMNS)}, got "
            f"{','.join(map(str, there)) or 'nothing'}"
        )
    values = np.array([[_number(path, i, row, name) for name in COLUMNS] for i, row in enumerate(rows, 2)])
    return Pairs(values[:, :2], values[:, 2:])


def _number(path: Path, line: int, row: dict[str, str], name: str) -> float:
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = float("nan")
    if not np.isfinite(value):
        raise UserError(f"--pairs {path}:{line}: {name}: expected a number, got {row[name]!r}")
    return value


def grid(corners: Sequence[float], steps: int) -> Places:
    """List the positions of a grid.

    Parameters
    ----------
    corners
        x and y of one corner and of the opposite one, in the output's unit.
    steps
        Positions in each direction.

    Returns
    -------
    Places
        (steps * steps, 2).

    Raises
    ------
    UserError
        Where the corners span no area, or the steps are too few.
    """
    x0, y0, x1, y1 = corners
    if x0 == x1 or y0 == y1 or not np.isfinite(corners).all():
        raise UserError(f"--grid: expected two corners that span an area, X Y X Y, got {list(corners)}")
    if not 2 <= steps <= 20:
        raise UserError(f"--steps: expected 2 to 20, got {steps}")
    return np.array([(x, y) for y in np.linspace(y0, y1, steps) for x in np.linspace(x0, x1, steps)])


def measure_pairs(
    config: RunConfig, camera: str, output: str, positions: Places, threshold: int, clock: Clock
) -> Pairs:
    """Light positions one by one and find each spot in the camera's frame.

    Parameters
    ----------
    config
        The rig.
    camera, output
        Names of the camera and of the output.
    positions
        (n, 2) in the output's unit.
    threshold
        Grey level from which on a pixel is lit; such pixels of the dark frame do not count.
    clock
        The host clock.

    Returns
    -------
    Pairs
        Of the spots that were found.

    Raises
    ------
    UserError
        Where the camera or the output cannot be opened, fails, or takes no aimed light.
    """
    with ExitStack() as stack:
        context = DriverContext(clock, config.seed)
        offset_xy, frames = opened_camera(config, camera, context, stack)
        light = _opened_output(config, output, context, stack)
        dark = np.maximum.reduce([next(frames).copy() for _ in range(DARK_FRAMES)])
        found: list[tuple[float, float]] = []
        lit = []
        for number, (x, y) in enumerate(positions.tolist(), 1):
            command = Command(number, None, output, 0, "aim", duration_us=LIT_MS * 1000, x=x, y=y)
            place = _light_and_find(light, command, frames, dark, threshold)
            if place is not None:
                found.append(place)
                lit.append((x, y))
        places = np.array(found).reshape(-1, 2) + offset_xy  # px of the sensor, as poses are
        return Pairs(places, np.array(lit).reshape(-1, 2), len(positions) - len(found))


def opened_camera(
    config: RunConfig, camera: str, context: DriverContext, stack: ExitStack
) -> tuple[tuple[int, int], Iterator[Image]]:
    """Open and start a camera, and iterate over its frames.

    Parameters
    ----------
    config
        The rig.
    camera
        Name of the camera.
    context
        What the drivers share.
    stack
        Closes the camera.

    Returns
    -------
    offset_xy : tuple[int, int]
        Place of the frames' top-left pixel on the sensor, px.
    frames : Iterator[Image]
        Each frame's pixels, (H, W, C) uint8, which the next frame overwrites.

    Raises
    ------
    UserError
        Where there is no such camera, or it cannot be opened or started; while iterating, where it fails,
        ends or brings nothing for long.
    """
    if camera not in config.cameras:
        raise UserError(f"--camera: there is no camera '{camera}'{nearest(camera, config.cameras)}")
    given = config.cameras[camera]
    driver = make_camera(camera, given.driver, given.options, context)
    stack.callback(driver.close)
    info = driver.open()
    stack.callback(driver.stop)
    try:
        driver.arm()
        driver.start()
    except CameraFault as fault:
        raise UserError(f"camera '{camera}': {fault}") from fault
    pixels = np.zeros((info.height, info.width, info.channels), np.uint8)
    return info.offset_xy, _frames(driver, pixels, camera, context.clock)


def _frames(driver: Camera, pixels: Image, name: str, clock: Clock) -> Iterator[Image]:
    came_ns = clock.now_ns()
    while True:
        try:
            grabbed = driver.grab(pixels)
        except CameraFault as fault:
            raise UserError(f"camera '{name}': {fault}") from fault
        if grabbed is None:
            raise UserError(f"camera '{name}': its frames ended before all was measured")
        if isinstance(grabbed, FrameStamps):
            came_ns = clock.now_ns()
            yield pixels
        elif clock.now_ns() - came_ns > NO_FRAME_S * NS_PER_S:
            raise UserError(f"camera '{name}': no whole frame came within {NO_FRAME_S} s; is it triggered?")


def _opened_output(config: RunConfig, name: str, context: DriverContext, stack: ExitStack) -> Output:
    if name not in config.outputs:
        raise UserError(f"--output: there is no output '{name}'{nearest(name, config.outputs)}")
    given = config.outputs[name]
    driver = make_output(name, given.driver, given.options, context)
    stack.callback(driver.close)
    info = driver.open()
    stack.callback(driver.safe_state)
    if info.actions and "aim" not in info.actions:
        raise UserError(f"--output: '{name}' takes no aim; it takes {', '.join(info.actions)}")
    return driver


def _light_and_find(
    light: Output,
    command: Command,
    frames: Iterator[Image],
    dark: Image,
    threshold: int,
) -> tuple[float, float] | None:
    """The spot of one position; it has gone when this returns, so that it is not taken for the next."""
    ack = light.send(command)
    if not ack.ok:
        raise UserError(
            f"output '{command.output}': the light at {command.x:g}, {command.y:g} was refused: {ack.detail}"
        )
    place = None
    for _ in range(LAST_FRAMES):
        place = find_spot(next(frames), dark, threshold)
        if place is not None:
            break
    light.safe_state()
    for _ in range(LAST_FRAMES):
        if find_spot(next(frames), dark, threshold) is None:
            return place
    raise UserError(
        f"output '{command.output}': its light stays on after the safe state; is another light in view, or "
        f"--threshold {threshold} too low?"
    )


def find_spot(frame: Image, dark: Image, threshold: int) -> tuple[float, float] | None:
    """Find the largest spot that is lit in a frame and was dark before.

    Parameters
    ----------
    frame
        (H, W, C) uint8.
    dark
        The brightest of each pixel without the light, (H, W, C) uint8.
    threshold
        Grey level from which on a pixel is lit.

    Returns
    -------
    tuple[float, float] | None
        Centre of the spot's pixels, px; None where no spot is in the frame, or its border cuts it.
    """
    lit = ((frame.max(axis=2) >= threshold) & (dark.max(axis=2) < threshold)).astype(np.uint8)
    count, _, stats, centres = cv2.connectedComponentsWithStats(lit, connectivity=8)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    left, top, width, height, area = stats[largest].tolist()
    inside = left > 0 and top > 0 and left + width < lit.shape[1] and top + height < lit.shape[0]
    if area < SMALLEST_PX or not inside:
        return None
    return float(centres[largest][0]), float(centres[largest][1])
