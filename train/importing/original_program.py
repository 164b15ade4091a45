"""The program that trained a network, run in its own Python beside this one, to compare with."""

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
        """Start the process.

        Parameters
        ----------
        command
            Its Python, and the arguments.
        what
            Name of the program, for errors.
        environment
            Variables beside those that it inherits: how its threads wait and the like.

        Raises
        ------
        UserError
            Where its Python is not there.
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
        """Number of the process."""
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
        """Send an order to the process.

        Parameters
        ----------
        order
            Becomes a line of JSON.
        data
            Bytes that follow it.

        Raises
        ------
        UserError
            Where the process has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n" + data)
            self._process.stdin.flush()
        except BrokenPipeError:
            self._last_errors()

    def answer(self) -> dict[str, Any]:
        """Wait for the answer to the oldest order that is not yet answered.

        Returns
        -------
        dict of str to Any
            The line of JSON.

        Raises
        ------
        UserError
            Where the process has ended.
        """
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
        """Start the program.

        Parameters
        ----------
        kind
            dlc or sleap.
        python
            Python of an environment that has the program.
        model
            Its model.
        threads
            Threads of the program.

        Raises
        ------
        UserError
            Where that Python cannot run the program on that model.
        """
        command = [str(python), str(WORKER), kind, str(model.absolute()), str(threads)]
        super().__init__(command, f"{python} ({kind})")
        # An export of sleap-nn ends at whole heatmap pixels.
        self.decoder: Decoder | None = "argmax" if kind == "sleap" else None
        self._sent: Sequence[NDArray[np.uint8]] | None = None
        self.name: str = self.answer()["name"]

    def send(self, images: Sequence[NDArray[np.uint8]]) -> None:
        """Send the frames that `poses` and `time_ns` work on.

        Parameters
        ----------
        images
            F frames (H, W, C) uint8 of one shape.
        """
        stack = np.stack(list(images))
        self.order({"do": "frames", "shape": stack.shape}, stack.tobytes())
        self.answer()
        self._sent = images

    def poses(self, images: list[NDArray[np.uint8]]) -> FloatArray:
        """See `Original.poses`."""
        if self._sent is not images:
            self.send(images)
        self.order({"do": "poses"})
        return np.asarray(self.answer()["poses"], np.float64)

    def time_ns(self, count: int) -> NDArray[np.int64]:
        """Measure how long the program needs for each of some further frames, in turn.

        Parameters
        ----------
        count
            Number of frames.

        Returns
        -------
        NDArray
            Durations (count,), ns.
        """
        self.order({"do": "time", "n": count})
        return np.asarray(self.answer()["ns"], np.int64)
