"""Imported by the server that forks the processes of runs; see `bench.warm_processes`."""

import gc
import importlib

import av  # noqa: F401
import cv2  # noqa: F401
from numba.core.registry import cpu_target

import rigs
import rt_pose.session.loop_process
import rt_pose.session.processor
import rt_pose.session.record
import rt_pose.session.safe_outputs  # noqa: F401

rigs.register()
importlib.import_module("openvino")  # after rt_pose, which keeps it from reporting that
# What numba does before the first compiled function of a process is called.
cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()
gc.collect()
gc.freeze()
