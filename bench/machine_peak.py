"""What this machine can do at most: copying memory, and arithmetic in a precision.

Floors are made of these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.inference.device import physical_cores

MIN_S, MIN_CALLS = 0.3, 5
MATMUL = 1024
CHANNELS, SIDE = 256, 32
"""Size of the 3x3 convolution: large enough to fill the units, small enough to stay in the caches."""
DEPTH = 4
"""Convolutions in a row for OpenVINO, so that its call's own cost does not count."""


@dataclass
class Peak:
    """Operations a second of the best kernel found, and which that was."""

    per_s: float
    kernel: str


def best_s(call: Callable[[], object]) -> float:
    """Get the shortest duration of many calls.

    Parameters
    ----------
    call
        What is timed.

    Returns
    -------
    float
        s.
    """
    clock = HostClock()
    call()
    shortest, calls, begin = float("inf"), 0, clock.now_ns()
    while calls < MIN_CALLS or clock.now_ns() - begin < MIN_S * NS_PER_S:
        start = clock.now_ns()
        call()
        shortest = min(shortest, (clock.now_ns() - start) / NS_PER_S)
        calls += 1
    return max(shortest, 1e-9)


def copy_bytes_per_s(size: int) -> float:
    """Measure how fast `size` bytes are copied again and again, on one core.

    Small sizes stay in a cache, as small frames do: measure at the size that the floor is for.

    Parameters
    ----------
    size
        Bytes read and written by one copy.

    Returns
    -------
    float
        Bytes read and written a second.
    """
    source, target = np.ones(max(size // 2, 1), np.uint8), np.empty(max(size // 2, 1), np.uint8)
    return 2 * source.nbytes / best_s(lambda: np.copyto(target, source))


def peaks() -> dict[str, Peak]:
    """Measure the peak of arithmetic.

    It is the best of torch's matrix product, and of torch's and OpenVINO's 3x3 convolution.

    Returns
    -------
    dict[str, Peak]
        For `float32` and `bf16`.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(physical_cores())
    try:
        with torch.inference_mode():
            return {name: _peak(name) for name in ("float32", "bf16")}
    finally:
        torch.set_num_threads(threads)


def _peak(precision: str) -> Peak:
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    left, right = (torch.randn(MATMUL, MATMUL).to(dtype) for _ in range(2))
    image = torch.randn(1, CHANNELS, SIDE, SIDE).to(dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(CHANNELS, CHANNELS, 3, 3).to(dtype).contiguous(memory_format=torch.channels_last)
    convolution = 2 * CHANNELS * CHANNELS * 9 * SIDE * SIDE
    openvino = _openvino_convolutions(precision)
    found = [
        Peak(2 * MATMUL**3 / best_s(lambda: torch.mm(left, right)), f"torch matmul {MATMUL}"),
        Peak(convolution / best_s(lambda: functional.conv2d(image, weight, padding=1)), "torch conv 3x3"),
        Peak(DEPTH * convolution / best_s(openvino), "openvino conv 3x3"),
    ]
    return max(found, key=lambda peak: peak.per_s)


def _openvino_convolutions(precision: str) -> Callable[[], object]:
    """Make a call of `DEPTH` 3x3 convolutions, compiled by OpenVINO as our engine is."""
    from openvino import Model, opset13

    from rt_pose.inference.engines.openvino import openvino_core

    random = np.random.default_rng(0)
    entry = opset13.parameter([1, CHANNELS, SIDE, SIDE], np.float32)
    node: Any = entry
    for _ in range(DEPTH):
        weight = random.standard_normal((CHANNELS, CHANNELS, 3, 3)).astype(np.float32) / (3 * CHANNELS**0.5)
        node = opset13.convolution(node, opset13.constant(weight), [1, 1], [1, 1], [1, 1], [1, 1])
    compiled = openvino_core().compile_model(
        Model([node], [entry]),
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": str(physical_cores()),
            "INFERENCE_PRECISION_HINT": "f32" if precision == "float32" else "bf16",
        },
    )
    request = compiled.create_infer_request()
    request.set_input_tensor(_tensor(random.standard_normal((1, CHANNELS, SIDE, SIDE)).astype(np.float32)))

    def call() -> object:
        request.start_async()
        request.wait()
        return request

    return call


def _tensor(array: Any) -> Any:
    import openvino

    return openvino.Tensor(array)
