"""An input that the operator switches: by a key in the terminal of the run, or by `rt-pose order input`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import ClassVar, Literal

from rigs.input_thread import InputThread
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.drivers import DriverContext, FoundDevice, input_driver
from rt_pose.errors import UserError
from rt_pose.types import Edge, InputInfo, SwitchOrder

EMERGENCY_KEYS = " xX"
SHARED_KEYS = "keys of the terminal"
"""Where the keys of a run's inputs stand among what its drivers share."""


@dataclass
class KeyOptions:
    """Which key, and what it does."""

    key: str = ""
    """A letter, digit or sign that is typed in the run's terminal; none: by orders only."""
    mode: Literal["pulse", "toggle"] = "pulse"
    """pulse: a press turns the line on for `on_ms`, and one meanwhile prolongs that; toggle: each press
    changes it."""
    on_ms: float = 200.0
    """Length of a pulse. A key that is held down repeats itself about 30 times a second."""


@input_driver("key")
class KeyInput(InputThread):
    """A line that is on while the operator says so."""

    Options: ClassVar[type] = KeyOptions

    def __init__(self, name: str, options: KeyOptions, context: DriverContext) -> None:
        _check(options, f"inputs.{name}.options")
        super().__init__(name)
        self._options, self._context, self._clock = options, context, context.clock
        self._orders: SimpleQueue[tuple[SwitchOrder, int] | None] = SimpleQueue()
        self._on, self._edge_ns = False, 0

    @classmethod
    def find(cls) -> list[FoundDevice]:
        """See `Input.find`."""
        return [FoundDevice("key", "", "a key of the run's terminal, or `rt-pose order input NAME on`")]

    def open(self) -> InputInfo:
        """See `Input.open`.

        Raises
        ------
        UserError
            Where another input of the run has the key.
        """
        self.close()
        key = self._options.key
        taken: dict[str, str] = self._context.shared.setdefault(SHARED_KEYS, {})
        if key and taken.setdefault(key, self._name) != self._name:
            raise UserError(f"inputs.{self._name}.options.key: '{key}' is the key of '{taken[key]}' already")
        self._on, self._edge_ns = False, 0
        does = (
            "changes it" if self._options.mode == "toggle" else f"turns it on for {self._options.on_ms:g} ms"
        )
        who = f"key '{key}'" if key else "`rt-pose order input`"
        return InputInfo(self._name, "key", "", f"{who} {does}", key=key)

    def start(self, deliver: Callable[[Edge], None]) -> None:
        """See `Input.start`."""
        self._orders = SimpleQueue()
        super().start(deliver)

    def stop(self) -> None:
        """See `Input.stop`."""
        self._end.set()
        self._orders.put(None)
        super().stop()

    def switch(self, order: SwitchOrder, t_ns: int) -> None:
        """See `OperatedInput.switch`."""
        self._orders.put((order, t_ns))

    def _run(self, deliver: Callable[[Edge], None]) -> None:
        off_ns: int | None = None
        while not self._end.is_set():
            wait_s = None if off_ns is None else max(0.0, (off_ns - self._clock.now_ns()) / NS_PER_S)
            try:
                item = self._orders.get(timeout=wait_s)
            except Empty:
                off_ns = None
                self._change(False, self._clock.now_ns(), deliver)
                continue
            if item is None:
                continue
            order, t_ns = item
            if order == "press" and self._options.mode == "pulse":
                off_ns = t_ns + round(self._options.on_ms * NS_PER_MS)
            elif self._options.mode == "pulse":
                off_ns = None
            self._change(not self._on if self._toggles(order) else order != "off", t_ns, deliver)

    def _toggles(self, order: SwitchOrder) -> bool:
        return order == "press" and self._options.mode == "toggle"

    def _change(self, on: bool, t_ns: int, deliver: Callable[[Edge], None]) -> None:
        if on == self._on:
            return
        self._on = on
        # A press is stamped by another process: it may come after the end of a pulse that it preceded.
        self._edge_ns = max(self._edge_ns, min(t_ns, self._clock.now_ns()))
        deliver(Edge(self._name, on, self._edge_ns))


def _check(options: KeyOptions, where: str) -> None:
    key = options.key
    if key and (len(key) > 1 or not key.isascii() or not key.isprintable()):
        raise UserError(f"{where}.key: expected one letter, digit or sign of ASCII, got {key!r}")
    if key and key in EMERGENCY_KEYS:
        raise UserError(f"{where}.key: space and x are the emergency stop; give another key than {key!r}")
    if not 1.0 <= options.on_ms <= 3.6e6:
        raise UserError(f"{where}.on_ms: expected 1 to 3600000, got {options.on_ms:g}")
