"""Bad inputs and faults by the thousand: what was tried, what held, what did not.

    python -m bench.torture --model PACKAGE --work FOLDER [--groups yaml log] [--cases 1000] [--minutes 20]

Each case is drawn from its number and --seed, runs in a process that may die, and holds where the program
gave one message and a stated exit status, lost nothing that it had acknowledged, and came back in time. What
was tried is kept in FOLDER/tried.jsonl; the same command goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

from bench.output import conditions, machine_line, markdown_table
from bench.program import Out, run, say
from bench.torture.cases import GROUPS, Group
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError

SHOWN = 5
"""Failed cases that the table lists for each group."""
START_S = 60.0
"""For a process to begin."""


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[Path, "model package"]
    work: Annotated[Path, "folder of the cases and of what was tried"]
    groups: Annotated[list[str], "kinds of cases; all where none is given", tuple(GROUPS)] = field(
        default_factory=list
    )
    cases: Annotated[int, "of each group"] = 1000
    minutes: Annotated[float | None, "stop after so long"] = None
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
        Where there is no such package.
    """
    if not options.model.is_dir():
        raise UserError(f"--model {options.model}: no such folder")
    options.work.mkdir(parents=True, exist_ok=True)
    kept = options.work / "tried.jsonl"
    tried = _read(kept)
    done = {(one.group, one.number, one.seed) for one in tried}
    clock = HostClock()
    end_ns = None if options.minutes is None else clock.now_ns() + round(60.0 * options.minutes * NS_PER_S)
    groups = options.groups or list(GROUPS)
    with kept.open("a", encoding="utf-8") as file:
        for group in groups:
            GROUPS[group].prepare(_folder(options.work, group), options.model)
            wanted = [n for n in range(options.cases) if (group, n, options.seed) not in done]
            for one in _try(group, wanted, options, end_ns):
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
        By group: tried, held, failed, the longest case (s) and the first failures.
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
        [name, *(str(found[key]) for key in ("tried", "held", "failed")), f"{found['longest_s']:.1f}"]
        for name, found in figures["groups"].items()
    ]
    table = markdown_table(["cases", "tried", "held", "failed", "longest, s"], rows)
    failures = [
        f"- {name}, {count} times: {why}"
        for name, found in figures["groups"].items()
        for why, count in found["kinds"].items()
    ]
    return "\n".join([f"{machine_line(figures)}.", "", table, *(["", *failures] if failures else [])])


def _try(group: str, numbers: list[int], options: Options, end_ns: int | None) -> Iterator[Tried]:
    """The cases of a group, in a process that is begun again where a case ended it or hung."""
    clock, worker = HostClock(), Worker(GROUPS[group], _folder(options.work, group), options.seed)
    try:
        for at, number in enumerate(numbers):
            if end_ns is not None and clock.now_ns() > end_ns:
                return
            begun_ns = clock.now_ns()
            why = worker.attempt(number)
            yield Tried(group, number, options.seed, why, (clock.now_ns() - begun_ns) / NS_PER_S)
            if at % 100 == 99:
                say(f"{group}: {at + 1} of {len(numbers)}")
    finally:
        worker.end()


class Worker:
    """A process that tries cases one after another, begun again where one ends it or hangs."""

    def __init__(self, group: Group, folder: Path, seed: int) -> None:
        """Begin the process.

        Parameters
        ----------
        group
            Its cases.
        folder
            Folder of the group.
        seed
            Of all cases.
        """
        self._group, self._folder, self._seed = group, folder, seed
        self._begin()

    def attempt(self, number: int) -> str:
        """Try one case.

        Parameters
        ----------
        number
            Its number.

        Returns
        -------
        str
            What did not hold; empty where all did.
        """
        self._link.send(number)
        limit_s = self._group.limit_s
        try:
            if self._link.poll(limit_s):
                return str(self._link.recv())
            why = f"no answer within {limit_s:g} s"
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

    def _begin(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._link, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_work, args=(theirs, self._group.case, self._folder, self._seed))
        self._process.start()
        theirs.close()
        if not self._link.poll(START_S):
            raise UserError(f"the process of the cases did not begin within {START_S:g} s")
        self._link.recv()


def _work(link: Connection, case: Callable[[Path, int], str], folder: Path, seed: int) -> None:
    """Try the cases that come over the link until it closes."""
    link.send("ready")
    while True:
        try:
            number = link.recv()
        except EOFError:
            return
        place = folder / f"case{number}"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        try:
            why = case(place, seed * 1_000_003 + number)
        except BaseException:  # noqa: BLE001 - whatever gets out is what is looked for
            why = traceback.format_exc(limit=-3)
        if not why:
            shutil.rmtree(place, ignore_errors=True)
        link.send(why)


def _folder(work: Path, group: str) -> Path:
    folder = work / group
    folder.mkdir(exist_ok=True)
    return folder


def _read(kept: Path) -> list[Tried]:
    if not kept.is_file():
        return []
    return [Tried(**json.loads(line)) for line in kept.read_text(encoding="utf-8").splitlines()]
