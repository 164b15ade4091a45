"""How long does a line stay high once something has gone wrong?

    python -m bench.safety --model PACKAGE [--repeats 5] [--kills 20] [--only NAME ...]

Each repeat is a whole run (supervisor, loop, recorder) on the simulated camera with the serial TTL box as
its output: the box's own code on a pseudo-terminal (`rigs/firmware/`). A rule puts line 0 on and leaves it
on; then the fault comes. Measured is the time from the fault to the line's falling edge, both on
CLOCK_MONOTONIC, the edge stamped by the simulator where its line changes. Beside it stand what the run said
of it, and what its log says.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from bench.output import write
from bench.program import guarded
from bench.safety_run import (
    LONGEST_WAIT_S,
    await_recorder,
    end_supervisor,
    log_lines,
    safety_config,
    supervise,
    wait_for_message,
)
from bench.safety_scenarios import SCENARIOS, SafetyRig, Scenario
from rigs.firmware.simulate import SimulatedBox
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.config.build import to_plain
from rt_pose.errors import UserError
from rt_pose.package import read_package
from rt_pose.session.describe import machine, versions

SETTLE_S = 0.3
"""How long the line is high before the fault, so that heartbeats come regularly by then."""
STAYS_S = 2.0
"""How long the line is watched where it must not drop."""


@dataclass
class SafetyOutcome:
    """What came of one repeat."""

    ms: float | None
    """From the fault to the falling edge; None where the line stayed high."""
    status: str
    """How the run ended; empty where its supervisor was killed."""
    warnings: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    """What the log says of outputs and orders from the fault on."""
    early: bool = False
    """Whether the line fell before the fault (a late heartbeat on a busy machine): nothing was measured."""

    def says(self, words: str) -> bool:
        """Check whether the run said something, at once or in its log.

        Parameters
        ----------
        words
            What; empty for nothing in particular.

        Returns
        -------
        bool
            Whether it did.
        """
        return any(words in text for text in ("", *self.warnings, *self.log))


def try_once(scenario: Scenario, model: str) -> SafetyOutcome:
    """Run once with a fault.

    Parameters
    ----------
    scenario
        The fault.
    model
        Folder of the model package.

    Returns
    -------
    SafetyOutcome
        What came of it.

    Raises
    ------
    UserError
        Where the run does not begin or the line never goes high.
    """
    with tempfile.TemporaryDirectory(prefix="rt-pose-bench-") as folder, SimulatedBox() as box:
        out = Path(folder) / "session"
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        plain = to_plain(safety_config(model, box.port))
        supervisor = spawn.Process(target=supervise, args=(theirs, plain, str(out)))
        supervisor.start()
        theirs.close()
        try:
            assert supervisor.pid is not None
            ready = wait_for_message(ours, "ready")
            rig = SafetyRig(box, supervisor.pid, ready["loop"], ready["control"])
            t_fault_ns, early, ms = _cause(scenario, rig)
            if not scenario.ends:
                threading.Event().wait(1.0)  # every message has been sent by then
                os.kill(rig.supervisor, signal.SIGTERM)
            ended = wait_for_message(ours, "ended")
            supervisor.join(LONGEST_WAIT_S)
        finally:
            end_supervisor(supervisor, ours)
        if not ended:
            await_recorder(out)
        log = log_lines(out, t_fault_ns)
        return SafetyOutcome(ms, ended.get("status", ""), ended.get("warnings", []), log, early)


def _cause(scenario: Scenario, rig: SafetyRig) -> tuple[int, bool, float | None]:
    """Let a scenario happen once the line is high: when (ns), whether the line fell before it, and how long
    after it (ms)."""
    if rig.box.wait_for(0, high=True, timeout_s=LONGEST_WAIT_S) is None:
        raise UserError("the line never went high; does the model see the simulated animal?")
    threading.Event().wait(SETTLE_S)
    early = rig.box.level(0) == 0
    t_fault_ns = HostClock().now_ns()
    scenario.does(rig)
    wait_s = LONGEST_WAIT_S if scenario.drops else STAYS_S
    down = None if early else rig.box.wait_for(0, False, t_fault_ns, wait_s)
    return t_fault_ns, early, None if down is None else (down.t_ns - t_fault_ns) / NS_PER_MS


def measure(scenario: Scenario, model: str, repeats: int) -> dict[str, Any]:
    """Repeat a scenario.

    Parameters
    ----------
    scenario
        The fault.
    model
        Folder of the model package.
    repeats
        How often.

    Returns
    -------
    dict[str, Any]
        The times (ms), and the messages of the first repeat.
    """
    outcomes = [try_once(scenario, model) for _ in range(repeats)]
    messages = {"first": asdict(outcomes[0]), "statuses": sorted({o.status for o in outcomes})}
    untold = sum(not outcome.says(scenario.says) for outcome in outcomes)
    bound = {"bound_ms": scenario.bound_ms, "untold": untold}
    return {"n": repeats, **_figures(outcomes), **bound, **messages}


def page(figures: dict[str, Any]) -> str:
    """Format the figures and messages for people.

    Parameters
    ----------
    figures
        The result.

    Returns
    -------
    str
        Markdown.
    """
    cpu = figures["machine"]
    lines = [
        "# How long a line stays high once something has gone wrong",
        "",
        f"{cpu['cpu']}, {cpu['cores_usable']} cores. `python -m bench.safety`: whole runs on the simulated "
        "camera, the serial TTL box's own code on a pseudo-terminal, watchdog 70 ms, heartbeats at 17.5 ms. "
        "From the fault to the falling edge, ms.",
        "",
        *([figures["note"], ""] if figures.get("note") else []),
        "| what went wrong | n | P50 | max | at most | the run ended with |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in figures["rows"].items():
        times = "stays high | stays high" if row["p50"] is None else f"{row['p50']:.1f} | {row['max']:.1f}"
        if row["stayed"] and row["p50"] is not None:
            times += f" ({row['stayed']} never)"
        if row.get("untold"):
            times += f" ({row['untold']} untold)"
        if row.get("early"):
            times += f" ({row['early']} fell before the fault)"
        bound = "-" if row["bound_ms"] is None else f"{row['bound_ms']:g}"
        status = row["first"]["status"] or "(no supervisor left to say)"
        lines.append(f"| {name} | {row['n']} | {times} | {bound} | {status} |")
    lines += ["", "## Messages, and what the log holds", ""]
    for name, row in figures["rows"].items():
        lines += [f"**{name}**", ""]
        lines += [f"- reported at once: {w}" for w in row["first"]["warnings"]]
        lines += [f"- log: {entry}" for entry in row["first"]["log"]] or [
            "- log: nothing besides its last record"
        ]
        lines.append("")
    return "\n".join(lines)


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[str, "folder of a model package"]
    repeats: int = 5
    kills: Annotated[int, "repeats of the first scenario"] = 20
    only: Annotated[list[str], "names of scenarios", list(SCENARIOS)] = field(
        default_factory=lambda: list(SCENARIOS)
    )
    out: Annotated[Path | None, "write OUT.json and OUT.md; rows that are there already stay"] = None
    note: Annotated[str, "a sentence on the conditions, for the page"] = ""


def measure_all(options: Options) -> int:
    """Measure, print and write.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    int
        Exit status: 1 where a line stayed high for too long.
    """
    figures = _begin(options.out, options.model)
    figures["note"] = options.note or figures["note"]
    for name in options.only:
        count = options.kills if name == next(iter(SCENARIOS)) else options.repeats
        row = measure(SCENARIOS[name], options.model, count)
        print(_line(name, row), flush=True)
        rows = figures["rows"] | {name: row}
        figures["rows"] = {known: rows[known] for known in SCENARIOS if known in rows}
        if options.out is not None:  # after each: a bench that is cut short keeps what it has
            write(figures, page(figures), options.out)
    print(
        json.dumps({name: {k: row[k] for k in ("n", "p50", "max")} for name, row in figures["rows"].items()})
    )
    return 0 if all(_holds(name, row) for name, row in figures["rows"].items()) else 1


def _begin(out: Path | None, model: str) -> dict[str, Any]:
    """The figures so far, with this machine."""
    file = None if out is None else out.with_name(out.name + ".json")
    known = json.loads(file.read_text(encoding="utf-8")) if file is not None and file.is_file() else {}
    return {
        "machine": machine(),
        "versions": versions(),
        "model": read_package(model).sha256,
        "note": known.get("note", ""),
        "rows": known.get("rows", {}),
    }


def _figures(outcomes: list[SafetyOutcome]) -> dict[str, Any]:
    times = [o.ms for o in outcomes if o.ms is not None]
    return {
        "p50": float(np.median(times)) if times else None,
        "max": max(times, default=None),
        "ms": times,
        "stayed": sum(o.ms is None and not o.early for o in outcomes),
        "early": sum(o.early for o in outcomes),
    }


def _holds(name: str, row: dict[str, Any]) -> bool:
    if row.get("untold"):
        return False
    if not SCENARIOS[name].drops:
        return row["stayed"] == row["n"]
    return row["stayed"] == 0 and (row["bound_ms"] is None or row["max"] <= row["bound_ms"])


def _line(name: str, row: dict[str, Any]) -> str:
    if row["p50"] is None:
        return f"{name:36} n {row['n']:3}  {row['stayed']} stay high, {row['early']} fell before"
    bound = f"  (at most {row['bound_ms']:g})" if row["bound_ms"] else ""
    odd = f"  {row['stayed']} stay high, {row['early']} fell before" if row["stayed"] or row["early"] else ""
    return f"{name:36} n {row['n']:3}  P50 {row['p50']:7.1f} ms  max {row['max']:7.1f} ms{bound}{odd}"


if __name__ == "__main__":
    sys.exit(guarded(Options, measure_all))
