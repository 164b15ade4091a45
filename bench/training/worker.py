"""Trains rt-pose's networks a few steps at a time in a process of its own, for `bench.training`.

    PYTHON -m bench.training.worker CASE DATA THREADS

A case is a row of `CASES`. One process runs one case, so that its peak memory is the case's own. It describes
itself, then answers a line of JSON for each order:

    {"do": "steps", "n": N}    -> {"s": [seconds of each step], "cpu_s": S, "peak_bytes": B}
    {"do": "labeled", "n": N}  -> {"s": [seconds of each batch]}
    {"do": "clips", "n": N}    -> {"s": [seconds of each clip]}
"""

from __future__ import annotations

import json
import resource
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.operations import count_operations
from bench.training.cases import CASES, Case, configuration
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError
from train.data.steps import StepBatch
from train.fitting.inputs import prepare
from train.fitting.memory import keep_freed_memory
from train.fitting.pose_module import PoseModule
from train.fitting.trainer import batches

PEAK = "VmHWM:"


@dataclass
class Training:
    """A training that is stepped by hand: what a step of Lightning's loop does, without its callbacks."""

    module: PoseModule
    batches: Iterator[StepBatch]
    optimiser: torch.optim.Optimizer

    def step(self) -> None:
        """Take a step: the next batch, forward, backward, the optimiser."""
        loss = self.module.training_step(next(self.batches), 0)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


class Worker:
    """Answers for one case."""

    def __init__(self, case: Case, data: Path) -> None:
        """Prepare the training.

        Parameters
        ----------
        case
            The case.
        data
            The labeled folder.
        """
        self.case, self._clock = case, HostClock()
        self.job = prepare(configuration(case), data)
        torch.manual_seed(self.job.config.seed)
        keep_freed_memory()  # as a training does
        self.network = self.job.make_network()
        module = PoseModule(self.network, self.job.spec, self.job.config, self.job.unlabeled.terms)
        module.train()
        steps = batches(self.job, 0)
        self._training = Training(module, iter(steps), module.configure_optimizers()["optimizer"])
        self._labeled = iter(steps.labeled)
        self._clips = iter(steps.clips or [])

    def hello(self) -> dict[str, Any]:
        """Describe this program.

        Returns
        -------
        dict[str, Any]
            Name, threads, 10^9 operations a frame, and losses.
        """
        spec = self.job.spec
        shape = (1, spec.channels, spec.height, spec.width)
        gflop = count_operations(self.network.eval(), shape) / 1e9
        self.network.train()
        return {
            "name": "rt-pose",
            "threads": torch.get_num_threads(),
            "gflop_a_frame": gflop,
            "losses": list(self.job.config.losses),
        }

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry an order out.

        Parameters
        ----------
        order
            What to do, and how often.

        Returns
        -------
        dict[str, Any]
            The answer.
        """
        does: dict[str, Callable[[], object]] = {
            "steps": self._training.step,
            "labeled": lambda: next(self._labeled),
            "clips": lambda: next(self._clips),
        }
        with warnings.catch_warnings():
            # There is no trainer to log to: that is left out on both sides.
            warnings.filterwarnings("ignore", ".*trainer. reference is not registered.*")
            before_s = processor_s()
            took = [self._seconds(does[order["do"]]) for _ in range(order["n"])]
        return {"s": took, "cpu_s": processor_s() - before_s, "peak_bytes": peak_bytes()}

    def _seconds(self, do: Callable[[], object]) -> float:
        start = self._clock.now_ns()
        do()
        return (self._clock.now_ns() - start) / NS_PER_S


def processor_s() -> float:
    """Get the processor time that this process has used, s."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_bytes() -> int:
    """Get the most memory that this process has had resident, bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(PEAK):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {PEAK}")


def main() -> int:
    """Serve orders until the order to quit.

    Returns
    -------
    int
        Exit status.
    """
    name, data, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    try:
        worker = Worker(CASES[name], Path(data))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    answer(worker.hello())
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "quit":
            return 0
        answer(worker.obey(order))
    return 0


def answer(found: dict[str, Any]) -> None:
    """Print an answer as one line of JSON.

    Parameters
    ----------
    found
        The answer.
    """
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    sys.exit(main())
