"""The program that trained a network, run beside us in its own Python, to compare with."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NoReturn, Self

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.package import Decoder
from rt_pose.types import FloatArray
from train import PASSIVE_THREADS

Kind = Literal["dlc", "sleap"]
WORKER = Path(__file__).with_name("original_worker.py")
LAST_LINES = 3


class WorkerProcess:
    """A process that answers a line of JSON for each order. A context manager: leaving it ends that."""

    def __init__(
        self, command: Sequence[str], what: str, environment: Mapping[str, str] | None = None
    ) -> None:
        """UserError where its Python, the first word, is not there. `what` names it for people.

        `environment` says how its threads wait and the like, beside what it inherits.
        """
        if not Path(command[0]).is_file():
            raise UserError(
                f"--python {command[0]}: no such file; expected the Python of an environment with the "
                "original program"
            )
        self._what = what
        # A file, not a pipe: nobody reads along, and a full pipe would stop the program.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        ours = PASSIVE_THREADS.items()  # it waits as it does by itself
        inherited = {name: value for name, value in os.environ.items() if (name, value) not in ours}
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**inherited, **(environment or {})},
        )

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self.order({"do": "quit"})
        self._process.communicate()
        self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        self.close()

    def order(self, order: dict[str, Any], data: bytes = b"") -> None:
        """Tell it what to do; UserError where it has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n" + data)
            self._process.stdin.flush()
        except BrokenPipeError:
            self._last_errors()

    def answer(self) -> dict[str, Any]:
        """Of the oldest order not yet answered; UserError where it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._last_errors()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_errors(self) -> NoReturn:
        self._process.communicate()
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().splitlines()[-LAST_LINES:]
        raise UserError(f"{self._what}: the original program ended: {' | '.join(last) or 'without a word'}")


class OriginalProgram(WorkerProcess):
    """DeepLabCut-Live or sleap-nn in a process of its own."""

    def __init__(self, kind: Kind, python: Path, model: Path, threads: int) -> None:
        """UserError where that Python cannot run the program on that model."""
        command = [str(python), str(WORKER), kind, str(model.absolute()), str(threads)]
        super().__init__(command, f"{python} ({kind})")
        # An export of sleap-nn ends at whole heatmap pixels.
        self.decoder: Decoder | None = "argmax" if kind == "sleap" else None
        self._sent: Sequence[NDArray[np.uint8]] | None = None
        self.name: str = self.answer()["name"]

    def send(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Hand over the frames (H, W, C) that `poses` and `time_ns` work on."""
        stack = np.stack(list(images))
        self.order({"do": "frames", "shape": stack.shape}, stack.tobytes())
        self.answer()
        self._sent = images

    def poses(self, images: list[NDArray[np.uint8]]) -> FloatArray:
        """(F, K, 3) of frames (H, W, C)."""
        if self._sent is not images:
            self.send(images)
        self.order({"do": "poses"})
        return np.asarray(self.answer()["poses"], np.float64)

    def time_ns(self, count: int) -> NDArray[np.int64]:
        """How long each of `count` further frames took it."""
        self.order({"do": "time", "n": count})
        return np.asarray(self.answer()["ns"], np.int64)
