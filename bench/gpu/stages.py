"""Each stage of the GPU's chain alone, beside the floor that bytes or operations set.

`host` is the time of a call that launches the stage and waits for it, which is what the loop would feel of it
alone; `device` the mean of launches one after another by the device's own events. The floor is bytes over the
bandwidth, or operations over the rate, measured here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.gpu.machine import arithmetic
from bench.gpu.packages import NETWORKS, QUICK, package
from bench.gpu.parity import WAYS
from bench.gpu.section import Options, Row, Rows, device_ms, timed_ms
from bench.synthetic_heatmaps import random_frames
from rt_pose.inference.decode_compiled import to_frame
from rt_pose.inference.decode_torch import decode_torch
from rt_pose.inference.engine import open_engine
from rt_pose.inference.gpu.estimator import GpuEstimator, pack, unpack
from rt_pose.inference.gpu.graphs import NetworkGraphs
from rt_pose.inference.gpu.staging import Staging
from rt_pose.inference.gpu.stream import TorchCudaStream
from rt_pose.inference.preprocess import frame_from_input
from rt_pose.package import DecodeSpec, InputSpec, Package

SIZES = ((640, 480, 1), (1280, 1024, 1), (1280, 1024, 3))
DTYPES = {"float32": "float32", "fp16": "float16", "bf16": "bfloat16"}
KEYPOINTS = 17


def measure(options: Options, rows: Rows) -> None:
    """Rows: preprocessing, networks, decoding, the whole chain, the stages on the host."""
    quick = options.quick
    rates = {name: arithmetic(dtype)["per_s"] for name, dtype in DTYPES.items()}
    bandwidth = _bandwidth()
    for size in SIZES[:1] if quick else SIZES:
        for way in ("dali", "compiled"):
            what = f"preprocess, {way}, {size[0]}x{size[1]}x{size[2]} to 256"
            rows.add(what, lambda w=way, s=size: _preprocess(w, s, bandwidth, rows))  # type: ignore[misc]
    for side in (256, 384):
        rows.add(f"decode, {KEYPOINTS} maps of {side // 4}", lambda s=side: _decode(s, bandwidth, rows))  # type: ignore[misc]
    rows.add("decode on the host, rest", lambda: _rest(rows))
    for way in ("dali", "compiled"):
        rows.add(
            f"whole chain, lite0 256, fp16, 640x480, {way}",
            lambda w=way: _chain(package(options.packages, "lite0", 256), w, rows),  # type: ignore[misc]
        )
    rows.add("host stages", lambda: _host_stages(options))
    for backbone, side in QUICK if quick else NETWORKS:
        for precision, rate in rates.items():
            for backend in ("torch_cuda", "tensorrt"):
                what = f"network, {backbone} {side}, {precision}, {backend}"
                rows.add(
                    what,
                    lambda b=backend, p=precision, n=backbone, s=side, r=rate: _network(  # type: ignore[misc]
                        b, package(options.packages, n, s), p, r, rows
                    ),
                    needs_s=8.0 if backend == "torch_cuda" else 20.0,
                )
    # What was tried comes last: a compiler takes its time.
    for backbone, side in QUICK if quick else NETWORKS:
        rows.add(
            f"network, {backbone} {side}, fp16, torch.compile (tried)",
            lambda n=backbone, s=side: _compiled(package(options.packages, n, s), rates["fp16"], rows),  # type: ignore[misc]
            needs_s=40.0,
        )


def _bandwidth() -> dict[str, float]:
    """Bytes a second: `host` to device, `device` read and written."""
    cuda_stream = TorchCudaStream()
    host = cuda_stream.host((1 << 22,), torch.uint8)
    with cuda_stream.on():
        near, far = (torch.zeros(1 << 28, dtype=torch.uint8, device=cuda_stream.device) for _ in range(2))
    copy_ms = device_ms(lambda: near[: 1 << 22].copy_(host, non_blocking=True), cuda_stream.stream)
    return {
        "host": (1 << 22) / copy_ms * 1e3,
        "device": 2 * (1 << 28) / device_ms(lambda: far.copy_(near), cuda_stream.stream, 50) * 1e3,
    }


def _times(call: Callable[[], object], launch: Callable[[], object] | None, stream: Any, rows: Rows) -> Row:
    found: Row = {"host_ms": timed_ms(call, rows.clock)}
    if launch is not None:
        found["device_ms"] = device_ms(launch, stream)
    return found


def _preprocess(way: str, size: tuple[int, int, int], bandwidth: dict[str, float], rows: Rows) -> Row:
    width, height, channels = size
    spec = InputSpec(256, 256, 3 if channels == 3 else 1, [110.0] * channels, [55.0] * channels)
    cuda_stream = TorchCudaStream()
    staging = Staging(cuda_stream)
    frames = WAYS[way](spec, cuda_stream, staging)
    images = random_frames(4, width, height, spec.channels)
    with cuda_stream.on():
        inputs = torch.zeros((1, channels, 256, 256), dtype=torch.float16, device=cuda_stream.device)
    turn = iter(range(1 << 30))

    def call() -> None:
        with cuda_stream.on():
            frames.into([images[next(turn) % 4]], [None], inputs)
        cuda_stream.wait()

    moved = width * height * channels
    floor = moved / bandwidth["host"] + (moved + 2 * 256 * 256 * channels) / bandwidth["device"]
    return _times(call, None, cuda_stream.stream, rows) | {
        "floor_ms": floor * 1e3,
        "floor": "bytes, host and device",
    }


def _network(backend: str, made: Package, precision: str, rate: float, rows: Rows) -> Row:
    spec = made.manifest.input
    engine: Any = open_engine(backend, made.path, spec, precision, 1)
    operations = _operations(made)
    ready = engine.ready()

    def launch() -> None:
        engine._graphs.launch(1, fetch=False)

    floor = {"floor_ms": operations / rate * 1e3, "floor": f"{operations / 1e9:.2f} GFLOP", "rate": rate}
    return _times(ready, launch, engine.cuda_stream.stream, rows) | floor


def _operations(made: Package) -> int:
    """Of one forward, two a multiply-add."""
    spec = made.manifest.input
    module = torch.export.load(made.path / "network.pt2").module()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.zeros(1, spec.channels, spec.height, spec.width))
    return int(counter.get_total_flops())


def _compiled(made: Package, rate: float, rows: Rows) -> Row:
    """The network by torch's own compiler inside the same graph: what it would gain."""
    engine: Any = open_engine("torch_cuda", made.path, made.manifest.input, "fp16", 1)
    compiled = torch.compile(engine._network)
    graphs = NetworkGraphs(engine.cuda_stream, compiled, made.manifest.input, torch.float16)
    cuda_stream = engine.cuda_stream

    def call() -> None:
        with cuda_stream.on():
            graphs.launch(1, fetch=False)
        cuda_stream.wait()

    operations = _operations(made)
    floor = {"floor_ms": operations / rate * 1e3, "floor": f"{operations / 1e9:.2f} GFLOP"}
    return _times(call, lambda: graphs.launch(1, fetch=False), cuda_stream.stream, rows) | floor


