"""Calibrations of several cameras as files: anipose's `calibration.toml`, read and written.

A table a camera (`cam_0`, `cam_1`, ...) with name, size, matrix, distortions, rotation and translation; what
stands under `metadata` is not read.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.errors import UserError
from rt_pose.files import write_atomic
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera

MOST_BYTES = 1 << 20
METADATA = "metadata"
KEYS = ("name", "size", "matrix", "distortions", "rotation", "translation")
MARK = "# written by rt-pose rig calibrate-cameras\n"
MOST_PX = 100_000
INSTEAD = "`rt-pose rig calibrate-cameras` and anipose write such a file"


def read_calibration(path: Path) -> list[CalibratedCamera]:
    """Read a calibration.

    Parameters
    ----------
    path
        A TOML file as anipose and sleap-anipose write it.

    Returns
    -------
    list[CalibratedCamera]
        Its cameras, in the file's order.

    Raises
    ------
    UserError
        Where it cannot be read, or a camera is not described as it must be.
    """
    where = f"calibration {path}"
    if not path.is_file():
        raise UserError(f"{where}: no such file; {INSTEAD}")
    if path.stat().st_size > MOST_BYTES:
        raise UserError(f"{where}: is larger than any calibration; {INSTEAD}")
    try:
        plain = tomllib.loads(path.read_bytes().decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # also what is no UTF-8 or no TOML
        raise UserError(f"{where}: cannot be read as TOML: {error}; {INSTEAD}") from error
    tables = {key: table for key, table in plain.items() if key != METADATA}
    if not tables or not all(isinstance(table, dict) for table in tables.values()):
        raise UserError(f"{where}: expected a table a camera, [cam_0] and so on; {INSTEAD}")
    cameras = [_camera(table, f"{where}: {key}") for key, table in tables.items()]
    names = [camera.name for camera in cameras]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{where}: two cameras are called '{name}'; give each a name of its own")
    return cameras


def write_calibration(path: Path, cameras: Sequence[CalibratedCamera], error_px: float) -> None:
    """Write a calibration.

    Parameters
    ----------
    path
        The TOML file; it appears when it is whole.
    cameras
        Its cameras.
    error_px
        Root mean square of the reprojection errors with which it was made, px.
    """
    tables = [
        "\n".join(
            [
                f"[cam_{i}]",
                f"name = {json.dumps(camera.name, ensure_ascii=False)}",
                f"size = {list(camera.size)}",
                f"matrix = {camera.matrix.tolist()}",
                f"distortions = {camera.distortions.tolist()}",
                f"rotation = {camera.rotation.tolist()}",
                f"translation = {camera.translation.tolist()}",
            ]
        )
        for i, camera in enumerate(cameras)
    ]
    metadata = f'[{METADATA}]\nadjusted = true\nerror = {error_px!r}\nunit = "mm"\n'
    write_atomic(path, "\n\n".join([MARK, *tables, metadata]))


def is_own_calibration(head: bytes) -> bool:
    """Tell whether rt-pose has written a calibration.

    Parameters
    ----------
    head
        Its first bytes.

    Returns
    -------
    bool
        Whether it has.
    """
    return head.startswith(MARK.encode())


def _camera(table: dict[str, Any], where: str) -> CalibratedCamera:
    missing = [key for key in KEYS if key not in table]
    if missing:
        raise UserError(f"{where}: has no {missing[0]}; expected {', '.join(KEYS)}")
    name = table["name"]
    if not isinstance(name, str) or not name.strip():
        raise UserError(f"{where}: name: expected a text, got {name!r}")
    where = f"{where} ('{name}')"
    if table.get("fisheye"):
        raise UserError(
            f"{where}: is calibrated as a fisheye lens; only pinhole cameras with distortion are read: "
            "calibrate it as such"
        )
    size = _numbers(table["size"], (2,), f"{where}: size")
    if not (np.all(size == np.round(size)) and np.all((size > 0) & (size <= MOST_PX))):
        raise UserError(f"{where}: size: expected width and height in px, got {table['size']}")
    matrix = _numbers(table["matrix"], (3, 3), f"{where}: matrix")
    if min(matrix[0, 0], matrix[1, 1]) <= 0:
        raise UserError(f"{where}: matrix: expected focal lengths above 0 on its diagonal")
    expected = np.array([[matrix[0, 0], 0, matrix[0, 2]], [0, matrix[1, 1], matrix[1, 2]], [0, 0, 1]])
    if not np.array_equal(matrix, expected):
        raise UserError(f"{where}: matrix: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]")
    bent = table["distortions"]
    if not isinstance(bent, list) or len(bent) not in (4, 5):
        raise UserError(f"{where}: distortions: expected [k1, k2, p1, p2] or [k1, k2, p1, p2, k3]")
    distortions = np.zeros(5)
    distortions[: len(bent)] = _numbers(bent, (len(bent),), f"{where}: distortions")
    return CalibratedCamera(
        name,
        (int(size[0]), int(size[1])),
        matrix,
        distortions,
        _numbers(table["rotation"], (3,), f"{where}: rotation"),
        _numbers(table["translation"], (3,), f"{where}: translation"),
    )


def _numbers(value: object, shape: tuple[int, ...], where: str) -> FloatArray:
    """Finite numbers of a shape; UserError where they are something else."""
    try:
        array = np.array(value)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.dtype.kind not in "iuf" or array.shape != shape or not np.isfinite(array).all():
        raise UserError(f"{where}: expected {'x'.join(map(str, shape))} finite numbers, got {value!r}"[:300])
    return array.astype(np.float64)
