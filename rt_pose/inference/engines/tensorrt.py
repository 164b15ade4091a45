"""The package's ONNX network by TensorRT, where that is installed: built once for a GPU, and kept."""

from __future__ import annotations

import importlib
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rt_pose.config.schema import Device
from rt_pose.errors import UserError
from rt_pose.inference.engine import NETWORK_INPUT, NETWORK_OUTPUT, engine_backend
from rt_pose.inference.engines.torch_cuda import StreamEngine, device_name
from rt_pose.package import NETWORK, InputSpec, file_sha256

if TYPE_CHECKING:
    from torch import Tensor

    from rt_pose.inference.gpu.stream import CudaStream

FLAGS = {"fp16": "FP16", "bf16": "BF16", "float32": ""}
"""TensorRT's builder flag that allows a precision."""
WORKSPACE_BYTES = 1 << 30
BUILT = 1
"""Of the way plans are built here: another number where `_build` changes, and kept ones are built again."""
_LOG = logging.getLogger(__name__)


@engine_backend
class TensorRTEngine(StreamEngine):
    """`network.onnx`, its kernels chosen by measurement on this GPU. Input and heatmaps stay float32."""

    backend: ClassVar[str] = "tensorrt"
    order: ClassVar[int] = 2
    device: ClassVar[Device] = "gpu"
    library: ClassVar[str] = "tensorrt"

    def __init__(self, folder: Path, spec: InputSpec, precision: str, threads: int) -> None:
        """See `Engine.__init__`."""
        import torch

        from rt_pose.inference.gpu.device import out_of_memory
        from rt_pose.inference.gpu.graphs import NetworkGraphs
        from rt_pose.inference.gpu.stream import TorchCudaStream

        tensorrt = _library()
        self.spec, self.precision, self.threads = spec, precision, threads
        self.cuda_stream = TorchCudaStream()
        self.dtype, self.layout = torch.float32, torch.contiguous_format
        self._trt: Any = tensorrt
        self._logger = tensorrt.Logger(tensorrt.Logger.ERROR)
        with out_of_memory("loading the network into TensorRT"), self.cuda_stream.on():
            self._engine = self._load(folder / NETWORK)
        self._contexts: dict[tuple[int, int], tuple[Any, Tensor]] = {}
        self._graphs = NetworkGraphs(self.cuda_stream, self.forward, spec, self.dtype, layout=self.layout)
        self.description = f"tensorrt {tensorrt.__version__} on {device_name(self.cuda_stream)}, {precision}"

    @classmethod
    def precisions(cls) -> list[str]:
        """See `Engine.precisions`."""
        return list(FLAGS)

    @classmethod
    def missing(cls, folder: Path, precision: str = "float32") -> str | None:  # noqa: ARG003
        """See `Engine.missing`."""
        if find_spec("tensorrt") is None:
            return (
                "tensorrt is not installed; `pip install tensorrt` (developer.nvidia.com/tensorrt), or use "
                "the backend torch_cuda"
            )
        return None if (folder / NETWORK).is_file() else f"it holds no {NETWORK}"

    def forward(self, inputs: Tensor) -> Tensor:
        """See `DeviceEngine.forward`."""
        import torch

        context, heatmaps = self._context(inputs)
        context.set_tensor_address(NETWORK_INPUT, inputs.data_ptr())
        context.set_tensor_address(NETWORK_OUTPUT, heatmaps.data_ptr())
        if not context.execute_async_v3(torch.cuda.current_stream(self.cuda_stream.device).cuda_stream):
            raise RuntimeError("tensorrt: the network could not be launched")
        return heatmaps

    def _context(self, inputs: Tensor) -> tuple[Any, Tensor]:
        """A context for one batch size of one place in memory, and its output.

        A recording keeps both for itself: a graph goes on using the state of the context it was captured
        from, so another address for that context, of another recording, would change what the first does.
        """
        import torch

        count = len(inputs)
        key = count, inputs.data_ptr()
        if key not in self._contexts:
            context = self._engine.create_execution_context()
            if context is None:
                raise UserError(
                    f"engine.backend: tensorrt finds no room on the GPU for input of {count} frames; "
                    "`nvidia-smi` shows who holds its memory, or use the backend torch_cuda"
                )
            shape = (count, self.spec.channels, self.spec.height, self.spec.width)
            if not context.set_input_shape(NETWORK_INPUT, shape):
                raise UserError(f"engine.backend: tensorrt cannot run the network on input {shape}")
            output = tuple(context.get_tensor_shape(NETWORK_OUTPUT))
            self._contexts[key] = context, torch.zeros(output, device=self.cuda_stream.device)
        return self._contexts[key]

    def _load(self, path: Path) -> Any:
        from rt_pose.inference.gpu.plan_cache import cached_plan

        runtime = self._trt.Runtime(self._logger)
        loaded: list[Any] = []

        def usable(plan: bytes) -> bool:
            engine = runtime.deserialize_cuda_engine(plan)
            loaded.extend([] if engine is None else [engine])
            return engine is not None

        facts = plan_facts(
            path, self.spec, self.precision, self._trt.__version__, _hardware(self.cuda_stream)
        )
        plan = cached_plan(facts, lambda: self._build(path), usable)
        if not loaded and not usable(plan):
            raise UserError(
                f"network {path}: tensorrt {self._trt.__version__} cannot load what it built of it"
            )
        self._runtime = runtime  # the engine needs it as long as it lives
        return loaded[0]

    def _build(self, path: Path) -> bytes:
        from rt_pose.inference.gpu.graphs import MAX_FRAMES

        trt, spec = self._trt, self.spec
        _LOG.warning("tensorrt builds %s for this GPU; this takes minutes, and is kept", path)
        builder = trt.Builder(self._logger)
        network = builder.create_network(0)
        parser = trt.OnnxParser(network, self._logger)
        if not parser.parse(path.read_bytes()):
            lines = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
            raise UserError(f"network {path}: tensorrt {trt.__version__} cannot read it: {lines}")
        config = builder.create_builder_config()
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
        config.clear_flag(trt.BuilderFlag.TF32)  # float32 is float32
        if flag := FLAGS[self.precision]:
            if not hasattr(trt.BuilderFlag, flag):
                raise UserError(
                    f"engine.precision: tensorrt {trt.__version__} takes precisions from the network itself "
                    f"and has no '{self.precision}' of its own; use `--engine.precision float32`, or the "
                    "backend torch_cuda"
                )
            config.set_flag(getattr(trt.BuilderFlag, flag))
        profile = builder.create_optimization_profile()
        one, most = ((n, spec.channels, spec.height, spec.width) for n in (1, MAX_FRAMES))
        profile.set_shape(NETWORK_INPUT, one, one, most)
        config.add_optimization_profile(profile)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise UserError(
                f"network {path}: tensorrt {trt.__version__} cannot build it in {self.precision}, or "
                "finds no room on the GPU to try (`nvidia-smi`); use the backend torch_cuda"
            )
        return bytes(plan)


