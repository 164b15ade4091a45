"""What the machine is, what is installed on it, and what its GPU can do at most."""

from __future__ import annotations

from importlib.metadata import distributions

import torch
from torch.nn import functional

from bench.gpu.section import Options, Row, Rows, device_ms
from rt_pose.inference.gpu.device import driver_version
from rt_pose.inference.gpu.stream import TorchCudaStream

COPIES = {"host to device, 640x480 gray": 307_200, "host to device, 1280x1024 RGB": 3_932_160}
DEVICE_COPY = 1 << 28
MATMUL = 8192


def measure(options: Options, rows: Rows) -> None:  # noqa: ARG001
    """Record versions, device, copies, arithmetic, and DALI on the device.

    Parameters
    ----------
    options
        Of the section; not used.
    rows
        Keeps the rows.
    """
    rows.add("versions", _versions)
    rows.add("device", _device)
    rows.add("DALI runs on the device", _dali)
    for what, size in COPIES.items():
        rows.add(what, from_host, size)
    rows.add("device to device, 256 MiB", on_device)
    for name in ("float32", "float16", "bfloat16"):
        rows.add(f"arithmetic, {name}", arithmetic, name)


def _versions() -> Row:
    found = {one.name: one.version for one in distributions()}
    return {"versions": found, "cuda of torch": torch.version.cuda, "cuda of driver": driver_version() / 1000}


def _device() -> Row:
    properties = torch.cuda.get_device_properties(0)
    return {
        "gpu": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "memory_gib": round(properties.total_memory / 2**30, 1),
        "multiprocessors": properties.multi_processor_count,
        "cudnn": torch.backends.cudnn.version(),
    }


def _dali() -> Row:
    """A frame through the graph on the device; an error here tells all that follows."""
    import numpy as np

    from rt_pose.inference.gpu.frames import DaliFrames
    from rt_pose.inference.gpu.staging import Staging
    from rt_pose.package import InputSpec

    cuda_stream = TorchCudaStream()
    spec = InputSpec(256, 256, 1, [110.0], [55.0])
    with cuda_stream.on():
        inputs = torch.zeros((1, 1, 256, 256), device=cuda_stream.device)
        image = np.full((480, 640, 1), 165, np.uint8)
        DaliFrames(spec, cuda_stream, Staging(cuda_stream)).into([image], [None], inputs)
    cuda_stream.wait()
    return {"largest_error": float((inputs - 1.0).abs().max())}


def from_host(size: int) -> Row:
    """Time a copy to the device.

    Parameters
    ----------
    size
        Bytes.

    Returns
    -------
    Row
        ms, and GB/s copied.
    """
    cuda_stream = TorchCudaStream()
    host = cuda_stream.host((size,), torch.uint8)
    with cuda_stream.on():
        target = torch.zeros(size, dtype=torch.uint8, device=cuda_stream.device)
    ms = device_ms(lambda: target.copy_(host, non_blocking=True), cuda_stream.stream)
    return {"device_ms": ms, "gb_per_s": size / ms / 1e6}


def on_device() -> Row:
    """Time a copy on the device.

    Returns
    -------
    Row
        ms, and GB/s read and written.
    """
    cuda_stream = TorchCudaStream()
    with cuda_stream.on():
        source, target = (
            torch.zeros(DEVICE_COPY, dtype=torch.uint8, device=cuda_stream.device) for _ in range(2)
        )
    ms = device_ms(lambda: target.copy_(source), cuda_stream.stream, 50)
    return {"device_ms": ms, "gb_per_s": 2 * DEVICE_COPY / ms / 1e6}


def arithmetic(name: str) -> Row:
    """Time a matrix product and a 3x3 convolution; float32 without TF32.

    Parameters
    ----------
    name
        Name of a torch dtype.

    Returns
    -------
    Row
        Operations a second of the better one, and which that was.
    """
    cuda_stream = TorchCudaStream()
    dtype = getattr(torch, name)
    with cuda_stream.on():
        left, right = (torch.randn(MATMUL, MATMUL, device=cuda_stream.device).to(dtype) for _ in range(2))
        image = torch.randn(8, 256, 64, 64, device=cuda_stream.device).to(dtype)
        weight = torch.randn(256, 256, 3, 3, device=cuda_stream.device).to(dtype)
    image, weight = (x.contiguous(memory_format=torch.channels_last) for x in (image, weight))
    torch.cuda.synchronize()
    torch.backends.cuda.matmul.allow_tf32 = False
    with torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False), torch.no_grad():
        matmul = device_ms(lambda: left @ right, cuda_stream.stream, 10)
        convolution = device_ms(lambda: functional.conv2d(image, weight, padding=1), cuda_stream.stream, 50)
    found = {
        f"matmul {MATMUL}": 2 * MATMUL**3 / matmul * 1e3,
        "conv 3x3": 8 * 2 * 256 * 256 * 9 * 64 * 64 / convolution * 1e3,
    }
    best = max(found, key=lambda kernel: found[kernel])
    return {"per_s": found[best], "kernel": best}
