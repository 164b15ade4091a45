"""Runs Lightning Pose in its own Python, for `bench.headtohead.mouse`: its training, its prediction.

    PYTHON litpose_worker.py train CONFIGURATION.json FOLDER ANSWER.json THREADS [VIDEO]
    PYTHON litpose_worker.py predict FOLDER FRAMES.npz ANSWER.npz THREADS

Training is its `train`, whole, but for two things. All frames of the labels file train; its validation,
which is one at the end, chooses nothing. And with VIDEO, where its losses on clips want a GPU, its refusal
is passed over: clips of VIDEO come from `Clips`, drawn and augmented as its own reader does.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# That file drops the first place to import from; so the folder of this one goes with it.
sys.path[0] = str(Path(__file__).parents[2] / "train" / "importing")
shared: Any = importlib.import_module("original_worker")

import numpy as np  # noqa: E402

MEAN, STD = np.array((0.485, 0.456, 0.406), np.float32), np.array((0.229, 0.224, 0.225), np.float32)
ROTATE_DEG, SCALE, LIGHT, SHOT_NOISE = 10.0, (0.8, 1.2), (0.75, 1.25), 10.0
"""Of its reader of clips, `imgaug: dlc`: what each clip's changes are drawn from."""
CONTRAST_CENTRE = 0.5
"""Where its reader holds contrast, on frames of 0 to 255."""
SEED = 123456
"""Its own for clips."""


class Clips:
    """Endless clips of a video: every run of frames once in random order, then anew."""

    def __init__(self, video: str, length: int, size: tuple[int, int]) -> None:
        """Read the video.

        Parameters
        ----------
        video
            The video.
        length
            Frames of a clip.
        size
            (height, width) of the network's input, px.

        Raises
        ------
        SystemExit
            Where it is shorter than a clip.
        """
        import cv2

        capture, images = cv2.VideoCapture(video), []
        found, image = capture.read()
        while found:
            images.append(cv2.resize(image[..., ::-1], size[::-1], interpolation=cv2.INTER_AREA))
            self._frame_size = image.shape[:2]
            found, image = capture.read()
        if len(images) < length:
            raise SystemExit(f"{video}: shorter than a clip of {length} frames")
        self._images, self._length = np.stack(images), length
        self._random = np.random.default_rng(SEED)

    def __len__(self) -> int:
        return len(self._images) // self._length

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for number in self._random.permutation(len(self)):
            yield self._clip(self._images[number * self._length :][: self._length])

    def _clip(self, images: Any) -> dict[str, Any]:
        """One clip under one draw, as a batch of its unlabeled loader."""
        import cv2
        import torch

        random = self._random
        height, width = images.shape[1:3]
        matrix = affine(random.uniform(-ROTATE_DEG, ROTATE_DEG), random.uniform(*SCALE, 2), (width, height))
        contrast, brightness = random.uniform(*LIGHT, 2)
        factor = random.uniform(0.0, SHOT_NOISE)
        warped = np.stack([cv2.warpAffine(image, matrix, (width, height)) for image in images])
        light = brightness * (CONTRAST_CENTRE + contrast * (warped.astype(np.float32) - CONTRAST_CENTRE))
        if factor > 0.0:
            light = random.poisson(np.maximum(light, 0.0) / factor).astype(np.float32) * factor
        stack = ((light / 255 - MEAN) / STD).astype(np.float32)
        box = torch.tensor([[0.0, 0.0, *map(float, self._frame_size)]])
        return {
            "frames": torch.from_numpy(np.ascontiguousarray(stack.transpose(0, 3, 1, 2))),
            "transforms": torch.from_numpy(matrix.astype(np.float32)),
            "bbox": box.repeat(len(images), 1),
            "is_multiview": False,
        }


