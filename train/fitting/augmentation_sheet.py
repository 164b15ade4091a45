"""A sheet of augmented samples with their keypoints, for a person to look at before training.

    as it is | drawn | drawn | ...      a row a labeled frame, its labels moved as its pixels are
    clip frames, one after another      the outline is the frame's own edge, moved by the clip's affine

Every picture has gone through the graph that training uses, and is shown as the network gets it.
"""

from __future__ import annotations

import logging
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.package import InputSpec
from train.config import AugmentConfig, TrainConfig
from train.data.batches import TrainingBatches
from train.data.clips import ClipBatch, ClipBatches, redo_affine
from train.data.labels import LabeledFrames, read_data_sets, read_labels
from train.data.videos import check_videos, find_videos
from train.fitting.check import check
from train.models.network import input_spec

_LOG = logging.getLogger(__name__)

ROWS, COLUMNS = 4, 6
GAP_PX, BAR_PX, LINE_PX = 4, 20, 18
SMALLEST_TILE_PX = 200
"""Smaller network inputs are magnified by a whole factor."""
_BACKGROUND, _INK = 24, (230, 230, 230)
Picture = NDArray[np.uint8]


def show_augmented(config: TrainConfig) -> Path:
    """Draw the sheet of a training's configuration to its `out`, a PNG, and report what it shows.

    Parameters
    ----------
    config
        Of the training; `data` and `out` must be set.

    Returns
    -------
    Path
        The PNG.

    Raises
    ------
    UserError
        Where the configuration, its labels or its videos cannot be used, or where `out` cannot be written.
    """
    check(config)
    for key in ("data", "out"):
        if not getattr(config, key):
            raise UserError(f"{key}: nothing given; say --data FOLDER --out SHEET.png")
    out = Path(config.out).expanduser()
    folders = [Path(place).expanduser() for place in config.data_folders]
    frames = read_data_sets(folders, config.labels, config.network.channels, config.keypoints, several=True)
    for line in draw_sheet(config, folders[0], out, frames):
        _LOG.info(line)
    return out


def draw_sheet(config: TrainConfig, data: Path, out: Path, frames: LabeledFrames | None = None) -> list[str]:
    """Draw the sheet to a PNG.

    Parameters
    ----------
    config
        Of the training: network input, augmentation, seed.
    data
        The data folder. Clips come from its folder `videos`, where there is one.
    out
        The PNG to write.
    frames
        Labeled frames; None: those of `data`.

    Returns
    -------
    list of str
        What the sheet shows, as lines for the user.

    Raises
    ------
    UserError
        Where labels or videos cannot be used, or where `out` cannot be written.
    """
    if frames is None:
        frames = read_labels(data, config.labels, config.network.channels, config.keypoints)
    spec = input_spec(config.network, frames.channels)
    chosen = np.random.default_rng(config.seed).permutation(len(frames))[:ROWS]
    rows = [_labeled_row(frames, int(i), spec, config) for i in chosen]
    messages = [*frames.notes, f"{len(rows)} labeled frames: as they are, and under {COLUMNS - 1} draws each"]
    messages.append(f"augmentation: {_format_augmentation(config.augment)}")
    clip = _draw_clip(data, spec, config)
    if clip is None:
        messages.append(f"no clip: there is no folder {data / 'videos'}")
    else:
        rows.append(_clip_row(clip, spec))
        messages.append(f"{COLUMNS} frames of {clip.video.name} from frame {clip.start} on, under one draw")
    sheet = np.concatenate([*rows, _legend(frames.keypoints, rows[0].shape[1])])
    if out.suffix.lower() != ".png" or not out.parent.is_dir() or not cv2.imwrite(str(out), sheet):
        raise UserError(f"--out {out}: cannot be written; give a PNG in a folder that exists")
    return messages


def _labeled_row(frames: LabeledFrames, index: int, spec: InputSpec, config: TrainConfig) -> Picture:
    off = AugmentConfig(**{field.name: 0.0 for field in fields(AugmentConfig)})
    tiles = []
    for augment, count, title in ((off, 1, frames.names[index]), (config.augment, COLUMNS - 1, "drawn")):
        same = frames.subset(np.full(count, index))
        batch = next(iter(TrainingBatches(same, spec, augment, count, 1, config.seed + index)))
        for image, points in zip(batch.images, batch.keypoints.numpy(), strict=True):
            tiles.append(_add_title(_draw_points(_picture(image, spec), points, spec), title))
    return _place_side_by_side(tiles)


