"""How often a wrong calibration is found, its camera named, and a right one refused.

    python -m bench.calibration [--poses CAMERA=FILE ... --good FILE ... --bad FILE ...] [--out STEM]

Rigs are made up from seeds: 3 to 5 cameras around an animal of 15 keypoints, each of which is seen
with noise, its own constant offset in each camera (labels of one point never mean quite the same one in two
views), outliers and gaps. Each is checked as it is, and with one fault after the other. Recorded poses are
drawn anew with repetition and 3 px of noise are added.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np

from bench.output import conditions, machine_line
from bench.program import Out, run, say
from bench.tables import Table, tables_text
from rt_pose.audit.recorded_views import read_view_poses
from rt_pose.types import FloatArray
from rt_pose.views.calibration_file import read_calibration
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.check import CalibrationCheck, check_calibration, expected_noise
from rt_pose.views.view_poses import ViewPoses, cameras_of

SIZE = (1280, 1024)
NOISES = (1.0, 3.0)
CAMERAS = (3, 4, 5)
FRAMES, KEYPOINTS = 60, 15
OFFSET_PX, OUTLIERS, MISSING = 2.0, 0.03, 0.15
ARENA_MM, BODY_MM = 250.0, 80.0


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    rigs: Annotated[int, "made-up rigs that are right, of each number of cameras and noise"] = 50
    faulty: Annotated[int, "rigs with each fault, of each number of cameras"] = 4
    poses: Annotated[list[str], "recorded poses, CAMERA=FILE"] = field(default_factory=list)
    good: Annotated[list[Path], "right calibrations of the recorded poses' cameras"] = field(
        default_factory=list
    )
    bad: Annotated[list[Path], "wrong ones"] = field(default_factory=list)
    draws: Annotated[int, "how often recorded poses are drawn anew, of each calibration"] = 100
    out: Out = None


def make_rig(random: np.random.Generator, count: int) -> list[CalibratedCamera]:
    """Make cameras around the origin that look at it, from directions at least 30 degrees apart.

    Parameters
    ----------
    random
        The generator.
    count
        How many.

    Returns
    -------
    list[CalibratedCamera]
        Named a, b, c and so on; mm.
    """
    cameras: list[CalibratedCamera] = []
    while len(cameras) < count:
        ahead = random.normal(size=3)
        ahead[2] = -abs(ahead[2])  # from above
        ahead /= np.linalg.norm(ahead)
        if any(camera.rotation_matrix[2] @ ahead > np.cos(np.radians(30)) for camera in cameras):
            continue
        right = np.cross(random.normal(size=3), ahead)
        right /= np.linalg.norm(right)
        turn = np.stack([right, np.cross(ahead, right), ahead])
        focal, distance = random.uniform(650, 1000), random.uniform(350, 600)
        matrix = np.array([[focal, 0, (SIZE[0] - 1) / 2], [0, focal, (SIZE[1] - 1) / 2], [0, 0, 1]])
        bent = np.array([random.uniform(-0.3, 0.0), 0, 0, 0, 0])
        shift = np.array([*random.normal(0, 20, 2), distance])
        name = "abcdefgh"[len(cameras)]
        cameras.append(CalibratedCamera(name, SIZE, matrix, bent, cv2.Rodrigues(turn)[0].ravel(), shift))
    return cameras


def make_animal(random: np.random.Generator, frames: int) -> FloatArray:
    """Make an animal that walks about.

    Parameters
    ----------
    random
        The generator.
    frames
        F.

    Returns
    -------
    FloatArray
        (F, K, 3) mm.
    """
    body = random.uniform(-0.5, 0.5, (KEYPOINTS, 3)) * (BODY_MM, BODY_MM / 3, BODY_MM / 3)
    at = random.uniform(-0.5, 0.5, (frames, 3)) * (ARENA_MM, ARENA_MM, 40.0)
    heading = random.uniform(0, 2 * np.pi, frames)
    cos, sin, none, one = np.cos(heading), np.sin(heading), np.zeros(frames), np.ones(frames)
    turns = np.stack([cos, -sin, none, sin, cos, none, none, none, one], axis=1).reshape(-1, 3, 3)
    placed: FloatArray = body @ turns.transpose(0, 2, 1) + at[:, None]
    return placed + random.normal(0, 3, placed.shape)


def observe(
    cameras: Sequence[CalibratedCamera],
    xyz: FloatArray,
    noise_px: float,
    random: np.random.Generator,
    offset_px: float = OFFSET_PX,
) -> FloatArray:
    """See keypoints as a network would.

    Parameters
    ----------
    cameras
        V of them.
    xyz
        (F, K, 3) mm.
    noise_px
        Standard deviation in x and y.
    random
        The generator.
    offset_px
        Of the constant offsets of keypoints in each camera.

    Returns
    -------
    FloatArray
        (V, F, K, 2) px; NaN where a keypoint was not seen.
    """
    xy = np.stack([camera.project(xyz) for camera in cameras])
    xy = (
        xy
        + random.normal(0, offset_px, (len(cameras), 1, xyz.shape[1], 2))
        + random.normal(0, noise_px, xy.shape)
    )
    wrong = random.random(xy.shape[:-1]) < OUTLIERS
    xy[wrong] = random.uniform((0, 0), SIZE, (int(wrong.sum()), 2))
    outside = ((xy < 0) | (xy > np.array(SIZE) - 1)).any(axis=-1)
    xy[outside | (random.random(xy.shape[:-1]) < MISSING)] = np.nan
    return xy


def view_poses(cameras: Sequence[CalibratedCamera], xy: FloatArray) -> ViewPoses:
    """Name what was seen.

    Parameters
    ----------
    cameras
        V of them.
    xy
        (V, F, K, 2) px.

    Returns
    -------
    ViewPoses
        The poses.
    """
    names = [f"k{i}" for i in range(xy.shape[2])]
    return ViewPoses([camera.name for camera in cameras], names, list(range(xy.shape[1])), xy)


Case = tuple[list[CalibratedCamera], FloatArray, list[str]]
"""Calibration, poses, and the cameras that are wrong."""


def _with(cameras: Sequence[CalibratedCamera], changed: CalibratedCamera) -> list[CalibratedCamera]:
    return [changed if camera.name == changed.name else camera for camera in cameras]


def _turned(axis: int) -> Callable[[list[CalibratedCamera], FloatArray], Case]:
    """The second camera, turned by 2 degrees about one of its axes since it was calibrated."""

    def fault(cameras: list[CalibratedCamera], xy: FloatArray) -> Case:
        turn = np.eye(3)[axis] * np.radians(2)
        return _with(cameras, cameras[1].moved(turn, np.zeros(3))), xy, [cameras[1].name]

    return fault


def _copied(cameras: list[CalibratedCamera], xy: FloatArray) -> Case:
    return _with(cameras, replace(cameras[0], name=cameras[1].name)), xy, [cameras[1].name]


def _exchanged(cameras: list[CalibratedCamera], xy: FloatArray) -> Case:
    first, second = cameras[1], cameras[2]
    swapped = _with(_with(cameras, replace(first, name=second.name)), replace(second, name=first.name))
    return swapped, xy, [first.name, second.name]


def _mirrored(cameras: list[CalibratedCamera], xy: FloatArray) -> Case:
    changed = xy.copy()
    changed[1, ..., 0] = SIZE[0] - 1 - xy[1, ..., 0]
    return cameras, changed, [cameras[1].name]


def _resolution(cameras: list[CalibratedCamera], xy: FloatArray) -> Case:
    changed = xy.copy()
    changed[1] = (xy[1] + 0.5) / 2 - 0.5
    return cameras, changed, [cameras[1].name]


def _all_of_another_resolution(cameras: list[CalibratedCamera], xy: FloatArray) -> Case:
    return cameras, (xy + 0.5) / 2 - 0.5, [camera.name for camera in cameras]


def _unit(cameras: list[CalibratedCamera], xy: FloatArray) -> Case:
    """The second camera's translation in cm."""
    changed = replace(cameras[1], translation=cameras[1].translation / 10)
    return _with(cameras, changed), xy, [cameras[1].name]


