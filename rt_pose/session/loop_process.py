"""The loop's process: assembles a loop as its supervisor orders, runs it, and reports back.

Over the link to the supervisor go, in this order: ("refused", message) or ("ready", description); then, after
the supervisor's ("go", nothing), ("stats", map) twice a second; ("stopping", nothing) before the outputs are
made safe, ("ending", what failed in that) after it and once more when the cameras have stopped; last
("ended", summary). The supervisor may send ("stop", why), ("emergency", why) and ("input", (name, when)), for
a press of its key, at any time; its death counts as the first two.
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from rt_pose.clock import HostClock
from rt_pose.config.schema import RunConfig
from rt_pose.errors import UserError, explain_long_name
from rt_pose.loop.assemble import Assembled, assemble
from rt_pose.loop.control import Order

SWITCH_INTERVAL_S = 5e-5
"""How long a camera's or an output's thread can keep the interpreter from the loop; 5 ms by default."""


def main(
    link: Connection,
    config: RunConfig,
    session_id: str,
    register: Callable[[], None],
    recorder: str | None = None,
) -> None:
    """Run one loop; the target of a spawned process.

    Parameters
    ----------
    link
        The loop's end of the pipe to the supervisor.
    config
        The run.
    session_id
        Identifier of the session.
    register
        Fills the registry of drivers.
    recorder
        The endpoint at which the recorder will listen once everything is open; None where nothing is
        recorded.
    """
    # What a terminal sends reaches every process of it; the supervisor decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    register()
    sender = _MessageSender(link)
    try:
        assembled = assemble(config, session_id, HostClock(), recorder, sender)
    except UserError as error:
        _send(link, ("refused", str(error)))
        return
    except OSError as error:
        _send(link, ("refused", explain_long_name(error)))
        return
    try:
        link.send(("ready", assembled.description))
        order, content = link.recv()
        while order == "input":  # a key that was pressed too early
            order, content = link.recv()
        if order != "go":
            _send(link, ("refused", f"the run was stopped before its first frame ({content})"))
            return
        assembled.start()
    except UserError as error:
        _send(link, ("refused", str(error)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the supervisor is gone before anything began
    else:
        _run(link, assembled, config, sender)
    finally:
        assembled.close()


def _run(link: Connection, assembled: Assembled, config: RunConfig, sender: _MessageSender) -> None:
    loop, failure = assembled.loop, ""
    signal.signal(signal.SIGTERM, _stopper(assembled, "SIGTERM"))
    try:
        sender(assembled.housekeeping.status())  # from here on a hang is seen, before the first stats are due
        threading.Thread(
            target=_listen, args=(link, assembled), name="rt-pose-supervisor-link", daemon=True
        ).start()
        if config.armed_at_start:
            loop.apply(Order("arm", origin="configuration"))
        if config.start_on == "control":
            loop.wait_for_start()
        # What has been allocated so far stays: the collector need not walk it while frames come in.
        gc.collect()
        gc.freeze()
        loop.run(config.seconds)
    except BaseException as error:
        failure = f"the loop failed: {type(error).__name__}: {error}"
        raise
    finally:
        sender.send("stopping", None)
        unsafe = assembled.stop_outputs()  # first of all
        sender.send("ending", unsafe)
        problems = [*unsafe, *assembled.stop_inputs()]
        sender.send("ending", unsafe)
        loop.finish(failure)
        after = {} if failure else {"bare_forward_after_ms": assembled.bare_forward()}
        assembled.sink.close()
        sender.send(
            "ended",
            {
                **loop.summary(),
                **after,
                "problems": problems,
                "records_sent": assembled.sinks.sent(),
                "records_refused": assembled.sinks.refused(),
            },
        )
        sender.close()


class _MessageSender:
    """Sends messages to the supervisor from a thread of its own; they are lost where the supervisor is gone.

    A supervisor that has been stopped (Ctrl-Z) reads nothing, and its pipe fills up. That must not hold up
    the control socket, over which an emergency comes. So only the newest stats wait.
    """

    def __init__(self, link: Connection) -> None:
        self._link = link
        self._stats: dict[str, Any] | None = None
        self._messages: deque[tuple[str, Any]] = deque()
        self._news = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="rt-pose-teller", daemon=True)
        self._thread.start()

    def __call__(self, stats: dict[str, Any]) -> None:
        self._stats = stats
        self._news.set()

    def send(self, kind: str, content: Any) -> None:
        """Queue a message that must not be left out; no older stats follow it."""
        self._stats = None
        self._messages.append((kind, content))
        self._news.set()

    def close(self) -> None:
        """Wait until everything has been sent."""
        self._closing = True
        self._news.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing or self._messages:
            self._news.wait()
            self._news.clear()
            while self._messages:
                _send(self._link, self._messages.popleft())
            stats, self._stats = self._stats, None
            if stats is not None:
                _send(self._link, ("stats", stats))


def _send(link: Connection, message: tuple[str, Any]) -> None:
    try:
        link.send(message)
    except (BrokenPipeError, OSError):
        return  # the supervisor is gone; `_listen` sees it too and stops the loop


def _listen(link: Connection, assembled: Assembled) -> None:
    """Take the supervisor's orders until it is gone; then make the outputs safe without the loop."""
    stop, gone = False, "the supervisor is gone"
    while True:
        try:
            kind, why = link.recv()
        except (EOFError, OSError):
            break
        if kind == "emergency":
            assembled.control.emergency(why)
        elif kind == "input":
            name, t_ns = why
            assembled.control.switch(name, "press", t_ns)
        elif kind == "stop":
            stop = True
            assembled.control.inbox.append(Order("stop", origin=why))
    assembled.control.emergency(gone)
    if not stop:
        assembled.control.inbox.append(Order("stop", origin=gone))


def _stopper(assembled: Assembled, why: str) -> Callable[[int, FrameType | None], None]:
    def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        assembled.control.inbox.append(Order("stop", origin=why))

    return stop
