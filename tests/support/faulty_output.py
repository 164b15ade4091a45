"""The simulated output with an interlock that is open for every second command, or a driver that breaks."""

from __future__ import annotations

import rigs
from rigs.outputs.simulated import SimulatedOutput
from rt_pose.drivers import output_driver
from rt_pose.types import Ack, Command


@output_driver("interlocked")
class InterlockedOutput(SimulatedOutput):
    """Refuses every second command, from the first on."""

    sent = 0

    def send(self, command: Command) -> Ack:
        """See `Output.send`."""
        self.sent += 1
        ack = super().send(command)
        if self.sent % 2:
            ack.ok, ack.detail = False, "interlock open"
        return ack


def register() -> None:
    """Register our drivers and this one; for every process of a run."""
    rigs.register()