def affine(angle_deg: float, scale: Any, size: tuple[int, int]) -> Any:
    """Make the matrix that turns an image about its middle and then scales it there.

    Parameters
    ----------
    angle_deg
        By how much it turns.
    scale
        (2,) factors along x and y.
    size
        (width, height), px.

    Returns
    -------
    ndarray
        (2, 3), from px of the image to px of the new one.
    """
    angle = np.deg2rad(angle_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = np.diag(scale) @ turn
    middle = np.array(size) / 2.0
    return np.column_stack([linear, middle - linear @ middle])


def train(configuration: Path, folder: Path, answer: Path, threads: int, video: str | None) -> None:
    """Train, and write how many steps that took and how long.

    Parameters
    ----------
    configuration
        JSON file of its configuration.
    folder
        The model folder.
    answer
        JSON file to write.
    threads
        Threads of torch.
    video
        Of the clips; None for supervised training.
    """
    import torch
    from omegaconf import OmegaConf

    program: Any = importlib.import_module("lightning_pose.train")
    torch.set_num_threads(threads)
    settings = json.loads(configuration.read_text())
    if video is not None:
        size = settings["data"]["image_resize_dims"]
        length = settings["dali"]["base"]["train"]["sequence_length"]
        pass_refusal(Clips(video, length, (size["height"], size["width"])))
    original = program.get_data_module

    def all_frames_train(*args: Any, **kwargs: Any) -> Any:
        module = original(*args, **kwargs)
        data = module.dataset
        module.train_dataset = torch.utils.data.Subset(data, range(len(data)))
        return module

    program.get_data_module = all_frames_train
    trainers = kept_trainers()
    start = time.perf_counter()
    program.train(OmegaConf.create(settings), str(folder), skip_evaluation=True)
    seconds = time.perf_counter() - start
    trainer = trainers[-1]
    found = {
        "version": importlib.metadata.version("lightning-pose"),
        "steps": trainer.global_step,
        "train_s": seconds,
        "parameters": sum(p.numel() for p in trainer.lightning_module.parameters()),
    }
    answer.write_text(json.dumps(found))


def pass_refusal(clips: Clips) -> None:
    """Let it train with losses on clips without a GPU.

    Parameters
    ----------
    clips
        Take the place of its own reader.
    """
    from lightning_pose.data import datamodules
    from lightning_pose.data import factory as data_factory
    from lightning_pose.models import factory as model_factory
    from lightning_pose.utils import device

    for place in (device, data_factory, model_factory):
        if hasattr(place, "require_cuda_for_semi_supervised"):
            place.require_cuda_for_semi_supervised = lambda *_: None

    def own_reader(module: Any) -> None:
        module.unlabeled_dataloader = clips

    datamodules.UnlabeledDataModule.setup_unlabeled = own_reader


def kept_trainers() -> list[Any]:
    """Keep every trainer that fits from now on.

    Returns
    -------
    list of Trainer
        Grows as they do.
    """
    import lightning.pytorch as pl

    trainers: list[Any] = []
    fit = pl.Trainer.fit

    def fit_and_keep(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        trainers.append(trainer)
        return fit(trainer, *args, **kwargs)

    pl.Trainer.fit = fit_and_keep
    return trainers


def predict(folder: Path, frames: Path, answer: Path, threads: int) -> None:
    """Find the keypoints of frames, one by one, by its `predict_frame`.

    Parameters
    ----------
    folder
        The model folder.
    frames
        npz of gray frames, (F, H, W, 1) uint8 each.
    answer
        npz to write: under each name NAME_xy (F, K, 2) px and NAME_confidence (F, K).
    threads
        Threads of torch.
    """
    import torch
    from lightning_pose.api import Model

    torch.set_num_threads(threads)
    model = Model.from_dir2(folder)
    found: dict[str, Any] = {}
    with np.load(frames) as given:
        for name in given.files:
            each = [model.predict_frame(np.repeat(image, 3, axis=2)) for image in given[name]]
            found[f"{name}_xy"] = np.stack([one["keypoints"] for one in each]).astype(np.float64)
            found[f"{name}_confidence"] = np.stack([one["confidence"] for one in each]).astype(np.float64)
    np.savez_compressed(answer, **found)


def main(words: list[str]) -> None:
    """Do what the command line says.

    Parameters
    ----------
    words
        The command line.
    """
    library = shared.patch_torchvision()
    warnings.filterwarnings("ignore")
    what, first, second, third, threads, *video = words
    paths = Path(first), Path(second), Path(third)
    if what == "train":
        train(*paths, int(threads), video[0] if video else None)
    else:
        predict(*paths, int(threads))
    del library  # torchvision's operators exist as long as it does


if __name__ == "__main__":
    main(sys.argv[1:])
