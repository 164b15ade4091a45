"""Outputs into their safe state after the loop's process has died with them open."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from rt_pose.clock import HostClock
from rt_pose.config import RunConfig, build
from rt_pose.drivers import DriverContext, make_output

TIMEOUT_S = 5.0


def make_outputs_safe(config: dict[str, Any], register: Callable[[], None]) -> list[str]:
    """Open every output anew, in a process of its own, and put it into its safe state; what failed.

    A driver that hangs cannot hold the supervisor up for longer than 5 s.
    """
    if not config.get("outputs"):
        return []
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_main, args=(theirs, config, register), name="rt-pose-safe-outputs")
    process.start()
    theirs.close()
    try:
        problems = ours.recv() if ours.poll(TIMEOUT_S) else [f"no answer within {TIMEOUT_S:g} s"]
    except EOFError:
        problems = ["the process that should have done it died"]
    if process.is_alive():
        process.join(1.0)
        process.kill()
    process.join()
    return [f"an output may not be in its safe state: {problem}" for problem in problems]


def _main(link: Connection, config: dict[str, Any], register: Callable[[], None]) -> None:
    register()
    run_config = build(RunConfig, config, "configuration")
    context = DriverContext(HostClock(), run_config.seed)
    problems = []
    for name, wanted in run_config.outputs.items():
        try:
            output = make_output(name, wanted.driver, wanted.options, context)
            output.open()
            output.safe_state()
            output.close()
        except Exception as error:  # noqa: BLE001 - the other outputs must still become safe
            problems.append(f"output '{name}': {type(error).__name__}: {error}")
    link.send(problems)
