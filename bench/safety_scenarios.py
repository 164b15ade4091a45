"""What goes wrong in `bench.safety`, and what must come of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rigs.firmware.simulate import SimulatedBox
from rt_pose.session.orders import send_order

BOUND_MS = 100.0
"""When the line must be low, after a fault that nothing hides."""


@dataclass
class SafetyRig:
    """A run in progress, and what can be done to it."""

    box: SimulatedBox
    supervisor: int
    loop: int
    control: str

    def order(self, do: str) -> None:
        """Give an order over the control socket.

        Parameters
        ----------
        do
            The order.
        """
        send_order(self.control, do)


def to_loop(number: signal.Signals) -> Callable[[SafetyRig], None]:
    """Make a fault that sends a signal to the loop's process.

    Parameters
    ----------
    number
        The signal.

    Returns
    -------
    Callable[[SafetyRig], None]
        The fault.
    """
    return lambda rig: os.kill(rig.loop, number)


def to_supervisor(number: signal.Signals) -> Callable[[SafetyRig], None]:
    """Make a fault that sends a signal to the supervisor.

    Parameters
    ----------
    number
        The signal.

    Returns
    -------
    Callable[[SafetyRig], None]
        The fault.
    """
    return lambda rig: os.kill(rig.supervisor, number)


def to_both(rig: SafetyRig) -> None:
    """Kill the supervisor first, so that it does not see the loop die, and then the loop.

    Parameters
    ----------
    rig
        The run.
    """
    os.kill(rig.supervisor, signal.SIGKILL)
    os.kill(rig.loop, signal.SIGKILL)


def to_all(rig: SafetyRig) -> None:
    """Kill every process but the box, so that its watchdog alone is left.

    Parameters
    ----------
    rig
        The run.
    """
    children = Path(f"/proc/{rig.supervisor}/task/{rig.supervisor}/children").read_text(encoding="ascii")
    for pid in (rig.supervisor, *map(int, children.split())):
        os.kill(pid, signal.SIGKILL)


def ordered(do: str) -> Callable[[SafetyRig], None]:
    """Make a fault that gives an order over the control socket.

    Parameters
    ----------
    do
        The order.

    Returns
    -------
    Callable[[SafetyRig], None]
        The fault.
    """
    return lambda rig: rig.order(do)


def to_box(order: str) -> Callable[[SafetyRig], None]:
    """Make a fault of the simulated box.

    Parameters
    ----------
    order
        An order of the simulator.

    Returns
    -------
    Callable[[SafetyRig], None]
        The fault.
    """
    return lambda rig: rig.box.order(order)


@dataclass(frozen=True)
class Scenario:
    """One thing that goes wrong, or right."""

    does: Callable[[SafetyRig], None]
    drops: bool = True
    """Whether the line must fall; otherwise it must stay."""
    ends: bool = True
    """Whether the run ends by it; otherwise it is stopped afterwards."""
    bound_ms: float | None = BOUND_MS
    """When the line must be low. None: a loop counts as hung, and a silent box as failed, only after
    500 ms."""
    says: str = ""
    """What the run must say of it, in a warning or in its log."""


SCENARIOS: dict[str, Scenario] = {
    "loop killed (SIGKILL)": Scenario(to_loop(signal.SIGKILL)),
    "supervisor killed (SIGKILL)": Scenario(to_supervisor(signal.SIGKILL)),
    "loop and supervisor killed": Scenario(to_both),
    "all processes killed": Scenario(to_all),
    "exception in the loop": Scenario(to_loop(signal.SIGUSR1)),
    "loop hangs, its threads live": Scenario(to_loop(signal.SIGUSR2), bound_ms=None),
    "loop's process stopped (SIGSTOP)": Scenario(to_loop(signal.SIGSTOP)),
    "loop terminated (SIGTERM)": Scenario(to_loop(signal.SIGTERM)),
    "supervisor terminated (SIGTERM)": Scenario(to_supervisor(signal.SIGTERM)),
    "Ctrl-C (SIGINT)": Scenario(to_supervisor(signal.SIGINT)),
    "stop ordered": Scenario(ordered("stop")),
    "emergency ordered": Scenario(ordered("emergency"), ends=False),
    "disarm ordered": Scenario(ordered("disarm"), ends=False),
    "interlock opened": Scenario(to_box("interlock open"), ends=False),
    "cable pulled": Scenario(to_box("pull"), ends=False),
    "box reset": Scenario(to_box("restart"), ends=False, says="the box has begun again"),
    "box deaf": Scenario(to_box("deaf"), ends=False),
    "box silent": Scenario(to_box("silent"), ends=False, bound_ms=None),
    "box sends garbage": Scenario(to_box("garbage"), ends=False, bound_ms=None),
    "box answers 120 ms late": Scenario(to_box("late 120"), drops=False, ends=False, bound_ms=None),
    "nothing goes wrong": Scenario(lambda _: None, drops=False, ends=False, bound_ms=None),
}
