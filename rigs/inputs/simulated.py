"""The simulated input: a line that goes on and off by the clock, for trying rules without a rig."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from rigs.input_thread import InputThread
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.drivers import DriverContext, FoundDevice, input_driver
from rt_pose.errors import UserError
from rt_pose.types import Edge, InputInfo


@dataclass
class SimulatedInputOptions:
    """When the line is on."""

    period_ms: float = 1000.0
    """From one pulse's beginning to the next one's."""
    on_ms: float = 100.0
    """How long it is on."""


@input_driver("simulated")
class SimulatedInput(InputThread):
    """Pulses at equal distances, from the moment it is started."""

    Options: ClassVar[type] = SimulatedInputOptions

    def __init__(self, name: str, options: SimulatedInputOptions, context: DriverContext) -> None:
        if not 1.0 <= options.on_ms < options.period_ms <= 3.6e6:
            raise UserError(
                f"inputs.{name}.options: expected 1 <= on_ms < period_ms <= 3600000, got "
                f"{options.on_ms:g} and {options.period_ms:g}"
            )
        super().__init__(name)
        self._options, self._clock = options, context.clock

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Input.find`."""
        return [FoundDevice("simulated", "", "a line that goes on and off by the clock")]

    def open(self) -> InputInfo:
        """See `Input.open`."""
        period_ms, on_ms = self._options.period_ms, self._options.on_ms
        return InputInfo(self._name, "simulated", "", f"on for {on_ms:g} ms each {period_ms:g} ms")

    def _run(self, deliver: Callable[[Edge], None]) -> None:
        begun_ns, number = self._clock.now_ns(), 0
        while True:
            for on, offset_ms in ((True, 0.0), (False, self._options.on_ms)):
                due_ns = begun_ns + round((number * self._options.period_ms + offset_ms) * NS_PER_MS)
                if self._end.wait(max(0.0, (due_ns - self._clock.now_ns()) / NS_PER_S)):
                    return
                deliver(Edge(self._name, on, self._clock.now_ns()))
            number += 1
