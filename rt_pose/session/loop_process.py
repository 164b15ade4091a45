"""The loop's process: assembles a loop as its supervisor orders, runs it, and reports back.

Over the link to the supervisor go, in this order: ("refused", message) or ("ready", description); then, once
told ("go", recorder endpoint), ("stats", map) twice a second; last ("ended", summary). The supervisor may
send ("stop", why) at any time; its death counts as that.
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from rt_pose.clock import HostClock
from rt_pose.config import RunConfig, build
from rt_pose.errors import UserError
from rt_pose.loop.assemble import Assembled, assemble
from rt_pose.loop.control import Order
from rt_pose.records import Sink

SWITCH_INTERVAL_S = 5e-5
"""So long can a camera's or an output's thread keep the interpreter from the loop; Python's own is 5 ms."""


def main(link: Connection, config: dict[str, Any], session_id: str, register: Callable[[], None]) -> None:
    """Run one loop; for a spawned child. `register` fills the registry of drivers."""
    # What a terminal sends reaches every process of it; the supervisor decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    register()
    clock = HostClock()
    try:
        run_config = build(RunConfig, config, "configuration")
        assembled = assemble(run_config, session_id, clock)
    except UserError as error:
        _send(link, ("refused", str(error)))
        return
    try:
        link.send(("ready", assembled.description))
        order, content = link.recv()
        if order != "go":
            _send(link, ("refused", f"the run was stopped before its first frame ({content})"))
            return
        sink = assembled.start(content)
    except UserError as error:
        _send(link, ("refused", str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the supervisor is gone before anything began
    else:
        _run(link, assembled, run_config, sink)
    finally:
        assembled.close()


def _run(link: Connection, assembled: Assembled, config: RunConfig, sink: Sink) -> None:
    loop = assembled.loop
    signal.signal(signal.SIGTERM, _stopper(assembled, "SIGTERM"))
    try:
        assembled.housekeeping.on_stats = _Teller(link)
        threading.Thread(
            target=_listen, args=(link, assembled), name="rt-pose-supervisor-link", daemon=True
        ).start()
        loop.begin(sink, config.armed_at_start)
        if config.start_on == "control":
            loop.wait_for_start()
        # What has been allocated so far stays: the collector need not walk it while frames come in.
        gc.collect()
        gc.freeze()
        loop.run(config.seconds)
    except BaseException as error:
        loop.failure = f"the loop failed: {type(error).__name__}: {error}"
        raise
    finally:
        problems = assembled.stop()  # first of all: outputs into their safe state
        loop.finish()
        after = {} if loop.failure else {"bare_forward_after_ms": assembled.bare_forward()}
        assembled.housekeeping.on_stats = None
        sink.close()
        _send(
            link,
            (
                "ended",
                {
                    **loop.summary(),
                    **after,
                    "problems": problems,
                    "records_refused": assembled.sinks.refused(),
                },
            ),
        )


class _Teller:
    """Tells the supervisor how it goes; nothing where nobody listens any more."""

    def __init__(self, link: Connection) -> None:
        self._link = link

    def __call__(self, stats: dict[str, Any]) -> None:
        _send(self._link, ("stats", stats))


def _send(link: Connection, message: tuple[str, Any]) -> None:
    try:
        link.send(message)
    except (BrokenPipeError, OSError):
        return  # the supervisor is gone; `_listen` sees it too and stops the loop


def _listen(link: Connection, assembled: Assembled) -> None:
    try:
        message = link.recv()
    except (EOFError, OSError):
        message = ("stop", "the supervisor is gone")
    if message[0] == "stop":
        assembled.control.inbox.append(Order("stop", origin=message[1]))


def _stopper(assembled: Assembled, why: str) -> Callable[[int, FrameType | None], None]:
    def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        assembled.control.inbox.append(Order("stop", origin=why))

    return stop
