"""What the sections of `bench.gpu` share: their options, and rows that are kept as they come."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.errors import UserError

Row = dict[str, Any]
WARM_UP = 20


@dataclass
class Options:
    """Options of a section."""

    packages: Path
    video: Path | None
    quick: bool


class Rows:
    """Keeps the rows of a section in a file that is whole after each of them."""

    def __init__(self, path: Path, seconds: float, clock: Clock) -> None:
        """Begin with no row.

        Parameters
        ----------
        path
            The file.
        seconds
            Time after which no further row is begun, s.
        clock
            Times the section.
        """
        self.clock = clock
        self._path = path
        self._rows: list[Row] = []
        self._end_ns = clock.now_ns() + seconds * NS_PER_S

    def left_s(self) -> float:
        """Get the time left, s."""
        return max(self._end_ns - self.clock.now_ns(), 0.0) / NS_PER_S

    def add(self, what: str, make: Callable[..., Row], *given: Any, needs_s: float = 0.0) -> Row | None:
        """Make a row and keep it.

        One that fails is kept with its reason, and one for which no time is left is left out, which is kept
        too.

        Parameters
        ----------
        what
            Names the row.
        make
            Makes its figures.
        *given
            What `make` takes.
        needs_s
            Time that it needs, s.

        Returns
        -------
        Row or None
            Its figures; None where there are none.
        """
        row: Row = {"what": what}
        found: Row | None = None
        if self.left_s() < max(needs_s, 0.1):
            row["failed"] = "left out: the time was over"
        else:
            try:
                found = make(*given)
                row |= found
            except UserError as error:
                row["failed"] = str(error)
            except Exception as error:  # noqa: BLE001  # every other row is still worth having
                traceback.print_exc(file=sys.stderr)
                row["failed"] = f"{type(error).__name__}: {str(error)[:400]}"
        self._rows.append(row)
        self._path.write_text(json.dumps(self._rows), encoding="utf-8")
        return found


def device_ms(launch: Callable[[], object], stream: Any, calls: int = 200) -> float:
    """Time launches one after another on a stream, by the device's own events.

    Parameters
    ----------
    launch
        Launches the work.
    stream
        The CUDA stream.
    calls
        How many launches are timed.

    Returns
    -------
    float
        Mean time, ms.
    """
    import torch

    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            launch()
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record(stream)
        for _ in range(calls):
            launch()
        end.record(stream)
    end.synchronize()
    return float(begin.elapsed_time(end)) / calls
