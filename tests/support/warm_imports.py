"""Imported by the process that those of a run are forked from; see `bench.warm_processes`."""

import gc

import support.warm_processes  # noqa: F401
from support.compiled import call_what_is_compiled
from support.one_thread import one_thread

import bench.torture.warm_imports  # noqa: F401
import rt_pose.inference.choose_engine  # noqa: F401

call_what_is_compiled()  # fetched from numba's cache once, for all that are forked
one_thread(setattr)
gc.collect()
gc.freeze()
