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
    """Of a section."""

    packages: Path
    video: Path | None
    quick: bool


class Rows:
    """The rows of a section, in a file that is whole after each of them."""

    def __init__(self, path: Path, seconds: float, clock: Clock) -> None:
        """After `seconds` no further row is begun."""
        self.clock = clock
        self._path = path
        self._rows: list[Row] = []
        self._end_ns = clock.now_ns() + seconds * NS_PER_S

    def left_s(self) -> float:
        """Seconds left."""
        return max(self._end_ns - self.clock.now_ns(), 0.0) / NS_PER_S

    def add(self, what: str, make: Callable[..., Row], *given: Any, needs_s: float = 0.0) -> Row | None:
        """Make a row of what is given and keep it; one that fails is kept with its reason, and one whose time
        is not there any more is left out, which is kept too."""
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
    """Mean time (ms, by the device's own events) of launches one after another on a stream."""
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
