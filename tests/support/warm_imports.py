"""Imported by the process that those of a run are forked from; see `warm_processes`."""

import gc
import importlib
from types import SimpleNamespace
from typing import Any

import av  # noqa: F401
import cv2  # noqa: F401
import numpy as np
import support.warm_processes  # noqa: F401
from numba.core.registry import cpu_target
from support.one_thread import one_thread

import rigs
import rt_pose.inference.choose_engine
import rt_pose.session.loop_process
import rt_pose.session.processor
import rt_pose.session.record
import rt_pose.session.safe_outputs  # noqa: F401
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


rigs.register()
importlib.import_module("openvino")  # after rt_pose, which keeps it from reporting that
# What numba does before the first compiled function of a process is called.
cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()
call_what_is_compiled()
one_thread(setattr)
gc.collect()
gc.freeze()
