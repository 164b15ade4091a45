"""The TTL box without hardware: its own code, compiled for this machine, on a pseudo-terminal.

`python -m rigs.firmware.simulate` prints the port to give to a configuration, then every change of a line;
type `interlock open`, `input 0 1 0`, `pull` and so on to see what a run makes of it (simulator.cpp lists
them).
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rt_pose.errors import UserError

HERE = Path(__file__).parent
SOURCES = ("simulator.cpp", "ttl_box.cpp")
FLAGS = ("-std=c++11", "-O2", "-Wall", "-Wextra", "-Werror")


@dataclass(frozen=True, slots=True)
class Edge:
    """A change of a line."""

    t_ns: int
    """Monotonic host clock."""
    line: int
    level: int
    """0 low to 65535 high."""


def build(folder: Path | None = None, source: Path = HERE) -> Path:
    """Compile the simulator, unless that has been done before.

    Parameters
    ----------
    folder
        Folder of the program; None: the folder for temporary files.
    source
        Folder of the C++ files.

    Returns
    -------
    Path
        The program. Its name holds a hash of its source.

    Raises
    ------
    UserError
        Where there is no C++ compiler.
    """
    text = b"".join((source / name).read_bytes() for name in (*SOURCES, "ttl_box.h", "protocol.h"))
    name = f"rt-pose-ttl-box-{hashlib.sha256(text).hexdigest()[:16]}"
    program = (folder or Path(tempfile.gettempdir())) / name
    if program.is_file():
        return program
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise UserError("simulated TTL box: no C++ compiler; `apt install g++`")
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / name
        command = [compiler, *FLAGS, "-o", str(made), *(str(source / file) for file in SOURCES)]
        subprocess.run(command, check=True)
        # Moved at the end: another process must never start half a program.
        part = program.with_suffix(f".{made.stat().st_ino}")
        shutil.move(made, part)
        part.replace(program)
    return program


class SimulatedBox:
    """A running simulator; use it in a `with`. Like a real box it outlives the programs that use its port."""

    def __init__(
        self,
        lines: int = 4,
        on_edge: Callable[[Edge], None] | None = None,
        inputs: int = 2,
        source: Path = HERE,
    ) -> None:
        self.edges: list[Edge] = []
        """All changes of its lines so far, in order."""
        self.input_edges: list[Edge] = []
        """All changes of its input lines that were ordered, in order; levels are 0 and 1."""
        self._on_edge = on_edge
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            [str(build(source=source)), str(lines), str(inputs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        word, self.port = self._process.stdout.readline().split()
        assert word == "port"
        self._thread = threading.Thread(target=self._read, name="rt-pose-simulated-box", daemon=True)
        self._thread.start()

    def order(self, text: str) -> None:
        """Give the simulator a command.

        Parameters
        ----------
        text
            One of those that simulator.cpp lists: `silent`, `garbage`, `late 30`, `interlock open`, `pull`,
            `well` ...
        """
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def level(self, line: int) -> int:
        """Return the present level of a line.

        Parameters
        ----------
        line
            Number of the line, from 0.

        Returns
        -------
        int
            0 (low) to 65535 (high).
        """
        with self._changed:
            return next((e.level for e in reversed(self.edges) if e.line == line), 0)

    def wait_for(self, line: int, high: bool, after_ns: int = 0, timeout_s: float = 30.0) -> Edge | None:
        """Wait for the first change of a line to high or to low.

        Parameters
        ----------
        line
            Number of the line, from 0.
        high
            Whether the level after the change is above 0.
        after_ns
            Only changes later than this count (monotonic host clock, ns).
        timeout_s
            Longest wait, s.

        Returns
        -------
        Edge or None
            The change; None where it does not come in time.
        """

        def found() -> Edge | None:
            same = (e for e in self.edges if e.line == line and (e.level > 0) == high and e.t_ns > after_ns)
            return next(same, None)

        with self._changed:
            return self._changed.wait_for(found, timeout_s)

    def wait_for_inputs(self, count: int, timeout_s: float = 30.0) -> list[Edge]:
        """Wait until so many changes of input lines have been made.

        Parameters
        ----------
        count
            How many.
        timeout_s
            Longest wait, s.

        Returns
        -------
        list of Edge
            All of them, in order; fewer than `count` where they do not come in time.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self.input_edges) >= count, timeout_s)
            return list(self.input_edges)

    def close(self) -> None:
        """Power off."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __enter__(self) -> SimulatedBox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            kind, t_ns, line, level = text.split()
            edge = Edge(int(t_ns), int(line), int(level))
            with self._changed:
                (self.edges if kind == "edge" else self.input_edges).append(edge)
                self._changed.notify_all()
            if self._on_edge is not None and kind == "edge":
                self._on_edge(edge)


def main() -> int:
    """Simulate a box until end of input."""
    with SimulatedBox(on_edge=lambda edge: _say(f"line {edge.line}: {edge.level}")) as box:
        _say(f"port: {box.port}")
        for order in sys.stdin:
            box.order(order.strip())
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
