"""The suite that every input driver passes. Point it at your own:

    from rt_pose.contracts.inputs import InputCase, InputContract


    class TestMine(InputContract):
        cases = {"mine": InputCase({"period_ms": 30.0})}

The key is the name under which the driver is registered, or any other with `driver=`. A line that does not go
on and off by itself is switched by `pulse`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from rt_pose.clock import HostClock
from rt_pose.contracts.suite import Suite
from rt_pose.drivers import DriverContext, Input, inputs, make_input
from rt_pose.errors import UserError
from rt_pose.types import Edge, InputInfo

NAME = "lick"
PATIENCE_S = 30.0
"""How long an edge may be in coming."""
SILENCE_S = 0.1
"""How long a stopped input is listened to."""


@dataclass(frozen=True)
class InputCase:
    """How a driver is opened in the suite, and how its line is switched."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """The driver's options."""
    driver: str = ""
    """Name of the driver, where several cases have the same."""
    around: Callable[[], AbstractContextManager[Any]] = lambda: nullcontext(None)
    """What must be there while the input is open: a board on a pseudo-terminal, a stream; the device, for the
    two below. `pytest.skip` inside it says why the case cannot run here."""
    reach: Callable[[Any], Mapping[str, Any]] = lambda _: {}
    """Further options that the device gives, its port for instance."""
    pulse: Callable[[Any, Input, InputInfo], None] = lambda *_: None
    """Makes the line go on and off once; nothing where it does by itself."""


class EdgeCollector:
    """What an input delivers, waited for; give it to `Input.start`."""

    def __init__(self) -> None:
        self.found: list[Edge] = []
        """All edges so far."""
        self._more = threading.Condition()

    def __call__(self, edge: Edge) -> None:
        """Take an edge.

        Parameters
        ----------
        edge
            The edge.
        """
        with self._more:
            self.found.append(edge)
            self._more.notify_all()

    def wait_for(self, count: int, timeout_s: float = PATIENCE_S) -> list[Edge]:
        """Wait for a number of edges.

        Parameters
        ----------
        count
            How many.
        timeout_s
            How long at most, s.

        Returns
        -------
        list[Edge]
            The first of them.

        Raises
        ------
        AssertionError
            Where they do not come.
        """
        with self._more:
            came = self._more.wait_for(lambda: len(self.found) >= count, timeout_s)
            assert came, f"{len(self.found)} of {count} edges within {timeout_s:g} s: {self.found}"
            return self.found[:count]


class InputContract(Suite):
    """The suite; a subclass whose name begins with Test, with `cases`, runs it."""

    cases: ClassVar[dict[str, InputCase]] = {}

    @pytest.fixture
    def device(self, case: InputCase) -> Iterator[Any]:
        """What is at the other end of the line."""
        with case.around() as device:
            yield device

    @pytest.fixture
    def line(self, case: InputCase, device: Any) -> Iterator[Input]:
        """The case's input, not opened; closed at the end."""
        options = {**case.options, **case.reach(device)}
        made = make_input(NAME, self.driver_of(case), options, DriverContext(HostClock()))
        yield made
        made.close()

    def test_edges_come_in_turn_and_in_order_of_time(self, case: InputCase, device: Any, line: Input) -> None:
        clock, edges = HostClock(), EdgeCollector()
        info = line.open()
        assert (info.name, info.on) == (NAME, False)
        assert info.driver in inputs()
        before_ns = clock.now_ns()
        line.start(edges)
        for _ in range(3):
            case.pulse(device, line, info)
        edges.wait_for(6)
        line.stop()
        found = edges.found[:6]
        assert [edge.on for edge in found] == [True, False] * 3
        assert {edge.input for edge in found} == {NAME}
        times = [edge.t_ns for edge in found]
        assert times == sorted(times)
        assert before_ns <= times[0] <= times[-1] <= clock.now_ns()

    def test_nothing_is_delivered_after_stop(self, case: InputCase, device: Any, line: Input) -> None:
        edges = EdgeCollector()
        info = line.open()
        line.start(edges)
        case.pulse(device, line, info)
        edges.wait_for(2)
        line.stop()
        count = len(edges.found)
        threading.Event().wait(SILENCE_S)
        assert len(edges.found) == count

    def test_it_can_be_closed_twice_and_opened_again(self, line: Input) -> None:
        line.open()
        line.close()
        line.close()
        assert line.open().name == NAME

    def test_an_unknown_option_is_refused(self, case: InputCase) -> None:
        with pytest.raises(UserError, match=r"inputs\.lick\.options.*'no_such_option'"):
            make_input(NAME, self.driver_of(case), {"no_such_option": 1}, DriverContext(HostClock()))
