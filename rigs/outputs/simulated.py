"""The simulated output: a stimulus that the simulated animal feels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rigs.option_checks import check_delay
from rigs.simulated.galvo import FURTHEST_V, place_of
from rigs.simulated.world import World
from rt_pose.clock import NS_PER_MS
from rt_pose.drivers import DriverContext, FoundDevice, output_driver
from rt_pose.types import Ack, Command, OutputInfo

_STIMULI = ("pulse", "train", "level", "analog")


@dataclass
class SimulatedOutputOptions:
    """Where the stimulus goes."""

    world: str = "world"
    """The world whose animal feels it: that of the cameras which name the same."""
    delay_ms: float = 1.0
    """From the command to the stimulus."""


@output_driver("simulated")
class SimulatedOutput:
    """A pulse, a train, a level or an analog value above 0 is one stimulus, at its beginning.

    Aimed light is a spot on the floor: x and y are the volts of two mirrors (`rigs.simulated.galvo`).

    The echo comes when the animal feels it, with the microseconds of the world's clock.
    """

    Options: ClassVar[type] = SimulatedOutputOptions

    def __init__(self, name: str, options: SimulatedOutputOptions, context: DriverContext) -> None:
        check_delay(f"outputs.{name}.options", options.delay_ms)
        self._name, self._options = name, options
        self._clock = context.clock
        self._world = World.of(context, options.world)
        self._open = False

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Output.find`."""
        return [FoundDevice("simulated", "", "stimulus that the rendered animal feels")]

    def open(self) -> OutputInfo:
        """See `Output.open`."""
        self._open = True
        return OutputInfo(
            name=self._name,
            driver="simulated",
            serial=f"world {self._options.world}",
            delay_ms=self._options.delay_ms,
            echoes=True,
            detail="the animal freezes, then darts off",
        )

    def send(self, command: Command) -> Ack:
        """See `Output.send`."""
        t_sent_ns = self._clock.now_ns()
        if not self._open:
            return Ack(command.id, self._name, None, None, None, ok=False, detail="the output is not open")
        t_effect_ns = t_sent_ns + round(self._options.delay_ms * NS_PER_MS)
        self._world.led.take(command, t_effect_ns)
        self._clock.sleep_until_ns(t_effect_ns)
        if command.action == "stop":
            self._world.darken(self._name, self._clock)
        if command.action == "aim":
            return self._aim(command, t_sent_ns)
        if command.action in _STIMULI and command.amplitude > 0.0:
            t_device_us, detail = self._world.stimulate(self._clock), ""
        else:
            t_device_us, detail = self._world.now_us(self._clock), "the animal feels nothing"
        return Ack(
            command.id, self._name, t_sent_ns, self._clock.now_ns(), t_device_us, ok=True, detail=detail
        )

    def _aim(self, command: Command, t_sent_ns: int) -> Ack:
        """Light the place to which the mirrors turn; the animal feels nothing of it."""
        x, y = command.x, command.y
        if x is None or y is None or not (abs(x) <= FURTHEST_V and abs(y) <= FURTHEST_V):
            detail = f"the mirrors turn within +-{FURTHEST_V:g} V; got x {x}, y {y}"
            return Ack(command.id, self._name, None, None, None, ok=False, detail=detail)
        place = place_of((x, y))
        t_device_us = self._world.shine(self._name, place, command.duration_us, self._clock)
        return Ack(command.id, self._name, t_sent_ns, self._clock.now_ns(), t_device_us, ok=True)

    def safe_state(self) -> None:
        """See `Output.safe_state`. Puts lights out; a stimulus is a moment, no line stays high."""
        self._world.led.end(self._clock.now_ns())
        self._world.darken(self._name, self._clock)

    def close(self) -> None:
        """See `Output.close`."""
        self._open = False
