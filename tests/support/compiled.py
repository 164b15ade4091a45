"""Everything that numba compiles, called once: what is not in its cache yet is compiled there and then.

A process calls it for all that are forked from it. In a fresh clone it is called beside the type checker, so
that no test waits for the compiler.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from rt_pose.inference.estimator import CpuEstimator
from rt_pose.offline.smooth_views import smooth_views
from rt_pose.offline.view_sequence import ViewSequence
from rt_pose.package import DecodeSpec, DriftSpec, InputSpec, TrackingSpec
from rt_pose.tracking import causal_filter, drift, individuals
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.drift import DriftMonitor
from rt_pose.tracking.individuals import IndividualTracker
from rt_pose.types import FrameStamps, Pose
from rt_pose.views import individual_group
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.filter3d import CausalFilter3D, TrackingSpec3D
from rt_pose.views.individual_group import IndividualViewGroup

K, SIDE, STRIDE = 3, 32, 4
FRAME = (2 * SIDE, 2 * SIDE)
TRACKING = TrackingSpec([1e6] * K, [0.1] * K, [1.0] * K, [1.0] * K)
STAMPS = FrameStamps(0, None, 0, 0)


def call_what_is_compiled() -> None:
    """Take blank frames and places that do not move through all of it."""
    see_one_animal()
    see_several_animals()
    follow_in_space()


def estimator_of(decode: DecodeSpec, detections: int = 1) -> CpuEstimator:
    """The chain without a network."""
    engine: Any = SimpleNamespace(spec=InputSpec(SIDE, SIDE, 1, [0.0], [1.0]))
    return CpuEstimator(engine, decode, "compiled", detections)


def see_one_animal() -> None:
    """Preprocessing, decoding, filter, drift."""
    estimator = estimator_of(DecodeSpec(stride=STRIDE))
    for channels in (1, 3):
        estimator.preprocess_all([np.zeros((*FRAME, channels), np.uint8)], [None])
    found = estimator.decode(np.zeros((1, K, SIDE // STRIDE, SIDE // STRIDE), np.float32), FRAME)
    tracker, pose = CausalFilter(TRACKING, 1, K), Pose("top", STAMPS, found.xy, found.cov, found.confidence)
    causal_filter.precompile(tracker, pose)
    drift.precompile(DriftMonitor(DriftSpec({}, 1.0, 1.0, 1.0)), tracker, pose)


def see_several_animals() -> None:
    """Peaks and their grouping, and who is who."""
    estimator = estimator_of(DecodeSpec(stride=STRIDE, decoder="centre_offsets"), detections=2)
    found = estimator.decode(np.zeros((1, 3 * K + 1, SIDE // STRIDE, SIDE // STRIDE), np.float32), FRAME)
    pose = Pose("top", STAMPS, found.xy[0], found.cov[0], found.confidence[0])
    individuals.precompile(IndividualTracker(TRACKING, 2, K, FRAME), pose)


def follow_in_space() -> None:
    """Two cameras side by side, and keypoints in the middle of both: filter, several animals, smoother."""
    matrix = np.array([[100.0, 0.0, 32.0], [0.0, 100.0, 32.0], [0.0, 0.0, 1.0]])
    cameras = [
        CalibratedCamera(name, FRAME, matrix, np.zeros(5), np.zeros(3), np.array([x, 0.0, 0.0]))
        for name, x in (("left", 1.0), ("right", -1.0))
    ]
    places = np.tile([0.0, 0.0, 10.0], (2, K, 1))  # in two frames
    xy = np.stack([camera.project(places) for camera in cameras])
    cov = np.tile(np.eye(2), (*xy.shape[:3], 1, 1))
    spec = TrackingSpec3D(np.ones(K), np.ones(K), np.ones(K))
    tracker = CausalFilter3D(cameras, spec)
    tracker.observe(0, 0, xy[0, 0], cov[0, 0])
    tracker.observe(1, 0, xy[1, 0], cov[1, 0])
    tracker.predict(1_000_000)
    individual_group.precompile(IndividualViewGroup("both", cameras, spec, late_ns=0, individuals=2))
    view, frame = np.tile([0, 1], 2), np.repeat([0, 1], 2)
    smooth_views(cameras, ViewSequence(view, frame, 1_000_000 * frame, xy, cov, 0), spec, places)
