"""`rt-pose demo`: the whole program on a simulated animal, from labels to a report."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import zmq

from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.config.build import load
from rt_pose.config.check import check_run
from rt_pose.config.schema import PublishConfig, RunConfig
from rt_pose.config.shipped import FOLDER
from rt_pose.console import progress
from rt_pose.errors import ExitCode, UserError
from rt_pose.files import check_folder
from rt_pose.loop.ports import reserve_addresses
from rt_pose.reports.session_report import make_report
from rt_pose.reports.summary import format_summary
from rt_pose.session.console import RunConsole
from rt_pose.session.run import run_session
from rt_pose.viewer import screen_problem

MARKER = ".rt-pose-demo"
"""File in a folder that the demo made; the demo replaces only such a folder."""
LEAST_MIB = 300
"""Free space on the disk for data, training and session, and as much as a run asks for."""
FRAMES = 240
VIEW_FRAMES = 480
"""With several cameras around the animal, which look at it from all sides."""
DATA_SEED = 100
"""Seed of the animals trained on; the animal of the run has another."""


def run_demo(out: Path, seconds: float, animals: int = 1, views: int = 0) -> ExitCode:
    """Train on simulated frames, run the loop, and write the report.

    A port that is in use is replaced by a free one.

    Parameters
    ----------
    out
        Folder of the demo; replaced where an earlier demo made it.
    seconds
        Length of the closed-loop run, s.
    animals
        How many there are, 1 to 4.
    views
        Cameras in space around one animal, 2 to 4; 0: one that looks straight down on a flat arena.

    Returns
    -------
    ExitCode
        How the run ended.

    Raises
    ------
    UserError
        Before any training, where `out` holds anything else or cannot be written, or where `animals` or
        `views` is out of range.
    """
    clock = HostClock()
    started_ns = clock.now_ns()
    config = _configure(seconds, animals, views)
    _check_room(out)
    no_window = screen_problem()
    if no_window:
        print(f"the live window stays closed: {no_window}\n")
    with reserve_addresses(config.publish, or_free=True) as ports:
        config.publish = _published(config.publish, ports)
        _make_room(out)
        config.model = str(_train(out, animals, views))
    eyes = f"{views} simulated cameras" if views else "the simulated camera"
    print(f"\n3/4  closed loop on {eyes}, {seconds:g} s at real-time pace")
    counter = PoseCounter(config.publish.address)
    with RunConsole() as console, counter.counting(), _viewer(config.publish.address, not no_window):
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
    if result.problem:
        print(f"rt-pose: {result.problem}", file=sys.stderr)
    return result.exit_code


@dataclass
class PoseCounter:
    """Counts the poses that reach a subscriber."""

    address: str
    poses: int = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Subscribe, in a thread, while the block runs."""
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


def _published(wanted: PublishConfig, ports: dict[str, str]) -> PublishConfig:
    """The sockets at the addresses that could be had, and a line where those are others."""
    address, control = ports["publish.address"], ports["publish.control"]
    if (address, control) != (wanted.address, wanted.control):
        print(f"the usual ports are in use: poses go out over {address}, orders come in at {control}\n")
    return replace(wanted, address=address, control=control)


def _check_room(out: Path) -> None:
    """UserError where the demo cannot or must not write into `out`."""
    if out.exists() and not out.is_dir():
        raise UserError(f"demo: {out} is a file; give another --out")
    if out.exists() and any(out.iterdir()) and not (out / MARKER).exists():
        raise UserError(f"demo: {out} holds files that no demo made; give another --out")
    check_folder(out, LEAST_MIB, "demo:")


def _make_room(out: Path) -> None:
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARKER).touch()


def _configure(seconds: float, animals: int, views: int) -> RunConfig:
    """The run that the demo makes; UserError where there is none of so many animals or cameras."""
    if views and animals != 1:
        raise UserError("demo: --views trains for one animal in space; leave out --animals, or --views")
    if views:
        from rigs.simulated.views_run import views_run

        config = views_run(views, "demo --views")
    else:
        config = load(RunConfig, FOLDER / "demo.yaml")
        _let_in(config, animals)
    config.seconds = seconds
    check_run(config)
    return config


def _let_in(config: RunConfig, animals: int) -> None:
    """Let so many animals into the demo's arena; its rules look at each of several."""
    from rigs.simulated.options import SimulatedOptions

    SimulatedOptions(animals=animals).check("demo --animals")
    if animals == 1:
        return
    config.individuals = animals
    for camera in config.cameras.values():
        camera.options["animals"] = animals
    for rule in config.rules:
        rule.when = rule.when.replace("nose", "each.nose")


def _train(out: Path, animals: int, views: int) -> Path:
    from rigs.simulated.dataset import write_labeled_folder
    from rigs.simulated.options import SimulatedOptions
    from train.config import TrainConfig
    from train.fitting.fit import fit

    frames = VIEW_FRAMES if views else FRAMES
    print(f"1/4  {frames} labeled frames of simulated animals")
    with progress("frames", frames) as advance:
        options = SimulatedOptions(animals=animals)
        write_labeled_folder(
            out / "data",
            frames,
            DATA_SEED,
            options,
            lambda done, total: advance(done),  # noqa: ARG005
            views,
        )
    print("\n2/4  training a small network on them")
    config = load(TrainConfig, FOLDER / "train" / "demo.yaml")
    return fit(config, out / "data", out / "training")


@contextmanager
def _viewer(address: str, screen: bool) -> Iterator[None]:
    """The window, in a process of its own, where there is a screen."""
    if not screen:
        yield
        return
    window = subprocess.Popen([sys.executable, "-P", "-m", "rt_pose.cli", "view", "--connect", address])
    try:
        yield
    finally:
        window.terminate()
        window.wait()