def _decode(side: int, bandwidth: dict[str, float], rows: Rows) -> Row:
    cuda_stream = TorchCudaStream()
    decode = DecodeSpec(stride=4)
    with cuda_stream.on():
        maps = torch.randn(1, KEYPOINTS, side // 4, side // 4, device=cuda_stream.device) * 4
    torch.cuda.synchronize()
    with torch.no_grad():
        launch, _ = cuda_stream.record(lambda: pack(decode_torch(maps, decode)))

    def call() -> None:
        with cuda_stream.on():
            launch()
        cuda_stream.wait()

    floor = maps.numel() * 4 / bandwidth["device"] * 1e3
    return _times(call, launch, cuda_stream.stream, rows) | {"floor_ms": floor, "floor": "bytes, device"}


def _rest(rows: Rows) -> Row:
    numbers = np.random.default_rng(0).random((1, KEYPOINTS, 7), np.float32)
    affine = frame_from_input(InputSpec(256, 256, 1, [0.0], [1.0]), (640, 480))

    def call() -> None:
        found = unpack(numbers)
        to_frame(affine, 0, 0, found.xy.reshape(-1, 2), found.cov.reshape(-1, 2, 2))

    return {"host_ms": timed_ms(call, rows.clock)}


def _chain(made: Package, way: str, rows: Rows) -> Row:
    engine: Any = open_engine("torch_cuda", made.path, made.manifest.input, "fp16", 1)
    estimator = GpuEstimator(engine, made.manifest.decode, way)
    images = random_frames(4, 640, 480, made.manifest.input.channels)
    turn = iter(range(1 << 30))
    return {"host_ms": timed_ms(lambda: estimator.estimate(images[next(turn) % 4]), rows.clock)}


def _host_stages(options: Options) -> Row:
    """Filter, rules and publishing, which stay on the processor."""
    from bench.stages import publish_row, track_rows

    made = package(options.packages, "lite0", 256)
    found = [*track_rows(made, KEYPOINTS), publish_row(KEYPOINTS, made)]
    return {row.stage: row.ms for row in found}
