"""Each stage of the GPU's chain alone, beside the floor that bytes or operations set.

`host` is the time of a call that launches the stage and waits for it, which is what it would cost the loop
alone; `device` the mean of launches one after another by the device's own events. The floor is bytes over the
bandwidth, or operations over the rate, measured here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.gpu.machine import arithmetic, from_host, on_device
from bench.gpu.packages import NETWORKS, QUICK, package
from bench.gpu.parity import WAYS
from bench.gpu.section import Options, Row, Rows, device_ms
from bench.operations import operations_of
from bench.synthetic_heatmaps import random_frames
from bench.timing import timed
from rt_pose.inference.decode_compiled import to_frame
from rt_pose.inference.decode_torch import decode_torch
from rt_pose.inference.engine import open_engine
from rt_pose.inference.gpu.estimator import GpuEstimator, pack, unpack
from rt_pose.inference.gpu.graphs import NetworkGraphs
from rt_pose.inference.gpu.staging import Staging
from rt_pose.inference.gpu.stream import TorchCudaStream
from rt_pose.inference.preprocess import frame_from_input
from rt_pose.package import DecodeSpec, InputSpec

SIZES = ((640, 480, 1), (1280, 1024, 1), (1280, 1024, 3))
DTYPES = {"float32": "float32", "fp16": "float16", "bf16": "bfloat16"}
KEYPOINTS = 17
HOST_COPY = 1 << 22


def measure(options: Options, rows: Rows) -> None:
    """Measure preprocessing, networks, decoding, the whole chain, and the stages on the host.

    Parameters
    ----------
    options
        Of the section.
    rows
        Keeps the rows.
    """
    quick = options.quick
    rates = {name: arithmetic(dtype)["per_s"] for name, dtype in DTYPES.items()}
    bandwidth = _bandwidth()
    for size in SIZES[:1] if quick else SIZES:
        for way in ("dali", "compiled"):
            what = f"preprocess, {way}, {size[0]}x{size[1]}x{size[2]} to 256"
            rows.add(what, _preprocess, way, size, bandwidth)
    for side in (256, 384):
        rows.add(f"decode, {KEYPOINTS} maps of {side // 4}", _decode, side, bandwidth)
    rows.add("decode on the host, rest", _rest)
    for way in ("dali", "compiled"):
        rows.add(f"whole chain, lite0 256, fp16, 640x480, {way}", _chain, options.packages, way)
    rows.add("host stages", _host_stages, options.packages)
    for backbone, side in QUICK if quick else NETWORKS:
        for precision, rate in rates.items():
            for backend in ("torch_cuda", "tensorrt"):
                what = f"network, {backbone} {side}, {precision}, {backend}"
                needs_s = 8.0 if backend == "torch_cuda" else 20.0
                network = (options.packages, backbone, side)
                rows.add(what, _network, backend, network, precision, rate, needs_s=needs_s)
    # What was tried comes last: a compiler takes its time.
    for backbone, side in QUICK if quick else NETWORKS:
        what = f"network, {backbone} {side}, fp16, torch.compile (tried)"
        rows.add(what, _compiled, (options.packages, backbone, side), rates["fp16"], needs_s=40.0)


def _bandwidth() -> dict[str, float]:
    """Bytes a second: `host` to device, `device` read and written."""
    return {"host": from_host(HOST_COPY)["gb_per_s"] * 1e9, "device": on_device()["gb_per_s"] * 1e9}


def _times(call: Callable[[], object], launch: Callable[[], object], stream: Any) -> Row:
    return {"host_ms": timed(lambda _: call()), "device_ms": device_ms(launch, stream)}


def _preprocess(way: str, size: tuple[int, int, int], bandwidth: dict[str, float]) -> Row:
    width, height, channels = size
    spec = InputSpec(256, 256, 3 if channels == 3 else 1, [110.0] * channels, [55.0] * channels)
    cuda_stream = TorchCudaStream()
    staging = Staging(cuda_stream)
    frames = WAYS[way](spec, cuda_stream, staging)
    images = random_frames(4, width, height, spec.channels)
    with cuda_stream.on():
        inputs = torch.zeros((1, channels, 256, 256), dtype=torch.float16, device=cuda_stream.device)

    def call(i: int) -> None:
        with cuda_stream.on():
            frames.into([images[i % 4]], [None], inputs)
        cuda_stream.wait()

    moved = width * height * channels
    floor = moved / bandwidth["host"] + (moved + 2 * 256 * 256 * channels) / bandwidth["device"]
    return {"host_ms": timed(call), "floor_ms": floor * 1e3, "floor": "bytes, host and device"}


def _network(backend: str, network: tuple[Path, str, int], precision: str, rate: float) -> Row:
    made = package(*network)
    spec = made.manifest.input
    engine: Any = open_engine(backend, made.path, spec, precision, 1)
    operations = operations_of(made)
    ready = engine.ready()

    def launch() -> None:
        engine._graphs.launch(1, fetch=False)

    floor = {"floor_ms": operations / rate * 1e3, "floor": f"{operations / 1e9:.2f} GFLOP", "rate": rate}
    return _times(ready, launch, engine.cuda_stream.stream) | floor


def _compiled(network: tuple[Path, str, int], rate: float) -> Row:
    """The network by torch's own compiler inside the same graph: what it would gain."""
    made = package(*network)
    engine: Any = open_engine("torch_cuda", made.path, made.manifest.input, "fp16", 1)
    compiled = torch.compile(engine._network)
    graphs = NetworkGraphs(engine.cuda_stream, compiled, made.manifest.input, torch.float16)
    cuda_stream = engine.cuda_stream

    def call() -> None:
        with cuda_stream.on():
            graphs.launch(1, fetch=False)
        cuda_stream.wait()

    operations = operations_of(made)
    floor = {"floor_ms": operations / rate * 1e3, "floor": f"{operations / 1e9:.2f} GFLOP"}
    return _times(call, lambda: graphs.launch(1, fetch=False), cuda_stream.stream) | floor


def _decode(side: int, bandwidth: dict[str, float]) -> Row:
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
    return _times(call, launch, cuda_stream.stream) | {"floor_ms": floor, "floor": "bytes, device"}


def _rest() -> Row:
    numbers = np.random.default_rng(0).random((1, KEYPOINTS, 7), np.float32)
    affine = frame_from_input(InputSpec(256, 256, 1, [0.0], [1.0]), (640, 480))

    def call(_: int) -> None:
        found = unpack(numbers)
        to_frame(affine, 0, 0, found.xy.reshape(-1, 2), found.cov.reshape(-1, 2, 2))

    return {"host_ms": timed(call)}


def _chain(folder: Path, way: str) -> Row:
    made = package(folder, "lite0", 256)
    engine: Any = open_engine("torch_cuda", made.path, made.manifest.input, "fp16", 1)
    estimator = GpuEstimator(engine, made.manifest.decode, way)
    images = random_frames(4, 640, 480, made.manifest.input.channels)
    return {"host_ms": timed(lambda i: estimator.estimate(images[i % 4]))}


def _host_stages(folder: Path) -> Row:
    """Filter, rules and publishing, which stay on the processor."""
    from bench.stages import publish_row, track_rows

    made = package(folder, "lite0", 256)
    found = [*track_rows(made, KEYPOINTS), publish_row(KEYPOINTS, made)]
    return {row.stage: row.ms for row in found}
