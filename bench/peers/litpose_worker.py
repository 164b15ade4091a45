"""Runs Lightning Pose in its own Python, for `bench.peers.litpose`: its model, its export, its prediction.

    PYTHON litpose_worker.py FOLDER KEYPOINTS VIDEO

FOLDER gets a model folder as its training leaves one, with a ResNet-18 whose weights are random, and
`network.onnx`: that same network up to its heatmaps before the softmax, with `maps.npz` to check it by. The
head's last layer is scaled until some of the softmaxes over a map of VIDEO have a peak, as trained ones have.
Answers and orders are those of `train.importing.original_worker`, and:

    {"do": "predict", "runtime": "eager" or "onnx", "batch": N, "video": FILE, "out": FOLDER}   -> {"s": S}
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

# That file drops the first place to import from; so the folder of this one goes with it.
sys.path[0] = str(Path(__file__).parents[2] / "train" / "importing")
shared: Any = importlib.import_module("original_worker")

import numpy as np  # noqa: E402

SIZE = 256
NAME = "untrained"
BATCH = 96
"""Frames a batch, as in its own configuration files."""
CONFIDENT_SHARE, CONFIDENT = 0.1, 0.6
"""Share of the maps that get a pixel with at least this much of the softmax."""
SHARPENING, MAX_STEPS, FRAMES = 1.4, 60, 8


def make(folder: Path, keypoints: int, video: str) -> None:
    """Write the model folder, and the network as ONNX.

    Parameters
    ----------
    folder
        An existing folder.
    keypoints
        Number of keypoints.
    video
        A video whose first frames sharpen the head.
    """
    import cv2
    import torch
    from lightning_pose.models import HeatmapTracker
    from omegaconf import OmegaConf

    model = HeatmapTracker(num_keypoints=keypoints, backbone="resnet18", pretrained=False).eval()
    images = first_frames(cv2, torch, video)
    model.head.final_softmax = False
    with torch.inference_mode():
        sharpen(model, images)
        maps = model(images).numpy()
    np.savez(folder / "maps.npz", images=images.numpy(), maps=maps)
    torch.onnx.export(
        model, (images[:1],), str(folder / "network.onnx"), input_names=["images"], output_names=["maps"]
    )
    model.head.final_softmax = True
    checkpoints = folder / "tb_logs" / NAME / "version_0" / "checkpoints"
    checkpoints.mkdir(parents=True)
    import lightning.pytorch as pl

    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(checkpoints / "step=0-best.ckpt", weights_only=True)
    OmegaConf.save(configuration(keypoints), folder / "config.yaml")


def configuration(keypoints: int) -> Any:
    """Make what prediction reads of a model's configuration.

    Parameters
    ----------
    keypoints
        Number of keypoints.

    Returns
    -------
    Any
        An OmegaConf mapping.
    """
    from omegaconf import OmegaConf

    found = OmegaConf.load(Path(__file__).with_name("litpose.yaml"))
    found.data.image_resize_dims = {"height": SIZE, "width": SIZE}
    found.data.num_keypoints = keypoints
    found.data.keypoint_names = [f"k{i}" for i in range(keypoints)]
    found.model.model_name = NAME
    found.training = {"val_batch_size": BATCH}
    found.dali = {name: {"predict": {"sequence_length": BATCH}} for name in ("base", "context")}
    return found


def first_frames(cv2: Any, torch: Any, video: str) -> Any:
    """Read a video's first frames as the network wants them.

    Parameters
    ----------
    cv2, torch
        The modules.
    video
        The video.

    Returns
    -------
    Any
        Tensor (F, 3, SIZE, SIZE), normalised.

    Raises
    ------
    SystemExit
        Where they cannot be read.
    """
    capture, images = cv2.VideoCapture(video), []
    for _ in range(FRAMES):
        found, image = capture.read()
        if not found:
            raise SystemExit(f"{video}: no {FRAMES} frames to be read")
        images.append(cv2.resize(image[..., ::-1], (SIZE, SIZE), interpolation=cv2.INTER_AREA))
    mean, std = np.array((0.485, 0.456, 0.406), np.float32), np.array((0.229, 0.224, 0.225), np.float32)
    stack = (np.stack(images).astype(np.float32) / 255 - mean) / std
    return torch.from_numpy(np.ascontiguousarray(stack.transpose(0, 3, 1, 2)))


def sharpen(model: Any, images: Any) -> None:
    """Scale the head's last layer, in place, until some maps are peaked; random weights give flat ones.

    Parameters
    ----------
    model
        The network, without its softmax.
    images
        Tensor (F, 3, SIZE, SIZE).

    Raises
    ------
    SystemExit
        Where no scale gives peaks.
    """
    logits = model(images).flatten(2)
    for step in range(MAX_STEPS):
        factor = SHARPENING**step
        confident = (logits * factor).softmax(-1).amax(-1) >= CONFIDENT
        if confident.float().mean() >= CONFIDENT_SHARE:
            for parameter in model.head.upsampling_layers[-1].parameters():
                parameter.mul_(factor)
            return
    raise SystemExit("the random head has no peak on these frames")


class Predictions:
    """Keeps the models, one a runtime, and times their predictions."""

    def __init__(self, folder: Path) -> None:
        """Load no model yet.

        Parameters
        ----------
        folder
            The model folder.
        """
        self._folder = folder
        self._models: dict[str, Any] = {}

    def seconds(self, order: dict[str, Any]) -> float:
        """Predict a video, the model being loaded; the labels' metrics are left out.

        Parameters
        ----------
        order
            Runtime, batch, video, and folder of the CSV.

        Returns
        -------
        float
            Time from the video file to its CSV, s.
        """
        model = self._model(order["runtime"])
        model.cfg.dali.base.predict.sequence_length = order["batch"]
        start = time.perf_counter_ns()
        model.predict_on_video_file(
            order["video"], output_dir=order["out"], compute_metrics=False, reader="opencv"
        )
        return (time.perf_counter_ns() - start) / 1e9

    def _model(self, runtime: str) -> Any:
        from lightning_pose.api import Model

        if runtime not in self._models:
            if runtime == "onnx":
                Model.from_dir2(self._folder).export("onnx", onnx_precision="fp32")
            self._models[runtime] = Model.from_dir2(self._folder, runtime=runtime)
        return self._models[runtime]


def serve(folder: Path, keypoints: int, video: str) -> None:
    """Make what does not exist yet, then answer orders until the order to quit.

    Parameters
    ----------
    folder
        The model folder.
    keypoints
        Number of keypoints.
    video
        A video whose first frames sharpen the head.
    """
    library = shared.patch_torchvision()
    import importlib.metadata

    import torch

    if not (folder / "config.yaml").exists():
        make(folder, keypoints, video)
    predictions = Predictions(folder)
    name = f"Lightning Pose {importlib.metadata.version('lightning-pose')}"
    shared.answer(name=name, threads=torch.get_num_threads(), library=str(library is not None))
    for line in sys.stdin.buffer:
        order = json.loads(line)
        if order["do"] != "predict":
            return
        shared.answer(s=predictions.seconds(order))


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
