"""A hundred thousand messages that nobody would send, at a run that decides: what do they cost its frames?

    python -m bench.torture.flood --model PACKAGE --video VIDEO.mp4 --work FOLDER [--messages 100000]

Runs over a repeated recording, in pairs: one is left in peace, the other is sent requests and subscriptions
of every kind, at an even pace from its first frame to shortly before its end. Every request must be answered.
What was measured is kept in FOLDER/flood.jsonl; the same command goes on where it stopped. Nothing else may
run on the machine. With the defaults it takes eleven minutes.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from bench.latency.measured_run import latency_config
from bench.output import conditions, machine_line, markdown_table, precision_words
from bench.program import Out, run, say
from bench.short_run import came_through, short_run
from bench.torture.control import Flood, FuzzMessage, make_messages
from rt_pose.config.schema import EngineConfig, Precision
from rt_pose.errors import UserError
from rt_pose.session.run import RunObserver

QUIET_SHARE = 0.1
"""Of a run's length, at its end, in which nothing is sent: the answers come in then."""
KINDS = ("quiet", "flooded")


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[str, "folder of the model package"]
    video: Annotated[Path, "the recording, repeated"]
    work: Annotated[Path, "folder of what was measured"]
    messages: Annotated[int, "of all flooded runs together"] = 100_000
    pairs: Annotated[int, "of a quiet and a flooded run, in turn"] = 2
    seconds: Annotated[float, "length of each run"] = 150.0
    rate: Annotated[float, "frames a second of the recording"] = 60.0
    precision: Precision = "auto"
    seed: Annotated[int, "of all messages"] = 0
    out: Out = None


class Sender(RunObserver):
    """Floods a run from the moment when it is ready."""

    def __init__(self, messages: list[FuzzMessage], seconds: float) -> None:
        """Make it.

        Parameters
        ----------
        messages
            What to send.
        seconds
            How long the sending takes, s.
        """
        self.flood: Flood | None = None
        self._messages, self._seconds = messages, seconds
        self._thread: threading.Thread | None = None

    def ready(self, description: dict[str, Any]) -> None:
        """See `RunObserver.ready`."""
        self.flood = Flood(description["addresses"])
        self._thread = threading.Thread(target=self._send, args=(self.flood,), name="rt-pose-bench-flood")
        self._thread.start()

    def _send(self, flood: Flood) -> None:
        with flood.opened():
            flood.send_all(self._messages, self._seconds)

    def finish(self) -> dict[str, int]:
        """Wait until all has been sent.

        Returns
        -------
        dict[str, int]
            What was sent, and what became of it.
        """
        assert self.flood is not None
        assert self._thread is not None
        self._thread.join()
        flood = self.flood
        return {
            "requests": flood.sent,
            "done": flood.done,
            "refused": flood.refused,
            "unanswered": flood.unanswered,
            "subscriptions": flood.subscriptions,
        }


def measure(options: Options) -> dict[str, Any]:
    """Run what has not been run.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        A row a run.

    Raises
    ------
    UserError
        Where a run did not end well.
    """
    options.work.mkdir(parents=True, exist_ok=True)
    kept = options.work / "flood.jsonl"
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.is_file() else []
    plain = plain_options(options)
    rows = [row for row in rows if row["options"] == plain]
    done = {(row["pair"], row["kind"]) for row in rows}
    for pair in range(options.pairs):
        for kind in KINDS if pair % 2 == 0 else KINDS[::-1]:
            if (pair, kind) in done:
                continue
            say(f"pair {pair + 1} of {options.pairs}, {kind}")
            row = {"pair": pair, "kind": kind, "options": plain, **_measure_one(options, pair, kind)}
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            rows.append(row)
    shown = [row for row in rows if row["pair"] < options.pairs]
    return {"bench": "flood", **conditions(), "options": plain, "pairs": options.pairs, "runs": shown}


def plain_options(options: Options) -> dict[str, str]:
    """Collect what runs have to share to be compared.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, str]
        By option.
    """
    left_out = ("out", "work")
    return {key: str(value) for key, value in asdict(options).items() if key not in left_out}


def _measure_one(options: Options, pair: int, kind: str) -> dict[str, Any]:
    share = options.messages // options.pairs if kind == "flooded" else 0
    sender = Sender(make_messages(share, options.seed + pair), options.seconds * (1.0 - QUIET_SHARE))
    config = latency_config(
        options.model,
        options.video,
        rate_hz=options.rate,
        seconds=options.seconds,
        budget_ms=50.0,
        engine=EngineConfig(precision=options.precision),
    )
    with short_run(config, notices=sender) as finished:
        counts = sender.finish()
        if finished.result.status != "complete":
            raise UserError(f"the run did not end well: {finished.result.status}")
        session = finished.session()
        found = came_through(finished.result, session)
    return {**found, "processed": len(session.observations), "messages": counts}


def format_table(figures: dict[str, Any]) -> str:
    """Format the figures for people.

    Parameters
    ----------
    figures
        What `measure` returned.

    Returns
    -------
    str
        Markdown.
    """
    rows = [
        [
            f"{row['pair'] + 1}, {row['kind']}",
            f"{row['captured']:,}",
            f"{row['processed']:,}",
            f"{row['superseded']:,}",
            *(f"{row['image_to_decision_ms'][key]:.2f}" for key in ("p50", "p99", "max")),
            *(f"{row['messages'][key]:,}" for key in ("requests", "refused", "unanswered", "subscriptions")),
        ]
        for row in figures["runs"]
    ]
    heads = ["pair, run", "captured", "decided on", "superseded", "P50, ms", "P99", "max"]
    heads += ["requests", "refused", "unanswered", "subscriptions"]
    options = figures["options"]
    title = (
        f"{options['seconds']} s a run at {options['rate']} frames/s; {machine_line(figures)}; "
        f"{precision_words(figures['runs'])}."
    )
    return "\n".join([title, "", markdown_table(heads, rows)])


if __name__ == "__main__":
    sys.exit(run(Options, measure, format_table))
