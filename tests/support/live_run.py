"""Whole runs on the simulated rig, and what watches them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import zmq
from support.patience import PATIENCE_S

import rigs
from rt_pose.clock import HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import (
    CameraConfig,
    EngineConfig,
    OutputConfig,
    PublishConfig,
    RecordConfig,
    RunConfig,
)
from rt_pose.loop.curve import ClientKeys, read_keys
from rt_pose.session.orders import open_control
from rt_pose.session.run import RunObserver, RunResult, run_session

FRAMES_BEFORE = 40
"""More than these have gone through when a script begins: every process has reported by then."""


def config(package: Path, **changes: Any) -> RunConfig:
    """The simulated rig with a rule that comes true now and then, on ports of its own.

    Its engine is not chosen by a race: that costs a busy machine seconds.
    """
    values: dict[str, Any] = {
        "model": str(package),
        "cameras": {"top": CameraConfig("simulated", {"rate_hz": 60, "world": "w"})},
        "outputs": {"stimulus": OutputConfig("simulated", {"world": "w"})},
        "zones": {"middle": ZoneConfig([160.0, 128.0, 60.0])},
        "rules": [
            RuleConfig(
                "quick",
                "speed(k0) > 100 or inside(k1, middle)",
                ActionConfig("stimulus", "5 ms"),
                withhold=0.3,
            ),
            RuleConfig("slow", "speed(k1) < 80", ActionConfig("stimulus", "5 ms"), refractory="300 ms"),
        ],
        "publish": PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        "record": RecordConfig(video=False),
        "engine": EngineConfig(precision="float32", threads=1),
        "budget_ms": 500.0,
        "seconds": 1.5,
        "armed_at_start": True,
        "seed": 5,
    }
    return RunConfig(**(values | changes))


class ScriptedObserver(RunObserver):
    """Runs `act` once, in a thread, as soon as frames have gone through."""

    def __init__(self, act: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.description: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.last: dict[str, Any] = {}
        self._act = act
        self._thread: threading.Thread | None = None

    def ready(self, description: dict[str, Any]) -> None:
        self.description = dict(description)

    def stats(self, stats: dict[str, Any]) -> None:
        self.last = stats
        if stats["frames"]["processed"] > FRAMES_BEFORE and self._act is not None and self._thread is None:
            self._thread = threading.Thread(target=self._act, args=(self.description,))
            self._thread.start()

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def join(self) -> None:
        if self._thread is not None:
            self._thread.join()


class OrderSender(ScriptedObserver):
    """Sends orders over the control socket as soon as the loop is ready, and keeps the answers."""

    def __init__(self, *orders: str) -> None:
        super().__init__()
        self.answers: dict[str, Any] = {}
        self._orders = orders

    def ready(self, description: dict[str, Any]) -> None:
        super().ready(description)
        self._thread = threading.Thread(target=self._send_orders)
        self._thread.start()

    def _send_orders(self) -> None:
        self.answers |= send_orders(self.description, *self._orders)


def connected(description: dict[str, Any], kind: int = zmq.REQ) -> zmq.Socket[bytes]:
    """A client of a running loop's control socket, with the keys of its file."""
    addresses = description["addresses"]
    socket = open_control(addresses["control"], kind, read_keys(Path(addresses["keys"]), ClientKeys, "test"))
    socket.setsockopt(zmq.RCVTIMEO, round(1000 * PATIENCE_S))
    return socket


def send_orders(description: dict[str, Any], *orders: str) -> dict[str, Any]:
    """The answers of a running loop's control socket."""
    answers = {}
    with connected(description) as socket:
        for do in orders:
            socket.send(msgspec.msgpack.encode({"v": 1, "id": do, "do": do}))
            answers[do] = msgspec.msgpack.decode(socket.recv())
    return answers


def run(run_config: RunConfig, out: Path | None, watch: ScriptedObserver | None = None) -> RunResult:
    watch = watch or ScriptedObserver()
    result = run_session(run_config, out, rigs.register, HostClock(), watch)
    watch.join()
    return result
