"""Imported by the process that those of a run are forked from; see `bench.warm_processes`."""

import gc
from types import SimpleNamespace
from typing import Any

import numpy as np
import support.warm_processes  # noqa: F401
from support.one_thread import one_thread

import bench.torture.warm_imports  # noqa: F401
import rt_pose.inference.choose_engine  # noqa: F401
from rt_pose.inference.estimator import CpuEstimator
from rt_pose.package import DecodeSpec, InputSpec, TrackingSpec
from rt_pose.tracking.causal_filter import CausalFilter, precompile
from rt_pose.types import FrameStamps, Pose

K, SIDE, STRIDE = 3, 32, 4


def call_what_is_compiled() -> None:
    """Take a blank frame through the chain, so that numba fetches from its cache what it compiled."""
    engine: Any = SimpleNamespace(spec=InputSpec(SIDE, SIDE, 1, [0.0], [1.0]))
    estimator = CpuEstimator(engine, DecodeSpec(stride=STRIDE), "compiled")
    for channels in (1, 3):
        estimator.preprocess_all([np.zeros((2 * SIDE, 2 * SIDE, channels), np.uint8)], [None])
    maps = np.zeros((1, K, SIDE // STRIDE, SIDE // STRIDE), np.float32)
    found = estimator.decode(maps, (2 * SIDE, 2 * SIDE))
    tracking = TrackingSpec([1e6] * K, [0.1] * K, [1.0] * K, [1.0] * K)
    stamps = FrameStamps(0, None, 0, 0)
    precompile(CausalFilter(tracking, 1, K), Pose("top", stamps, found.xy, found.cov, found.confidence))


call_what_is_compiled()
one_thread(setattr)
gc.collect()
gc.freeze()
