"""`rt-pose demo`: the whole of the program on a simulated animal, from labels to a report."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import zmq

from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.config.build import load
from rt_pose.config.check import check_numbers
from rt_pose.config.schema import RunConfig
from rt_pose.console import progress
from rt_pose.errors import UserError
from rt_pose.loop.publish import bind
from rt_pose.reports.session_report import make_report
from rt_pose.reports.summary import format_summary
from rt_pose.session.console import RunConsole
from rt_pose.session.run import run_session
from rt_pose.viewer import screen_problem

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
MARKER = ".rt-pose-demo"
"""Lies in a folder that the demo made: only such a folder does it replace."""
FRAMES = 240
DATA_SEED = 100
"""Of the animals trained on; the animal of the run has another."""


def run_demo(out: Path, seconds: float) -> bool:
    """Train on simulated frames, run the loop, write the report; whether the run ended well.

    `out` is replaced where an earlier demo made it. UserError where it holds anything else.
    """
    clock = HostClock()
    started_ns = clock.now_ns()
    config = load(RunConfig, CONFIGS / "demo.yaml")
    config.seconds = seconds
    check_numbers(config)
    _check_ports(config)
    _make_room(out)
    config.model = str(_train(out))
    print(f"\n3/4  closed loop on the simulated camera, {seconds:g} s at real-time pace")
    counter = PoseCounter(config.publish.address)
    with RunConsole() as console, counter.counting(), _viewer(config.publish.address):
        import rigs

        result = run_session(config, out / "session", rigs.register, clock, console)
    print(f"     {counter.poses} poses came over {config.publish.address} to a subscriber of this program")
    print("\n4/4  report")
    figures = make_report(out / "session")
    print(format_summary(figures))
    print(f"\nreport: {out / 'session' / 'report.html'}")
    print(f"figures: {out / 'session' / 'report.json'}")
    print(f"again, decision by decision: rt-pose replay {out / 'session'}")
    print(f"the whole demo took {(clock.now_ns() - started_ns) / NS_PER_S:.0f} s")
    return result.ok


@dataclass
class PoseCounter:
    """A subscriber like any other: counts the poses that reach it."""

    address: str
    poses: int = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Subscribe in a thread while the block runs."""
        stop = threading.Event()
        thread = threading.Thread(target=self._count, args=(stop,), name="rt-pose-demo-subscriber")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _count(self, stop: threading.Event) -> None:
        socket: zmq.Socket[bytes]
        with zmq.Context.instance().socket(zmq.SUB) as socket:
            socket.setsockopt(zmq.SUBSCRIBE, b"pose/")
            socket.connect(self.address)
            while not stop.is_set():
                if socket.poll(100):
                    socket.recv_multipart()
                    self.poses += 1


def _check_ports(config: RunConfig) -> None:
    """Say now, not after the training, that a port is taken."""
    for key, address in (
        ("publish.address", config.publish.address),
        ("publish.control", config.publish.control),
    ):
        socket: zmq.Socket[bytes]
        with zmq.Context.instance().socket(zmq.PUB) as socket:
            bind(socket, address, key)


def _make_room(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"demo: {out} is a file; give another --out")
    if out.exists():
        if any(out.iterdir()) and not (out / MARKER).exists():
            raise UserError(f"demo: {out} holds files that no demo made; give another --out")
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARKER).touch()


def _train(out: Path) -> Path:
    from rigs.simulated.dataset import write_labeled_folder
    from train.config import TrainConfig
    from train.fitting.fit import fit

    print(f"1/4  {FRAMES} labeled frames of simulated animals")
    with progress("frames", FRAMES) as advance:
        write_labeled_folder(out / "data", FRAMES, DATA_SEED, progress=lambda done, total: advance(done))  # noqa: ARG005
    print("\n2/4  training a small network on them")
    config = load(TrainConfig, CONFIGS / "train" / "demo.yaml")
    return fit(config, out / "data", out / "training")


@contextmanager
def _viewer(address: str) -> Iterator[None]:
    """The window, in a process of its own, where there is a screen."""
    problem = screen_problem()
    if problem:
        print(f"     (the live window stays closed: {problem})")
        yield
        return
    window = subprocess.Popen([sys.executable, "-m", "rt_pose.cli", "view", "--connect", address])
    try:
        yield
    finally:
        window.terminate()
        window.wait()
