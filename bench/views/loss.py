"""Trainings with and without the reprojection loss, on frames of the simulated rig in space.

Few frames are labeled; the same animals are recorded by all cameras together without labels. The trainings of
a round have the same labels, seed and number of steps. They are judged on other animals, whose places in
space are known.

From its first clip on a training holds the statistics of batch norm still, whatever the loss is worth: in a
short training from random weights that alone costs some pixels. So there is a training that sees the clips
and learns nothing from them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from bench.program import say
from bench.views.simulated import mean_with_half
from rigs.hashing import hash64, uniform
from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.behaviour import Reactions
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.picture import Picture, make_picture
from rigs.simulated.viewpoint import VIEWS, simulated_calibration
from rt_pose.config.build import load
from rt_pose.config.schema import EngineConfig
from rt_pose.config.shipped import FOLDER
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.offline.prediction_files import FIELDS, write_table
from rt_pose.package import read_package
from rt_pose.types import FloatArray
from rt_pose.views.calibration_file import write_calibration
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.triangulation import triangulate
from train.config import LossConfig, TrainConfig
from train.fitting.fit import fit

CALIBRATION = "calibration.toml"
RATE_HZ = 40.0
SPAN_S = 600.0
"""Scene time that labeled and tested moments of an animal are spread over."""
ANIMALS, TIMES = 4, 8
"""Animals that are trained on, and labeled moments of each, which all cameras see."""
CLIP_FRAMES = 80
"""Of the unlabeled recording of each of them."""
TEST_ANIMALS, TEST_TIMES = 4, 25
CLIP_LENGTH = 3
"""Frames of each camera in a step."""
CONFIDENT = 0.3
"""A keypoint of less confidence is not used to place it in space."""
ALONE, NOTHING, OURS = "labels alone", "clips that teach nothing", "with the reprojection loss"
WEIGHTS: dict[str, float | None] = {NOTHING: 1e-9, OURS: None}
"""Of the loss in each kind of training that has clips; None: its own."""


def measure_loss(steps: int, rounds: int) -> list[dict[str, Any]]:
    """Train and judge.

    Parameters
    ----------
    steps
        Of each training.
    rounds
        Of the three kinds of trainings, each with animals and a seed of its own.

    Returns
    -------
    list[dict[str, Any]]
        A row for each kind of training, and for what the loss changes: figures over the rounds.
    """
    scores: dict[str, list[dict[str, float]]] = {name: [] for name in (ALONE, *WEIGHTS)}
    for seed in range(rounds):
        with tempfile.TemporaryDirectory(prefix="rt-pose-bench-") as folder:
            data = write_views_folder(Path(folder) / "data", seed)
            for name, own in scores.items():
                package = fit(training(steps, seed, name), data, Path(folder) / name)
                own.append(score(package, seed))
                say(f"{name}, round {seed}: {own[-1]}")
    for name in (ALONE, NOTHING):
        scores[f"the loss less {name}"] = [
            {key: ours[key] - other[key] for key in ours}
            for ours, other in zip(scores[OURS], scores[name], strict=True)
        ]
    return [
        {"training": name, "rounds": rounds, "steps": steps}
        | {key: mean_with_half([one[key] for one in own]) for key in own[0]}
        for name, own in scores.items()
    ]


def training(steps: int, seed: int, kind: str) -> TrainConfig:
    """Configure a training as the demo's, on every label.

    Parameters
    ----------
    steps
        Its length.
    seed
        Its seed.
    kind
        `ALONE`, or one of `WEIGHTS`.

    Returns
    -------
    TrainConfig
        The configuration.
    """
    config = load(TrainConfig, FOLDER / "train" / "demo.yaml")
    config = replace(config, steps=steps, validate_every=steps, validation_fraction=0.0, seed=seed)
    if kind not in WEIGHTS:
        return config
    losses = config.losses | {"reprojection": LossConfig(weight=WEIGHTS[kind], calibration=CALIBRATION)}
    return replace(config, losses=losses, videos=list(VIEWS), clip_length=CLIP_LENGTH)


def write_views_folder(
    out: Path,
    seed: int,
    animals: int = ANIMALS,
    times: int = TIMES,
    clip_frames: int = CLIP_FRAMES,
    options: SimulatedOptions | None = None,
) -> Path:
    """Write a data folder of four cameras: of each a subfolder with labels and videos; and a calibration.

    Parameters
    ----------
    out
        The folder; absent.
    seed
        Of the animals.
    animals
        How many.
    times
        Labeled moments of each.
    clip_frames
        Frames of each one's unlabeled recording.
    options
        Of the cameras; None: frames of 320x256.

    Returns
    -------
    Path
        `out`.
    """
    options = options or SimulatedOptions(rate_hz=RATE_HZ)
    out.mkdir(parents=True)
    write_calibration(out / CALIBRATION, simulated_calibration(VIEWS, options.width, options.height), 0.0)
    for view, camera in enumerate(VIEWS):
        folder = out / camera
        (folder / "labeled-data").mkdir(parents=True)
        rows: list[tuple[object, FloatArray]] = []
        for animal in range(animals):
            own = hash64(seed, "trained on", animal)
            picture = make_picture(own, camera, replace(options, view=view))
            for time in range(times):
                image, xy = _frame(picture, _frame_number(own, time, options), options)
                name = f"labeled-data/animal{animal}_{time:03d}.png"
                cv2.imwrite(str(folder / name), image)
                rows.append((name, xy))
            _write_video(folder / f"animal{animal}.mkv", picture, clip_frames, options)
        write_table(
            folder / "CollectedData.csv", KEYPOINTS, FIELDS[:2], rows, scorer="truth", formats=("%.3f",)
        )
    return out


def score(package: Path, seed: int) -> dict[str, float]:
    """Judge a network on animals that it was not trained on.

    Parameters
    ----------
    package
        Its package.
    seed
        Of the animals.

    Returns
    -------
    dict[str, float]
        Errors on the image (px, of keypoints that can be seen) and in space (mm, of those that are placed),
        and the share that is placed of those that two cameras can see.
    """
    options = SimulatedOptions(rate_hz=RATE_HZ)
    estimator = choose_engine(read_package(package), EngineConfig(precision="float32")).estimator
    seen, truth, places = _tested(seed, options)
    images = [image for view in seen for image in view]
    found = estimator.estimate_all(images)
    shape = truth.shape[:3]  # (V, F, K)
    xy, confidence = found.xy.reshape(*shape, 2), found.confidence.reshape(shape)
    error_px = np.linalg.norm(xy - truth, axis=-1)
    cameras = simulated_calibration(VIEWS, options.width, options.height)
    placed = _placed(cameras, np.where((confidence >= CONFIDENT)[..., None], xy, np.nan))
    error_mm = np.linalg.norm(placed - places, axis=-1)
    visible = np.isfinite(truth).all(axis=-1).sum(axis=0) >= 2
    return {
        "median, px": float(np.nanmedian(error_px)),
        "mean, px": float(np.nanmean(error_px)),
        "median, mm": float(np.nanmedian(error_mm)),
        "P90, mm": float(np.nanpercentile(error_mm, 90)),
        "placed": float(np.isfinite(error_mm)[visible].mean()),
    }


def _placed(cameras: Sequence[CalibratedCamera], xy: FloatArray) -> FloatArray:
    """(F, K, 3) mm, frame by frame."""
    return triangulate(cameras, xy.reshape(len(cameras), -1, 2)).xyz.reshape(*xy.shape[1:3], 3)


def _tested(
    seed: int, options: SimulatedOptions, animals: int = TEST_ANIMALS, times: int = TEST_TIMES
) -> tuple[list[list[NDArray[np.uint8]]], FloatArray, FloatArray]:
    """Frames of V cameras, where keypoints are on them (V, F, K, 2) px, and in space (F, K, 3) mm."""
    seen: list[list[NDArray[np.uint8]]] = []
    truth, places = [], []
    for view, camera in enumerate(VIEWS):
        frames = []
        for animal in range(animals):
            own = hash64(seed, "tested", animal)
            picture = make_picture(own, camera, replace(options, view=view))
            for time in range(times):
                frame = _frame_number(own, time, options)
                frames.append(_frame(picture, frame, options))
                if view == 0:
                    where = picture.places(options.scene_time_ns(frame), Reactions(picture.timing))
                    assert where is not None
                    places.append(where[0])
        seen.append([image for image, _ in frames])
        truth.append(np.stack([xy for _, xy in frames]))
    return seen, np.stack(truth), np.stack(places)


def _frame_number(seed: int, number: int, options: SimulatedOptions) -> int:
    """A frame of an animal, the same for all cameras."""
    return int(uniform(seed, "moment", number, high=SPAN_S * options.rate_hz))


def _frame(picture: Picture, frame: int, options: SimulatedOptions) -> tuple[NDArray[np.uint8], FloatArray]:
    """Image (H, W, 1) and keypoints (K, 2) px, NaN where they cannot be seen."""
    t_ns, undisturbed = options.scene_time_ns(frame), Reactions(picture.timing)
    image = np.empty((options.height, options.width, options.channels), np.uint8)
    picture.draw(frame, t_ns, undisturbed, image)
    xy, visible = picture.truth(t_ns, undisturbed)
    return image, np.where(visible[0, :, None], xy[0], np.nan)


def _write_video(path: Path, picture: Picture, frames: int, options: SimulatedOptions) -> None:
    """A gray recording without loss, from the beginning of the scene."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=round(options.rate_hz))
        stream.width, stream.height, stream.pix_fmt = options.width, options.height, "gray"
        for i in range(frames):
            image, _ = _frame(picture, i, options)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image[..., 0], format="gray")))
        container.mux(stream.encode(None))
