"""Our chain for two flies, from the frame to identities, as the loop has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.headtohead.fly_data import ANIMALS, FlyTruth
from bench.headtohead.tracks import Tracks
from rt_pose.clock import NS_PER_MS, NS_PER_S, HostClock
from rt_pose.config.build import build
from rt_pose.config.schema import EngineConfig
from rt_pose.inference.choose_engine import EngineChoice, choose_engine
from rt_pose.package import Package, read_package
from rt_pose.tracking.individuals import SPARE_DETECTIONS, IndividualTracker, make_tracker
from rt_pose.types import FrameStamps, Pose


@dataclass
class OurChain:
    """A package with its engine, as the loop has it."""

    package: Package
    choice: EngineChoice
    rate_hz: float
    """Frames a second of the recording."""

    def tracker(self, frame_px: tuple[int, int]) -> IndividualTracker:
        """Make a tracker that has seen nothing.

        Parameters
        ----------
        frame_px
            Width and height of the frames, px.

        Returns
        -------
        IndividualTracker
            For `ANIMALS`.
        """
        manifest = self.package.manifest
        made = make_tracker(manifest.tracking, ANIMALS, len(manifest.keypoints), frame_px)
        assert isinstance(made, IndividualTracker)  # there are several
        return made


def our_chain(folder: Path, rate_hz: float, threads: int, precision: str = "float32") -> OurChain:
    """Open what was trained.

    Parameters
    ----------
    folder
        Folder of the package.
    rate_hz
        Frames a second of the recording.
    threads
        Of the engine.
    precision
        Of the engine.

    Returns
    -------
    OurChain
        Package and engine.
    """
    package = read_package(folder)
    config = build(EngineConfig, {"precision": precision, "threads": threads}, "head to head")
    return OurChain(package, choose_engine(package, config, ANIMALS + SPARE_DETECTIONS), rate_hz)


def step_ours(chain: OurChain, tracker: IndividualTracker, image: NDArray[np.uint8], number: int) -> Any:
    """Find the animals of a frame, with their identities.

    Parameters
    ----------
    chain
        Network and decoder.
    tracker
        The tracker.
    image
        (H, W, 1) uint8.
    number
        Number of the frame.

    Returns
    -------
    tuple[Keypoints, Individuals]
        Detections (D, K), and which are whose.
    """
    found = chain.choice.estimator.estimate(image)
    t_ns = round(number * NS_PER_S / chain.rate_hz)
    stamps = FrameStamps(number, t_ns, t_ns, t_ns)
    track = tracker.step(Pose("top", stamps, found.xy[0], found.cov[0], found.confidence[0]))
    return found, track.individuals


def track_ours(chain: OurChain, truth: FlyTruth) -> Tracks:
    """Track the flies through all frames.

    Parameters
    ----------
    chain
        Network and decoder.
    truth
        Holds the frames.

    Returns
    -------
    Tracks
        Of each frame all detections, with the identities that the tracker gave.
    """
    height, width = truth.images[0].shape[:2]
    tracker = chain.tracker((width, height))
    tracks = Tracks.empty(len(truth.images), ANIMALS + SPARE_DETECTIONS, len(truth.keypoints))
    births, alive = np.zeros(ANIMALS, dtype=np.int64), np.zeros(ANIMALS, dtype=bool)
    for i, image in enumerate(truth.images):
        found, who = step_ours(chain, tracker, image, i)
        births += who.alive & ~alive
        alive = who.alive
        tracks.xy[i], tracks.confidence[i] = found.xy[0], found.confidence[0]
        slots = np.flatnonzero(who.detection >= 0)
        tracks.identity[i, who.detection[slots]] = slots + ANIMALS * (births[slots] - 1)
    return tracks


def time_ours(
    chain: OurChain, tracker: IndividualTracker, truth: FlyTruth, clock: HostClock, places: range
) -> list[float]:
    """Time network and tracker on frames.

    Parameters
    ----------
    chain, tracker
        Of the program.
    truth
        Holds the frames.
    clock
        The clock.
    places
        Which frames, counted round and round.

    Returns
    -------
    list[float]
        ms of each.
    """
    elapsed = []
    for place in places:
        image = truth.images[place % len(truth.images)]
        start = clock.now_ns()
        step_ours(chain, tracker, image, place)
        elapsed.append((clock.now_ns() - start) / NS_PER_MS)
    return elapsed