FAULTS: dict[str, Callable[[list[CalibratedCamera], FloatArray], Case]] = {
    "a copy of another": _copied,
    "two exchanged": _exchanged,
    "one tilted by 2 deg": _turned(0),
    "one panned by 2 deg": _turned(1),
    "one rolled by 2 deg": _turned(2),
    "one mirrored": _mirrored,
    "one of half the resolution": _resolution,
    "all of half the resolution": _all_of_another_resolution,
    "one in cm": _unit,
}


def measure(options: Options) -> dict[str, Any]:
    """Check right and wrong calibrations.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.
    """
    right = [_of_right(count, noise, options.rigs) for count in CAMERAS for noise in NOISES]
    wrong = [_of_fault(name, options.faulty) for name in FAULTS]
    recorded = [
        _of_recorded(options.poses, path, expected, options.draws)
        for expected, paths in (("right", options.good), ("wrong", options.bad))
        for path in paths
    ]
    return {"bench": "calibration", **conditions(), "right": right, "wrong": wrong, "recorded": recorded}


def _of_right(count: int, noise_px: float, rigs: int) -> dict[str, Any]:
    say(f"{count} cameras, {noise_px:g} px: {rigs} rigs")
    checks = []
    for seed in range(rigs):
        random = np.random.default_rng((seed, count, int(noise_px)))
        cameras = make_rig(random, count)
        xy = observe(cameras, make_animal(random, FRAMES), noise_px, random)
        checks.append(check_calibration(cameras, view_poses(cameras, xy), expected_noise(cameras)))
    return {"cameras": count, "noise_px": noise_px, "n": rigs, **_summary(checks)}


