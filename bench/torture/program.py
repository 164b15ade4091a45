"""Bad inputs and faults by the thousand: what was tried, what held, what did not.

    python -m bench.torture --model PACKAGE --work FOLDER [--groups yaml log] [--cases 1000] [--minutes 20]

Each case is drawn from its number and --seed, runs in a process that may die, and holds where the program
gave one message and a stated exit status, lost nothing that it had acknowledged, and came back in time. What
was tried is kept in FOLDER/tried.jsonl; the same command goes on where it stopped. What messages cost a run,
beside one that is left in peace, is measured by a program of its own, `bench.torture.flood`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Annotated, Any

from bench.output import conditions, machine_line, markdown_table
from bench.program import Out, run, say
from bench.torture.cases import GROUPS, Group
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError
from rt_pose.session import processes
from rt_pose.session.locks import lock

SHOWN = 5
"""Failed cases that the table lists for each group."""
START_S = 60.0
"""For a process to begin."""
PREPARE_S = 120.0
"""For what the cases of a group start from to be made."""
POLL_S = 0.1


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[Path, "model package"]
    work: Annotated[Path, "folder of the cases and of what was tried"]
    groups: Annotated[list[str], "kinds of cases; all where none is given", tuple(GROUPS)] = field(
        default_factory=list
    )
    cases: Annotated[int | None, "of each group; the whole matrix where not given"] = None
    minutes: Annotated[float | None, "stop after so long"] = None
    jobs: Annotated[int, "cases that are tried at once; a run that is killed waits more than it works"] = 1
    seed: Annotated[int, "of all cases"] = 0
    out: Out = None


@dataclass
class Tried:
    """One case and what came of it."""

    group: str
    number: int
    seed: int
    why: str
    """What did not hold; empty where all did."""
    seconds: float


def main(argv: list[str] | None = None) -> int:
    """Try the cases that the command line asks for.

    Parameters
    ----------
    argv
        The command line; that of the process where none is given.

    Returns
    -------
    int
        Exit status.
    """
    return run(Options, measure, format_table, argv)


def measure(options: Options) -> dict[str, Any]:
    """Try all cases that have not been tried.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        Counts by group, and the first failed cases of each.

    Raises
    ------
    UserError
        Where there is no such package, or another program uses the folder.
    """
    if not options.model.is_dir():
        raise UserError(f"--model {options.model}: no such folder")
    if options.jobs < 1:
        raise UserError(f"--jobs: expected 1 or more, got {options.jobs}")
    options.work.mkdir(parents=True, exist_ok=True)
    descriptor = lock(options.work)
    if descriptor is None:
        raise UserError(f"--work {options.work}: another program tries its cases there; give another folder")
    try:
        return _try_all(options)
    finally:
        os.close(descriptor)


def _try_all(options: Options) -> dict[str, Any]:
    kept = options.work / "tried.jsonl"
    tried = _read(kept)
    done = {(one.group, one.number, one.seed) for one in tried}
    clock = HostClock()
    end_ns = None if options.minutes is None else clock.now_ns() + round(60.0 * options.minutes * NS_PER_S)
    groups = options.groups or list(GROUPS)
    with kept.open("a", encoding="utf-8") as file, _begun(options.jobs) as workers:
        for name in groups:
            count = GROUPS[name].cases if options.cases is None else options.cases
            wanted = [n for n in range(count) if (name, n, options.seed) not in done]
            for one in _try(name, wanted, options, workers, end_ns):
                tried.append(one)
                file.write(json.dumps(dataclasses.asdict(one)) + "\n")
                file.flush()
    return summarise([one for one in tried if one.seed == options.seed and one.group in groups])


def summarise(tried: list[Tried]) -> dict[str, Any]:
    """Count what held.

    Parameters
    ----------
    tried
        The cases.

    Returns
    -------
    dict[str, Any]
        By group: tried, held, failed, the longest case and all together (s) and the first failures.
    """
    groups = {}
    for group in dict.fromkeys(one.group for one in tried):
        mine = [one for one in tried if one.group == group]
        failed = [one for one in mine if one.why]
        groups[group] = {
            "tried": len(mine),
            "held": len(mine) - len(failed),
            "failed": len(failed),
            "longest_s": round(max(one.seconds for one in mine), 3),
            "total_s": round(sum(one.seconds for one in mine), 1),
            "failures": [{"case": one.number, "why": one.why} for one in failed[:SHOWN]],
            "kinds": dict(Counter(one.why.splitlines()[-1][:160] for one in failed).most_common(SHOWN)),
        }
    return {"bench": "torture", **conditions(), "groups": groups}


def format_table(figures: dict[str, Any]) -> str:
    """Format the result for people.

    Parameters
    ----------
    figures
        What `summarise` returned.

    Returns
    -------
    str
        Markdown.
    """
    rows = [
        [
            name,
            *(f"{found[key]:,}" for key in ("tried", "held", "failed")),
            f"{found['longest_s']:.1f}",
            f"{found['total_s'] / 60.0:.1f}",
        ]
        for name, found in figures["groups"].items()
    ]
    table = markdown_table(["cases", "tried", "held", "failed", "longest, s", "all, min"], rows)
    failures = [
        f"- {name}, {count} times: {why}"
        for name, found in figures["groups"].items()
        for why, count in found["kinds"].items()
    ]
    return "\n".join([f"{machine_line(figures)}.", "", table, *(["", *failures] if failures else [])])


def _try(
    name: str, numbers: list[int], options: Options, workers: list[Worker], end_ns: int | None
) -> Iterator[Tried]:
    """The cases of a group, several at once."""
    group, folder = GROUPS[name], options.work / name
    folder.mkdir(exist_ok=True)
    if not numbers:
        return
    if problem := workers[0].prepare(group, folder, options.model):
        raise UserError(f"{name}: what the cases start from could not be made: {problem}")
    clock, waiting, trying = HostClock(), deque(numbers), dict[Worker, int]()
    while waiting or trying:
        if end_ns is not None and clock.now_ns() > end_ns:
            waiting.clear()
        for worker in workers:
            if waiting and worker not in trying:
                trying[worker] = waiting.popleft()
                worker.begin_case(group, folder, trying[worker], options.seed)
        wait([worker.link for worker in trying], POLL_S)
        for worker in [worker for worker in trying if worker.has_ended]:
            number, begun_ns = trying.pop(worker), worker.begun_ns
            why = worker.result()
            yield Tried(name, number, options.seed, why, (clock.now_ns() - begun_ns) / NS_PER_S)
            if number % 100 == 99:
                say(f"{name}: {number + 1} of {numbers[-1] + 1}")


@contextmanager
def _begun(jobs: int) -> Iterator[list[Worker]]:
    workers = [Worker() for _ in range(jobs)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.end()


class Worker:
    """A process that tries cases one after another, begun again where one ends it or hangs."""

    def __init__(self) -> None:
        """Begin the process."""
        self.begun_ns = 0
        """When its last case began, host time, ns."""
        self._limit_s = 0.0
        self._begin()

    @property
    def link(self) -> Connection:
        """Becomes readable when the case has ended."""
        return self._link

    @property
    def has_ended(self) -> bool:
        """Whether the case has ended, or has taken too long."""
        return self._link.poll() or HostClock().now_ns() > self.begun_ns + round(self._limit_s * NS_PER_S)

    def prepare(self, group: Group, folder: Path, model: Path) -> str:
        """Make what the cases of a group start from.

        Parameters
        ----------
        group
            The group.
        folder
            Its folder.
        model
            Model package.

        Returns
        -------
        str
            Why that is not possible; empty where it is done.
        """
        self._order(group.prepare, (folder, model), PREPARE_S)
        self._link.poll(PREPARE_S)
        return self.result()

    def begin_case(self, group: Group, folder: Path, number: int, seed: int) -> None:
        """Begin a case, whose end `has_ended` tells.

        Parameters
        ----------
        group
            Its group.
        folder
            Folder of the group.
        number
            Its number.
        seed
            Of all cases.
        """
        self._order(_try_case, (group.case, folder, number, seed), group.limit_s)

    def result(self) -> str:
        """Get what came of a case that has ended; one that takes too long is ended with its process.

        Returns
        -------
        str
            What did not hold; empty where all did.
        """
        try:
            if self._link.poll():
                return str(self._link.recv())
            why = f"no answer within {self._limit_s:g} s"
            self._process.kill()
        except EOFError:
            self._process.join()
            why = f"the process ended with {self._process.exitcode}"
        self.end()
        self._begin()
        return why

    def end(self) -> None:
        """End the process."""
        self._link.close()
        self._process.join(2.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _order(self, work: Callable[..., Any], args: tuple[Any, ...], limit_s: float) -> None:
        self.begun_ns, self._limit_s = HostClock().now_ns(), limit_s
        self._link.send((work, args))

    def _begin(self) -> None:
        self._link, theirs = processes.context.Pipe()
        self._process = processes.context.Process(target=_work, args=(theirs,), name="rt-pose-torture")
        self._process.start()
        theirs.close()
        if not self._link.poll(START_S):
            raise UserError(f"the process of the cases did not begin within {START_S:g} s")
        self._link.recv()


def _work(link: Connection) -> None:
    """Do what comes over the link until it closes, and answer what did not hold."""
    link.send("ready")
    while True:
        try:
            work, args = link.recv()
        except EOFError:
            return
        try:
            why = work(*args) or ""
        except BaseException:  # noqa: BLE001 - whatever gets out is what is looked for
            why = traceback.format_exc(limit=-3)
        link.send(why)


def _try_case(case: Callable[[Path, int], str], folder: Path, number: int, seed: int) -> str:
    """Try a case in a folder of its own, which stays where the case did not hold."""
    place = folder / f"case{number}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    why = case(place, seed * 1_000_003 + number)
    if not why:
        shutil.rmtree(place, ignore_errors=True)
    return why


def _read(kept: Path) -> list[Tried]:
    if not kept.is_file():
        return []
    return [Tried(**json.loads(line)) for line in kept.read_text(encoding="utf-8").splitlines()]
