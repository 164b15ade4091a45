"""The run of `bench.safety`, in processes of its own, and what its session says of a fault."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import rigs
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.config.build import build
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import CameraConfig, OutputConfig, PublishConfig, RecordConfig, RunConfig
from rt_pose.errors import UserError
from rt_pose.package import read_package
from rt_pose.session.read import Session
from rt_pose.session.run import RunObserver, run_session

LONGEST_WAIT_S = 30.0


def safety_config(model: str, port: str) -> RunConfig:
    """Make the run: the simulated camera, the box, a rule that puts line 0 on, and one whose commands go on.

    Parameters
    ----------
    model
        Folder of the model package.
    port
        The box's port.

    Returns
    -------
    RunConfig
        The run.
    """
    first = read_package(model).manifest.keypoints[0]
    return RunConfig(
        model=model,
        cameras={"top": CameraConfig("simulated", {"rate_hz": 60})},
        outputs={"box": OutputConfig("serial_ttl", {"port": port}, lines=["laser", "led"])},
        rules=[
            RuleConfig("on", f"speed({first}) >= 0", ActionConfig("box", line="laser", level=True)),
            RuleConfig("blink", f"speed({first}) > 60", ActionConfig("box", pulse="1 ms", line="led")),
        ],
        publish=PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*", frame_rate_hz=0.0),
        record=RecordConfig(video=False),
        budget_ms=1000.0,
        seconds=60.0,
        armed_at_start=True,
    )


class _ReadyObserver(RunObserver):
    """Passes on what the bench must know."""

    def __init__(self, link: Connection) -> None:
        self._link = link

    def ready(self, description: dict[str, Any]) -> None:
        (loop,) = [p for p in multiprocessing.active_children() if p.name == "rt-pose-loop"]
        self._link.send(("ready", {"loop": loop.pid, "control": description["addresses"]["control"]}))


def supervise(link: Connection, plain: dict[str, Any], out: str) -> None:
    """Supervise a run, and report over a pipe that it is ready and how it ended; the target of a process.

    Parameters
    ----------
    link
        Our end of the pipe.
    plain
        The run's configuration.
    out
        Folder of its session.
    """
    run_config = build(RunConfig, plain, "bench safety")
    result = run_session(run_config, Path(out), register, HostClock(), _ReadyObserver(link))
    link.send(("ended", {"status": result.status, "warnings": result.warnings}))


def register() -> None:
    """Register the drivers and, in the loop's process, two ways to fail that nothing in the program has.

    A signal's handler runs in the main thread, which is the loop's.
    """
    rigs.register()
    signal.signal(signal.SIGUSR1, _raise)
    signal.signal(signal.SIGUSR2, _hang)


def _raise(signum: int, frame: object) -> None:  # noqa: ARG001
    raise RuntimeError("an exception in the loop")


def _hang(signum: int, frame: object) -> None:  # noqa: ARG001
    threading.Event().wait()


def wait_for_message(link: Connection, kind: str) -> dict[str, Any]:
    """Wait for the next message of a kind.

    Parameters
    ----------
    link
        The pipe to the supervisor.
    kind
        `ready` or `ended`.

    Returns
    -------
    dict[str, Any]
        Its content; empty where the supervisor died without one.

    Raises
    ------
    UserError
        Where the run does not begin.
    """
    try:
        while link.poll(LONGEST_WAIT_S):
            messages, content = link.recv()
            if messages == kind:
                return dict(content)
    except EOFError:
        if kind == "ready":
            raise UserError("the run did not begin; what it printed above, if anything, says why") from None
    return {}


def end_supervisor(supervisor: Any, link: Connection) -> None:
    """End a supervisor's process, which may have ended.

    Parameters
    ----------
    supervisor
        The process.
    link
        The pipe to it.
    """
    link.close()
    supervisor.join(1.0)
    if supervisor.is_alive():
        supervisor.kill()
        supervisor.join()


def log_lines(out: Path, since_ns: int) -> list[str]:
    """Read what a session's log says of outputs and orders from a fault on.

    Parameters
    ----------
    out
        The session.
    since_ns
        Host time of the fault, ns.

    Returns
    -------
    list[str]
        Orders, notices, failed commands and suppressed events, each kind once.
    """
    session = Session.read(out)
    messages = [(c.t_ns, f"order {c.do} ({c.origin})") for c in session.controls]
    messages += [(n.t_ns, f"output '{n.output}': {n.text}") for n in session.notices]
    messages += [(a.t_ns, f"command not carried out: {a.ack.detail}") for a in session.acks if not a.ack.ok]
    messages += [(c.t_ns, f"command refused: {c.reason}") for c in session.commands if not c.accepted]
    suppressed = [e for e in session.events if e.event.outcome == "suppressed"]
    messages += [(e.t_ns, f"event suppressed: {e.event.reason}") for e in suppressed]
    if session.end is not None:
        messages.append((session.end.t_ns, f"last record: {session.end.reason}"))
    else:
        messages.append((2**62, "no last record: the log ends where the loop died"))
    return list(dict.fromkeys(text for t_ns, text in sorted(messages) if t_ns >= since_ns))


def await_recorder(out: Path) -> None:
    """Wait until the log no longer grows: a recorder whose supervisor was killed ends after the loop.

    Parameters
    ----------
    out
        The session.
    """
    clock, log, size = HostClock(), out / "log.mcap", -1
    while log.stat().st_size != size:
        size = log.stat().st_size
        clock.sleep_until_ns(clock.now_ns() + NS_PER_S)
