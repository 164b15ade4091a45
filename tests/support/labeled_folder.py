"""A folder in Lightning Pose layout with drawn frames: discs of different size and brightness on noise."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

KEYPOINTS = ["large", "small", "dark"]
_DISCS = ((9.0, 240.0), (4.0, 255.0), (6.0, 10.0))  # radius px, grey level
SIZE = (120, 90)


def draw_discs(xy: NDArray[np.float64], size: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """A gray image (H, W) of `size` (width, height) with the discs centred at `xy` (3, 2)."""
    y, x = np.mgrid[: size[1], : size[0]]
    image = np.random.default_rng(seed).normal(110, 4, (size[1], size[0]))
    for (cx, cy), (radius, level) in zip(xy, _DISCS, strict=True):
        share = np.clip(radius + 0.5 - np.hypot(x - cx, y - cy), 0, 1)  # antialiased rim
        image += share * (level - image)
    return np.clip(image.round(), 0, 255).astype(np.uint8)


def make_labeled_folder(folder: Path, frames: int = 24, seed: int = 0) -> Path:
    """Draw `frames` images and write their labels; the folder."""
    (folder / "labeled-data").mkdir(parents=True)
    random = np.random.default_rng(seed)
    rows: list[list[object]] = [
        ["scorer", *["drawn"] * 6],
        ["bodyparts", *[name for name in KEYPOINTS for _ in "xy"]],
        ["coords", *["x", "y"] * 3],
    ]
    for i in range(frames):
        xy = random.uniform([12, 12], [SIZE[0] - 12, SIZE[1] - 12], (3, 2)).round(3)
        name = f"labeled-data/img{i:03d}.png"
        cv2.imwrite(str(folder / name), draw_discs(xy, SIZE, seed=1000 * seed + i))
        rows.append([name, *xy.ravel()])
    write_rows(folder, rows)
    return folder


def read_rows(folder: Path) -> list[list[str]]:
    """The labels file as rows of cells."""
    with (folder / "CollectedData.csv").open(newline="") as file:
        return list(csv.reader(file))


def write_rows(folder: Path, rows: list[list[object]] | list[list[str]]) -> None:
    """Replace the labels file."""
    with (folder / "CollectedData.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def make_discs_video(path: Path, frames: int = 40, seed: int = 5) -> Path:
    """A video of the discs going round, each by 2 px a frame at most."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 50, SIZE)
    phase = np.array([0.0, 2.1, 4.2])
    for i in range(frames):
        turn = phase + 0.06 * i
        xy = np.stack([60 + 30 * np.cos(turn), 45 + 25 * np.sin(turn)], axis=-1)
        writer.write(np.repeat(draw_discs(xy, SIZE, seed=seed * 10000 + i)[..., None], 3, axis=2))
    writer.release()
    return path
