"""What a user writes of sync signals: pulses by which other recordings are brought to the session's time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class FramePulsesConfig:
    """A pulse on a line for the frames that were decided on."""

    output: str
    """Name of an output of this configuration."""
    line: int | str = 0
    """Line of the output: its number, or its name among the output's `lines`. No rule may use it."""
    every: int = 1
    """A pulse for every n-th frame."""
    pulse: str = "2 ms"
    """Length of each pulse."""
    camera: str = ""
    """The camera whose frames they are; the first one where not given."""


@dataclass
class SyncCodeConfig:
    """A code on a line that says the time, so that a recording of any part of the session can be placed."""

    output: str
    """Name of an output of this configuration."""
    line: int | str = 0
    """Line of the output: its number, or its name among the output's `lines`. No rule may use it."""
    every: str = "10 s"
    """From the beginning of a code to that of the next."""
    pulse: str = "5 ms"
    """Length of each of its pulses; it means nothing."""


@dataclass
class SyncConfig:
    """Lines for a recording system beside the run. They are no stimuli: they go on while disarmed."""

    frames: FramePulsesConfig | None = None
    """A pulse for every n-th frame; none: no such line."""
    code: SyncCodeConfig | None = None
    """A code every some seconds; none: no such line."""
