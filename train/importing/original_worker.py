"""Runs a program that trained a network, in that program's own Python, for
`train.importing.original_program`.

    PYTHON original_worker.py KIND MODEL THREADS

It stands alone: nothing of rt-pose is imported, since that Python does not have it. Orders are lines of JSON
on standard input, answers lines of JSON on standard output; whatever libraries print goes to standard error.

    {"do": "frames", "shape": [F, H, W, C]} and F*H*W*C bytes of RGB or gray   -> {"frames": F}
    {"do": "poses"}                                          -> {"poses": [F][K][3]}
    {"do": "time", "n": N}         frames in turn, N times   -> {"ns": [N]}
    {"do": "quit"}
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from typing import Any

# The folder of this file is no place to import from: its modules would hide others of the same names.
del sys.path[0]

import numpy as np  # noqa: E402

ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
warnings.simplefilter("ignore")


def patch_torchvision() -> Any:
    """Declare the two operators that a torchvision without its compiled part looks for when it is imported.

    None of the networks here calls them; beside a CPU build of torch nothing else is missing.
    """
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def fix_threads(onnxruntime: Any, threads: int) -> None:
    """Fix the number of threads, which the programs leave open: a comparison has the same for both."""
    make = onnxruntime.InferenceSession

    def session(path: Any, *args: Any, **kwargs: Any) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        return make(path, options, *args, **kwargs)

    onnxruntime.InferenceSession = session


class DeepLabCutLive:
    """`DLCLive.get_pose`, as its users call it: uint8 frames, blue first."""

    def __init__(self, model: str, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        from dlclive import DLCLive, __version__

        self.name = f"DeepLabCut-Live {__version__}"
        self._live = DLCLive(model, model_type="pytorch", device="cpu", display=False)
        self._started = False

    def prepare(self, frames: Any) -> list[Any]:
        """Convert frames to those that the program takes from a camera.

        Parameters
        ----------
        frames
            Frames (F, H, W, C) uint8, RGB or gray.

        Returns
        -------
        list of ndarray
            F frames (H, W, 3) uint8, blue first.
        """
        blue_first = frames[..., ::-1] if frames.shape[-1] == 3 else np.repeat(frames, 3, axis=-1)
        return list(np.ascontiguousarray(blue_first))

    def pose(self, frame: Any) -> Any:
        """Find the keypoints of a prepared frame.

        Parameters
        ----------
        frame
            One of those that `prepare` returned.

        Returns
        -------
        ndarray
            (K, 3): x, y in px, confidence.
        """
        if not self._started:
            self._live.init_inference(frame)
            self._started = True
        return np.asarray(self._live.get_pose(frame))[:, :3]


class SleapExport:
    """sleap-nn's own predictor on an export, which runs it in ONNX Runtime."""

    def __init__(self, model: str, threads: int) -> None:
        import onnxruntime
        import torch

        torch.set_num_threads(threads)
        fix_threads(onnxruntime, threads)
        import sleap_nn
        from sleap_nn.inference.predictor import Predictor

        folder = model if os.path.isdir(model) else os.path.dirname(model)
        self.name = f"sleap-nn {sleap_nn.__version__} with ONNX Runtime {onnxruntime.__version__}"
        self._layer = Predictor.from_export_dir(folder, runtime="onnx", device="cpu", batch_size=1).layer

    def prepare(self, frames: Any) -> list[Any]:
        """Convert frames to those that the program's layers take.

        Parameters
        ----------
        frames
            Frames (F, H, W, C) uint8.

        Returns
        -------
        list of ndarray
            F frames (1, C, H, W) uint8.
        """
        return [np.ascontiguousarray(frame.transpose(2, 0, 1))[None] for frame in frames]

    def pose(self, frame: Any) -> Any:
        """Find the keypoints of a prepared frame.

        Parameters
        ----------
        frame
            One of those that `prepare` returned.

        Returns
        -------
        ndarray
            (K, 3): x, y in px, confidence.
        """
        found = self._layer.predict(frame)
        xy = found.pred_keypoints[0, 0].numpy()
        return np.concatenate([xy, found.pred_peak_values[0, 0].numpy()[:, None]], axis=1)


KINDS: dict[str, Any] = {"dlc": DeepLabCutLive, "sleap": SleapExport}


def answer(**what: Any) -> None:
    """Write one line of JSON back."""
    ANSWERS.write(json.dumps(what) + "\n")
    ANSWERS.flush()


def timed(program: Any, frames: list[Any], first: int, count: int) -> list[int]:
    """Measure how long a program needs for each of some frames, in turn.

    Parameters
    ----------
    program
        One of `KINDS`.
    frames
        Prepared frames; they are repeated where they do not suffice.
    first
        Number of the first frame.
    count
        Number of frames to measure.

    Returns
    -------
    list of int
        Durations, ns.
    """
    elapsed = []
    for i in range(first, first + count):
        start = time.perf_counter_ns()
        program.pose(frames[i % len(frames)])
        elapsed.append(time.perf_counter_ns() - start)
    return elapsed


def serve(kind: str, model: str, threads: int) -> None:
    """Answer orders until the order to quit comes or the input ends.

    Parameters
    ----------
    kind
        dlc or sleap.
    model
        Path of the model.
    threads
        Threads of the program.
    """
    library = patch_torchvision()
    program = KINDS[kind](model, threads)
    answer(name=program.name, library=str(library is not None))
    frames: list[Any] = []
    next_frame = 0
    for line in sys.stdin.buffer:
        order = json.loads(line)
        if order["do"] == "frames":
            shape = order["shape"]
            data = sys.stdin.buffer.read(int(np.prod(shape)))
            frames = program.prepare(np.frombuffer(data, np.uint8).reshape(shape))
            answer(frames=len(frames))
        elif order["do"] == "poses":
            answer(poses=[program.pose(frame).tolist() for frame in frames])
        elif order["do"] == "time":
            elapsed = timed(program, frames, next_frame, order["n"])
            next_frame += order["n"]
            answer(ns=elapsed)
        else:
            return


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