def _library() -> Any:
    """The module; UserError where it is there and cannot be loaded (of another CUDA, or lacking a part)."""
    try:
        return importlib.import_module("tensorrt")
    except (ImportError, OSError) as error:
        raise UserError(
            f"engine.backend: tensorrt is installed, but cannot be loaded: {error}; install the one for the "
            "driver's CUDA (developer.nvidia.com/tensorrt), or use the backend torch_cuda"
        ) from error


def plan_facts(
    network: Path, spec: InputSpec, precision: str, version: str, hardware: dict[str, str | int]
) -> dict[str, str | int]:
    """Gather all that a built plan depends on.

    Parameters
    ----------
    network
        The ONNX file.
    spec
        The network's input.
    precision
        Precision that the plan is built in.
    version
        Version of TensorRT.
    hardware
        Facts about the GPU and its driver, by name.

    Returns
    -------
    dict[str, str | int]
        Facts by name, for `cached_plan`.
    """
    from rt_pose.inference.gpu.graphs import MAX_FRAMES

    return {
        "network": file_sha256(network),
        "input": f"{MAX_FRAMES}x{spec.channels}x{spec.height}x{spec.width}",
        "precision": precision,
        "built": BUILT,
        "tensorrt": version,
        **hardware,
    }


def _hardware(cuda_stream: CudaStream) -> dict[str, str | int]:
    import torch

    from rt_pose.inference.gpu.device import driver_version

    major, minor = torch.cuda.get_device_capability(cuda_stream.device)
    return {"gpu": device_name(cuda_stream), "capability": f"{major}.{minor}", "driver": driver_version()}