def _draw_clip(data: Path, spec: InputSpec, config: TrainConfig) -> ClipBatch | None:
    if not (data / "videos").is_dir():
        return None
    videos = check_videos(find_videos(data), COLUMNS)
    return next(iter(ClipBatches(videos, spec, config.augment, COLUMNS, config.seed, steps=1)))


def _clip_row(clip: ClipBatch, spec: InputSpec) -> Picture:
    width, height = clip.frame_size
    corners = torch.tensor([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]).float()
    outline = redo_affine(corners, clip.from_input).numpy()
    tiles = []
    for t, image in enumerate(clip.images):
        picture = _picture(image, spec)
        edge = (_in_tile(outline, spec) * 16).round().astype(np.int32)[:, None]
        cv2.polylines(picture, [edge], isClosed=True, color=(0, 200, 255), lineType=cv2.LINE_AA, shift=4)
        tiles.append(_add_title(picture, f"{clip.video.name} {clip.start + t}"))
    return _place_side_by_side(tiles)


def _factor(spec: InputSpec) -> int:
    return max(1, -(-SMALLEST_TILE_PX // spec.width))


def _picture(image: torch.Tensor, spec: InputSpec) -> Picture:
    """The network's input (C, h, w) as a BGR picture, magnified."""
    levels = image.numpy().transpose(1, 2, 0) * np.array(spec.std) + np.array(spec.mean)
    picture = np.clip(levels.round(), 0, 255).astype(np.uint8)
    picture = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture[..., ::-1]
    factor = _factor(spec)
    return np.ascontiguousarray(picture.repeat(factor, axis=0).repeat(factor, axis=1))


def _in_tile(points: NDArray[np.float32], spec: InputSpec) -> NDArray[np.float32]:
    """Pixel centres of the input as pixel centres of its magnified picture."""
    factor = _factor(spec)
    return np.asarray((points + 0.5) * factor - 0.5, np.float32)


def _draw_points(picture: Picture, points: NDArray[np.float32], spec: InputSpec) -> Picture:
    animals = points.reshape(-1, *points.shape[-2:])
    colours = _colours(points.shape[-2]) * len(animals)
    for point, colour in zip(_in_tile(animals, spec).reshape(-1, 2), colours, strict=True):
        if np.isfinite(point).all():
            x, y = (int(v) for v in (point * 16).round())
            cv2.circle(picture, (x, y), 3 * 16, (0, 0, 0), 3, cv2.LINE_AA, shift=4)
            cv2.circle(picture, (x, y), 3 * 16, colour, 1, cv2.LINE_AA, shift=4)
    return picture


def _colours(count: int) -> list[tuple[int, int, int]]:
    """BGR, evenly about the colour wheel."""
    hues = np.array([[[180 * k // max(count, 1), 220, 255] for k in range(count)]], np.uint8)
    return [(int(b), int(g), int(r)) for b, g, r in cv2.cvtColor(hues, cv2.COLOR_HSV2BGR)[0]]


def _add_title(picture: Picture, title: str) -> Picture:
    bar = np.full((BAR_PX, picture.shape[1], 3), _BACKGROUND, np.uint8)
    _write(bar, title[-picture.shape[1] // 7 :], (3, BAR_PX - 6))
    return np.concatenate([bar, picture])


def _place_side_by_side(tiles: list[Picture]) -> Picture:
    gap = np.full((tiles[0].shape[0], GAP_PX, 3), _BACKGROUND, np.uint8)
    return np.concatenate([part for tile in tiles for part in (tile, gap)], axis=1)


def _legend(keypoints: list[str], width: int) -> Picture:
    column_px = 8 * max(len(name) for name in keypoints) + 30
    columns = max(1, width // column_px)
    legend = np.full((LINE_PX * -(-len(keypoints) // columns) + 2 * GAP_PX, width, 3), _BACKGROUND, np.uint8)
    for k, (name, colour) in enumerate(zip(keypoints, _colours(len(keypoints)), strict=True)):
        x, y = column_px * (k % columns) + 12, LINE_PX * (k // columns) + LINE_PX - 4
        cv2.circle(legend, (x, y - 4), 4, colour, -1, cv2.LINE_AA)
        _write(legend, name, (x + 10, y))
    return legend


def _write(picture: Picture, text: str, at: tuple[int, int]) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, _INK, 1, cv2.LINE_AA)


def _format_augmentation(augment: AugmentConfig) -> str:
    on = [f"{field.name} {getattr(augment, field.name):g}" for field in fields(augment)]
    off = [field.name for field in fields(augment) if not getattr(augment, field.name)]
    return ", ".join(line for line in on if not line.endswith(" 0")) + f"; off: {', '.join(off) or 'none'}"
