"""Markers of the Lab Streaming Layer: each command is a text with its time, for LabRecorder and others.

Poses are not sent from here: an output's thread sees commands alone. `rt-pose bridge lsl` sends them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rigs.command_messages import NOT_OPEN, refuse
from rigs.lsl_clock import to_lsl_s
from rigs.option_checks import check_delay, check_template, fill_template
from rt_pose.drivers import DriverContext, FoundDevice, output_driver
from rt_pose.errors import UserError
from rt_pose.extras import missing, remedy, require
from rt_pose.types import Ack, Command, OutputInfo


@dataclass
class LslOptions:
    """Name of the stream, and what its markers say."""

    stream: str = "rt-pose"
    """Name of the stream; its type is Markers."""
    text: str = "{output}/{line}/{action}"
    """A marker, with fields of the command in braces. A `message` is its own text."""
    needs_recorder: bool = True
    """Whether a marker that no program takes has failed, since it is in no recording."""
    delay_ms: float = 0.0
    """From the command to its effect; a marker has none."""


@output_driver("lsl")
class LslMarkers:
    """A stream of texts, each at the time of its command."""

    Options: ClassVar[type] = LslOptions

    def __init__(self, name: str, options: LslOptions, context: DriverContext) -> None:
        where = f"outputs.{name}.options"
        check_delay(where, options.delay_ms)
        check_template(f"{where}.text", options.text)
        if not options.stream:
            raise UserError(f"{where}.stream: expected the name of a stream, got nothing")
        self._name, self._options, self._clock = name, options, context.clock
        self._outlet: Any = None

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Output.find`."""
        return [
            FoundDevice(
                driver="lsl",
                serial="",
                description="Markers of the Lab Streaming Layer, for LabRecorder and others",
                usable=not missing("lsl"),
                remedy=remedy("lsl"),
            )
        ]

    def open(self) -> OutputInfo:
        """See `Output.open`.

        Raises
        ------
        UserError
            Where pylsl is missing.
        """
        require("lsl", f"outputs.{self._name}: the driver lsl")
        from pylsl import StreamOutlet

        self.close()
        stream = self._options.stream
        self._outlet = StreamOutlet(_describe(stream))
        return OutputInfo(
            name=self._name,
            driver="lsl",
            serial=stream,
            delay_ms=self._options.delay_ms,
            echoes=False,
            detail=f"LSL stream '{stream}' of type Markers",
        )

    def send(self, command: Command) -> Ack:
        """See `Output.send`. The marker bears the time at which the command came here."""
        outlet, now_ns = self._outlet, self._clock.now_ns()
        if outlet is None:
            return refuse(command, self._name, NOT_OPEN)
        if self._options.needs_recorder and not outlet.have_consumers():
            return refuse(
                command, self._name, f"no program takes the LSL stream '{self._options.stream}': no marker"
            )
        outlet.push_sample([fill_template(self._options.text, command)], to_lsl_s(now_ns, self._clock))
        return Ack(command.id, self._name, self._clock.now_ns(), None, None, ok=True)

    def safe_state(self) -> None:
        """See `Output.safe_state`. Nothing to do: a marker is a moment."""

    def close(self) -> None:
        """See `Output.close`. The stream ends."""
        self._outlet = None


def _describe(stream: str) -> Any:
    from pylsl import StreamInfo

    info = StreamInfo(stream, "Markers", 1, 0.0, "string", f"rt-pose-markers-{stream}")
    description = info.desc()
    description.append_child_value("manufacturer", "rt-pose")
    channel = description.append_child("channels").append_child("channel")
    channel.append_child_value("label", "command")
    channel.append_child_value("type", "Marker")
    return info
