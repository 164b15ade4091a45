"""Imported by the process that programs are forked from; see `programs`."""

import gc
import importlib
import os
import threading

from support.one_thread import one_thread

for module in (
    *("support.warm_imports", "support.programs", "rt_pose.cli.main", "torch._dynamo", "torch._export"),
    *("torch.export", "torch.onnx", "torch.utils.tensorboard", "train.fitting.ensemble"),
    *("train.fitting.parallel_jobs", "train.distillation.distill", "bench.accuracy.measure"),
    *("bench.training.worker", "bench.safety", "bench.torture.program", "bench.torture.kills"),
):
    importlib.import_module(module)

# OpenVINO waits in a thread of Python's own for what it may have to send; a forked process can do without.
if len(os.listdir("/proc/self/task")) > threading.active_count():
    raise RuntimeError("an import has started a thread, which no forked process would have")
one_thread(setattr)
gc.collect()
gc.freeze()