def _summary(checks: Sequence[CalibrationCheck]) -> dict[str, Any]:
    refused = sum(check.explanation is not None for check in checks)
    noise = [check.noise_px / check.noise_limit_px for check in checks]
    offsets = [row.offset_px / row.offset_limit_px for check in checks for row in check.cameras]
    return {
        "refused": refused,
        "noise_over_limit_max": round(max(noise), 3),
        "offset_over_limit_max": round(float(np.nanmax(offsets)), 3),
    }


def _of_fault(fault: str, rigs: int) -> dict[str, Any]:
    say(f"{fault}: {rigs} rigs of each of {len(CAMERAS)} sizes")
    found, named, n = 0, 0, 0
    for count in CAMERAS:
        for seed in range(rigs):
            random = np.random.default_rng((1000 + seed, count))
            cameras = make_rig(random, count)
            xy = observe(cameras, make_animal(random, FRAMES), NOISES[-1], random)
            wrong, seen, names = FAULTS[fault](cameras, xy)
            explanation = check_calibration(wrong, view_poses(wrong, seen), expected_noise(wrong)).explanation
            n, found = n + 1, found + (explanation is not None)
            named += explanation is not None and sorted(explanation.cameras) == sorted(names)
    return {"fault": fault, "n": n, "found": found, "named": named}


def _of_recorded(given: list[str], path: Path, expected: str, draws: int) -> dict[str, Any]:
    poses = read_view_poses(given, 0.5)
    cameras = cameras_of(read_calibration(path), poses.cameras, "--poses")
    expected_px = expected_noise(cameras)
    plain = check_calibration(cameras, poses, expected_px)
    say(f"{path.name}, {expected}: {draws} draws of {len(poses.frames)} frames")
    refused = 0
    names: set[str] = set()
    for seed in range(draws):
        random = np.random.default_rng(seed)
        rows = random.integers(0, len(poses.frames), len(poses.frames))
        xy = poses.xy[:, rows] + random.normal(0, 3.0, poses.xy.shape)
        explanation = check_calibration(cameras, replace(poses, xy=xy), expected_px).explanation
        if explanation is not None:
            refused += 1
            names.add(", ".join(explanation.cameras))
    return {
        "file": path.name,
        "expected": expected,
        "noise_px": round(plain.noise_px, 2),
        "largest_offset_px": round(float(np.nanmax([row.offset_px for row in plain.cameras])), 2),
        "refused_as_recorded": plain.explanation is not None,
        "n": draws,
        "refused": refused,
        "named": sorted(names),
    }


def text(figures: dict[str, Any]) -> str:
    """Format the tables for people.

    Parameters
    ----------
    figures
        What `measure` returned.

    Returns
    -------
    str
        Markdown.
    """
    right = Table(
        "Right calibrations",
        ["cameras", "noise, px", "n", "refused", "noise / limit, max", "offset / limit, max"],
        [
            [
                *(str(row["cameras"]), f"{row['noise_px']:g}", str(row["n"]), str(row["refused"])),
                *(f"{row['noise_over_limit_max']:.2f}", f"{row['offset_over_limit_max']:.2f}"),
            ]
            for row in figures["right"]
        ],
    )
    wrong = Table(
        "Wrong calibrations, 3 px of noise",
        ["fault", "n", "found", "the right cameras named"],
        [[row["fault"], str(row["n"]), str(row["found"]), str(row["named"])] for row in figures["wrong"]],
    )
    recorded = Table(
        "Recorded poses, drawn anew with 3 px of noise",
        ["file", "is", "noise as recorded, px", "largest offset, px", "n", "refused", "named"],
        [
            [
                *(row["file"], row["expected"], f"{row['noise_px']:.2f}", f"{row['largest_offset_px']:.2f}"),
                *(str(row["n"]), str(row["refused"]), "; ".join(row["named"]) or "-"),
            ]
            for row in figures["recorded"]
        ],
    )
    tables = [right, wrong, *([recorded] if figures["recorded"] else [])]
    return tables_text("Whether a calibration is right", [machine_line(figures) + "."], tables)


if __name__ == "__main__":
    sys.exit(run(Options, measure, text))
