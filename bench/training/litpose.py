"""Trains Lightning Pose's network a few steps at a time in its own Python, for `bench.training`.

    PYTHON training_litpose.py CONFIGURATION.json VIDEO CLIP THREADS

Its own data set, augmentation, loader, model, losses and optimiser, put together as its `train` does. What it
has of clips needs a GPU, and it refuses to start without one: that refusal is passed over, and its losses get
CLIP frames of VIDEO that lie ready in memory (none where CLIP is 0). Orders and answers are those of
`bench.training.worker`, without `clips`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

# That file drops the first place to import from; so the folder of this one goes with it.
sys.path[0] = str(Path(__file__).parents[2] / "train" / "importing")
shared: Any = importlib.import_module("original_worker")

import numpy as np  # noqa: E402


class Training:
    """Steps its model by hand."""

    def __init__(self, torch: Any, configuration: dict[str, Any], clip: dict[str, Any] | None) -> None:
        """Put data, model and optimiser together.

        Parameters
        ----------
        torch
            The module.
        configuration
            Its configuration.
        clip
            What `clip_of` returned; None for supervised training.
        """
        from lightning_pose.data import get_data_module, get_dataset, get_imgaug_transform
        from lightning_pose.data.datamodules import BaseDataModule, UnlabeledDataModule
        from lightning_pose.losses import get_loss_factories
        from lightning_pose.models import factory
        from lightning_pose.utils import device
        from omegaconf import OmegaConf

        if clip is not None:
            device.require_cuda_for_semi_supervised = factory.require_cuda_for_semi_supervised = _anything
            UnlabeledDataModule.setup_unlabeled = _anything
            UnlabeledDataModule.train_dataloader = BaseDataModule.train_dataloader
        config = OmegaConf.create(configuration)
        folder = config.data.data_dir
        data = get_dataset(config, folder, get_imgaug_transform(config, folder))
        module = get_data_module(config, data, config.data.video_dir)
        self._torch, self._clip = torch, clip
        self._batch_size = config.training.train_batch_size
        self._model = factory.get_model(config, module, get_loss_factories(config, module)).train()
        self._optimiser = self._model.configure_optimizers()["optimizer"]
        self._loader = module.train_dataloader()
        self._batches = self._endless()

    def _endless(self) -> Any:
        """Whole batches, epoch after epoch."""
        while True:
            for batch in self._loader:
                if len(batch["images"]) == self._batch_size:
                    yield batch

    def batch(self) -> None:
        """Load the next batch of labeled frames."""
        next(self._batches)

    def step(self) -> None:
        """Take a step: the next batch, forward, backward, the optimiser."""
        batch = next(self._batches)
        if self._clip is not None:
            batch = {"labeled": batch, "unlabeled": self._clip}
        loss = self._model.training_step(batch, 0)["loss"]
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()

    def gflop(self, size: int) -> float:
        """Count the operations of one forward pass.

        Parameters
        ----------
        size
            Side of the input, px.

        Returns
        -------
        float
            10^9 operations.
        """
        from torch.utils.flop_counter import FlopCounterMode

        counter = FlopCounterMode(display=False)
        with counter, self._torch.no_grad():
            self._model.eval()(self._torch.zeros(1, 3, size, size))
        self._model.train()
        return float(counter.get_total_flops()) / 1e9


def _anything(*_args: Any, **_kwargs: Any) -> None:
    """Do nothing, in place of a refusal."""


def clip_of(torch: Any, video: str, length: int, size: int) -> dict[str, Any]:
    """Make a clip of a video's first frames as its loader would, under an affine that moves nothing.

    Parameters
    ----------
    torch
        The module.
    video
        The video.
    length
        Number of frames.
    size
        Side of the input, px.

    Returns
    -------
    dict[str, Any]
        A batch of its unlabeled loader.

    Raises
    ------
    SystemExit
        Where the frames cannot be read.
    """
    import cv2

    capture, images = cv2.VideoCapture(video), []
    for _ in range(length):
        found, image = capture.read()
        if not found:
            raise SystemExit(f"{video}: no {length} frames to be read")
        images.append(cv2.resize(image[..., ::-1], (size, size), interpolation=cv2.INTER_AREA))
    mean, std = np.array((0.485, 0.456, 0.406), np.float32), np.array((0.229, 0.224, 0.225), np.float32)
    stack = (np.stack(images).astype(np.float32) / 255 - mean) / std
    height, width = image.shape[:2]
    return {
        "frames": torch.from_numpy(np.ascontiguousarray(stack.transpose(0, 3, 1, 2))),
        "transforms": torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]),
        "bbox": torch.tensor([[0.0, 0.0, height, width]]).repeat(length, 1),
        "is_multiview": False,
    }


def peak_bytes() -> int:
    """Get the most memory that this process has had resident, bytes, without its loader's processes."""
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def seconds(do: Any) -> float:
    """Time a call.

    Parameters
    ----------
    do
        The call.

    Returns
    -------
    float
        s.
    """
    start = time.perf_counter_ns()
    do()
    return (time.perf_counter_ns() - start) / 1e9


def serve(configuration: Path, video: str, length: int, threads: int) -> None:
    """Answer orders until the order to quit.

    Parameters
    ----------
    configuration
        JSON file of its configuration.
    video
        Video of the clip.
    length
        Frames of the clip; 0 for none.
    threads
        Threads of torch.
    """
    library = shared.patch_torchvision()
    import torch

    torch.set_num_threads(threads)
    warnings.filterwarnings("ignore")
    settings = json.loads(configuration.read_text())
    size = settings["data"]["image_resize_dims"]["width"]
    training = Training(torch, settings, clip_of(torch, video, length, size) if length else None)
    shared.answer(
        name=f"Lightning Pose {importlib.metadata.version('lightning-pose')}",
        threads=torch.get_num_threads(),
        gflop_a_frame=training.gflop(size),
        losses=["heatmap_mse", *settings["model"]["losses_to_use"]],
        library=str(library is not None),
    )
    does = {"steps": training.step, "labeled": training.batch}
    for line in sys.stdin.buffer:
        order = json.loads(line)
        if order["do"] not in does:
            return
        took = [seconds(does[order["do"]]) for _ in range(order["n"])]
        shared.answer(s=took, peak_bytes=peak_bytes())


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
