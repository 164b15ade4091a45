"""Runs sleap-nn in its own Python, for `bench.headtohead.flies`: training, export, detection with identities.

    PYTHON sleap_worker.py train CONFIGURATION.yaml SECONDS THREADS ANSWER.json
    PYTHON sleap_worker.py export MODEL FOLDER
    PYTHON sleap_worker.py serve FOLDER THREADS ANIMALS

Training is its trainer's, ended by the trainer's own clock; what its `train` does afterwards, a prediction of
all labels, is left out. Serving is its exported model in ONNX Runtime with the given number of threads, and
its tracker frame by frame: orders are lines of JSON on standard input, answers lines of JSON.

    {"do": "frames", "shape": [F, H, W, 1]} and F*H*W bytes of gray   -> {"frames": F}
    {"do": "track"}   all, fresh trackers   -> {"animals": {METHOD: [F][D]{xy, score, identity}}}
    {"do": "time", "n": N}     frames in turn, with the tracker         -> {"ns": [N]}
    {"do": "quit"}
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
import time
from pathlib import Path
from typing import Any

# That file drops the first place to import from; so the folder of this one goes with it.
sys.path[0] = str(Path(__file__).parents[2] / "train" / "importing")
shared: Any = importlib.import_module("original_worker")

import numpy as np  # noqa: E402

METHODS = ("fixed_window", "local_queues")
"""What its tracker compares with: all animals of the last frames, which is its default, or the last ones of
each identity; the number of identities is known to the second only."""
WINDOW = 5
"""Frames that its tracker remembers; its own default."""


def train(configuration: Path, seconds: float, threads: int, answer: Path) -> None:
    """Train for so long.

    Parameters
    ----------
    configuration
        YAML file of its configuration.
    seconds
        After which the trainer stops.
    threads
        Threads of torch.
    answer
        JSON file to write.
    """
    import torch
    from omegaconf import OmegaConf

    torch.set_num_threads(threads)
    program: Any = importlib.import_module("sleap_nn.training.model_trainer")
    make = program.L.Trainer

    def timed(*args: Any, **kwargs: Any) -> Any:
        return make(*args, max_time={"seconds": seconds}, **kwargs)

    program.L.Trainer = timed
    start = time.perf_counter()
    trainer = program.ModelTrainer.get_model_trainer_from_config(OmegaConf.load(configuration))
    trainer.train()
    found = {
        "version": importlib.metadata.version("sleap-nn"),
        "wall_s": time.perf_counter() - start,
        "steps": trainer.trainer.global_step,
        "epochs": trainer.trainer.current_epoch,
        "parameters": sum(p.numel() for p in trainer.lightning_model.parameters()),
    }
    answer.write_text(json.dumps(found))


def export(model: Path, folder: Path) -> None:
    """Export a trained model for ONNX Runtime.

    Parameters
    ----------
    model
        Folder of the model.
    folder
        Folder to write.
    """
    from sleap_nn.export.cli import export as command

    command.main([str(model), "--output", str(folder), "--format", "onnx"], standalone_mode=False)


class LivePoses:
    """Its exported model and its tracker, frame by frame."""

    def __init__(self, folder: str, threads: int, animals: int) -> None:
        """Open the model.

        Parameters
        ----------
        folder
            Of the export.
        threads
            Threads of ONNX Runtime and of torch.
        animals
            How many there are.
        """
        import onnxruntime
        import torch

        torch.set_num_threads(threads)
        shared.fix_threads(onnxruntime, threads)
        from sleap_nn.inference.predictor import Predictor

        self.name = (
            f"sleap-nn {importlib.metadata.version('sleap-nn')}, ONNX Runtime {onnxruntime.__version__}"
        )
        self._predictor = Predictor.from_export_dir(
            folder, runtime="onnx", device="cpu", batch_size=1, max_instances=animals
        )
        self._animals = animals
        self.start()

    def start(self) -> None:
        """Begin with trackers, one a method, that have seen nothing."""
        from sleap_nn.tracking.tracker import Tracker

        # With a number of tracks it takes the second method, whichever is asked for.
        limits = {METHODS[0]: None, METHODS[1]: self._animals}
        self._trackers = {
            method: Tracker.from_config(window_size=WINDOW, candidates_method=method, max_tracks=most)
            for method, most in limits.items()
        }
        self._index = 0

    def step(self, frame: Any, methods: tuple[str, ...] = METHODS[1:]) -> dict[str, list[Any]]:
        """Find the animals of the next frame, with their identities.

        Parameters
        ----------
        frame
            (1, 1, H, W) uint8.
        methods
            Of `METHODS`.

        Returns
        -------
        dict of str to list of PredictedInstance
            By method, as its tracker gives them.
        """
        found, skeleton = self._predictor.layer.predict(frame), self._predictor.skeleton
        tracked = {
            method: list(self._trackers[method].track(found.to_instances(skeleton), self._index))
            for method in methods
        }
        self._index += 1
        return tracked


def described(animal: Any) -> dict[str, Any]:
    """Put an animal into plain values.

    Parameters
    ----------
    animal
        A PredictedInstance.

    Returns
    -------
    dict of str to Any
        xy [K][2] px and score [K], None where a keypoint was not found; name of the track, None for none.
    """
    points = animal.numpy(scores=True)
    plain = [[float(v) if np.isfinite(v) else None for v in point] for point in points]
    return {
        "xy": [point[:2] for point in plain],
        "score": [point[2] for point in plain],
        "identity": None if animal.track is None else str(animal.track.name),
    }


def serve(folder: str, threads: int, animals: int) -> None:
    """Answer orders until the order to quit comes or the input ends.

    Parameters
    ----------
    folder
        Of the export.
    threads
        Threads of the program.
    animals
        How many there are.
    """
    live = LivePoses(folder, threads, animals)
    shared.answer(name=live.name)
    frames: list[Any] = []
    place = 0
    for line in sys.stdin.buffer:
        order = json.loads(line)
        if order["do"] == "frames":
            shape = order["shape"]
            data = np.frombuffer(sys.stdin.buffer.read(int(np.prod(shape))), np.uint8).reshape(shape)
            frames = [np.ascontiguousarray(frame.transpose(2, 0, 1))[None] for frame in data]
            shared.answer(frames=len(frames))
        elif order["do"] == "track":
            live.start()
            steps = [live.step(frame, METHODS) for frame in frames]
            shared.answer(
                animals={m: [[described(animal) for animal in step[m]] for step in steps] for m in METHODS}
            )
        elif order["do"] == "time":
            elapsed = []
            for number in range(place, place + order["n"]):
                start = time.perf_counter_ns()
                live.step(frames[number % len(frames)])
                elapsed.append(time.perf_counter_ns() - start)
            place += order["n"]
            shared.answer(ns=elapsed)
        else:
            return


def main(words: list[str]) -> None:
    """Do what the command line says.

    Parameters
    ----------
    words
        The command line.
    """
    library = shared.patch_torchvision()
    what, *rest = words
    if what == "train":
        train(Path(rest[0]), float(rest[1]), int(rest[2]), Path(rest[3]))
    elif what == "export":
        export(Path(rest[0]), Path(rest[1]))
    else:
        serve(rest[0], int(rest[1]), int(rest[2]))
    del library  # torchvision's operators exist as long as it does


if __name__ == "__main__":
    main(sys.argv[1:])
