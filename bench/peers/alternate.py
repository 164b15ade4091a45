"""Programs that take turns in blocks of frames: times of single frames, on a machine that is watched."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.background_load import BackgroundLoad
from bench.program import say
from rt_pose.clock import NS_PER_MS, Clock
from rt_pose.errors import UserError
from rt_pose.loop.latency import summary

OTHERS_MOST = 0.05
"""A round is left out where other processes took more than this share of the machine during it."""
WARM_UP = 5
PAUSE_NS = 50 * NS_PER_MS
SETTLE = 2
"""Frames after the pause before each block that do not count."""
TimeFrames = Callable[[range], list[float]]
"""Times (ms) of the frames at these places, counted round and round."""


@dataclass
class Times:
    """Times of one program, ms."""

    counted: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    """Times of the first frame of each block, which are not counted."""

    def add(self, block: list[float]) -> None:
        """Add a block.

        Parameters
        ----------
        block
            Its times, ms, those of settling in first.
        """
        self.first.append(block[0])
        self.counted += block[SETTLE:]

    def figures(self) -> dict[str, Any]:
        """Summarise the times, for JSON.

        Returns
        -------
        dict[str, Any]
            Summaries, and every counted time, ms.
        """
        return {
            "ms": summary(self.counted),
            "first_of_block_ms": summary(self.first),
            "all_ms": [round(ms, 3) for ms in self.counted],
        }


def alternate(
    programs: Mapping[str, TimeFrames], rounds: int, block: int, pids: Sequence[int], clock: Clock
) -> tuple[dict[str, Times], int]:
    """Let programs take turns: a block of each a round, in turning order.

    Before each block there is a pause and then frames that do not count: the worker threads of whoever came
    before wait busily for some milliseconds, and the caches hold their weights.

    Parameters
    ----------
    programs
        By name what times its frames.
    rounds
        How many rounds.
    block
        Frames a block.
    pids
        Processes beside this one that belong to the measurement.
    clock
        The clock of the pauses.

    Returns
    -------
    tuple[dict[str, Times], int]
        The times by name, and how many rounds were left out.

    Raises
    ------
    UserError
        Where every round was disturbed.
    """
    for time_frames in programs.values():
        time_frames(range(WARM_UP))
    times = {name: Times() for name in programs}
    left_out = 0
    gc.collect()
    gc.freeze()
    others = BackgroundLoad(list(pids))
    names = list(programs)
    for number in range(rounds):
        places = range(number * block - SETTLE, (number + 1) * block)
        others.start()
        taken: dict[str, list[float]] = {}
        for name in names[number % len(names) :] + names[: number % len(names)]:
            clock.sleep_until_ns(clock.now_ns() + PAUSE_NS)
            taken[name] = programs[name](places)
        share = others.share()
        if share > OTHERS_MOST:
            left_out += 1
            say(f"round {number + 1}: left out, other processes took {share:.0%} of the machine")
            continue
        for name in names:
            times[name].add(taken[name])
    if left_out == rounds:
        raise UserError("other processes disturbed every round; stop them, or wait for a quieter hour")
    return times, left_out
