"""OpenVINO on the CPU: one stream, latency first, input and output in memory that is kept."""

from __future__ import annotations

import copy
import functools
import importlib.metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, Clock
from rt_pose.config.schema import Device
from rt_pose.errors import UserError
from rt_pose.inference.device import has_int8_products
from rt_pose.inference.engine import (
    NETWORK_INPUT,
    NETWORK_NEXT,
    NETWORK_OUTPUT,
    NETWORK_PAST,
    ContextEngine,
    PinnedEngine,
    engine_backend,
)
from rt_pose.inference.engines.openvino_norms import rewrite_group_norms
from rt_pose.package import NETWORK, PRECISION_NETWORKS, InputSpec

_HINTS = {"float32": "f32", "mixed": "bf16", "bf16": "bf16", "int8": "f32"}
"""The precision that OpenVINO may lower layers to. Those of `mixed` that stay in float32 are marked in its
network; those of `int8` that are not quantised stay in float32."""


ROUNDS, SKIPPED, FORWARDS = 3, 2, 8
"""Of each way to arrange the threads: rounds in turns, and forwards in each."""
PAUSE_NS = 4 * NS_PER_MS
CLEARLY_BETTER = 0.9


def _way(threads: int, pinned: bool) -> str:
    return f"{threads} thread{'s' * (threads != 1)} {'pinned' if pinned else 'free'}"


@functools.cache
def openvino_core() -> Any:
    """Make OpenVINO's core, one for the life of the process.

    Its CPU plug-in installs an alternate signal stack of its own when it is made and restores the previous
    one when it is destroyed. Two of them destroyed in another order leave the process with a stack that is no
    longer mapped: the next signal, even the SIGTERM that should stop a run in order, kills it without a
    message.

    Returns
    -------
    Any
        The `openvino.Core`.
    """
    import openvino

    return openvino.Core()


class _Buffers(NamedTuple):
    """Memory that a request reads and writes: it must live as long as the request."""

    heatmaps: NDArray[np.float32]
    empty: NDArray[np.float32] | None
    """An empty past, of a network with context."""
    following: NDArray[np.float32] | None
    """The past that it writes."""


@engine_backend
class OpenVINOEngine(ContextEngine, PinnedEngine):
    """A network of the package, compiled for a fixed shape: `network.onnx`, or the precision's own."""

    backend: ClassVar[str] = "openvino"
    order: ClassVar[int] = 0
    device: ClassVar[Device] = "cpu"
    library: ClassVar[str] = "openvino"

    def __init__(
        self, folder: Path, spec: InputSpec, precision: str, threads: int, pinned: bool = True
    ) -> None:
        """See `Engine.__init__`."""
        self.spec = spec
        self.precision = precision
        self.threads = threads
        self._file = folder / PRECISION_NETWORKS.get(precision, NETWORK)
        self.pinned = pinned
        self._requests: dict[int, tuple[Any, _Buffers]] = {}
        self.description = self._describe()
        self._request(1)

    @classmethod
    def precisions(cls) -> list[str]:
        """See `Engine.precisions`."""
        capabilities = openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        bf16 = ["bf16", "mixed"] if "BF16" in capabilities else []
        return [*(["int8"] if has_int8_products() else []), *bf16, "float32"]

    @classmethod
    def missing(cls, folder: Path, precision: str = "float32") -> str | None:
        """See `Engine.missing`."""
        if find_spec("openvino") is None:
            return "openvino is not installed; `pip install openvino`"
        name = PRECISION_NETWORKS.get(precision, NETWORK)
        if (folder / name).is_file():
            return None
        if precision in PRECISION_NETWORKS:
            return (
                f"it holds no {name}; `rt-pose train quantise --model PACKAGE --data LABELS` adds it "
                "(to an imported one with `--frames '[VIDEO]'`)"
            )
        return f"it holds no {name}"

    def tune(self, clock: Clock) -> str:
        """See `Engine.tune`. Chooses the threads and pinning of the shortest P90.

        Pauses between forwards are as long as those between frames. The ways take turns, so that a machine
        that drifts does not choose; another way than all cores, pinned, must be clearly better, so that
        neighbouring starts choose alike.
        """
        usual = (self.threads, True)
        ways = [usual, (self.threads, False)]
        if self.threads > 1:
            ways.append((self.threads - 1, True))
        requests = {way: self._tuned(*way) for way in ways}
        times: dict[tuple[int, bool], list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, (request, _) in requests.items():
                times[way] += self._paced_ms(request, clock)
        p90 = {way: float(np.percentile(values, 90)) for way, values in times.items()}
        best = min(p90, key=lambda way: p90[way])
        if p90[best] > CLEARLY_BETTER * p90[usual]:
            best = usual
        self.threads, self.pinned = best
        self._requests = {1: requests[best]}
        self.description = self._describe()
        return "P90 ms: " + ", ".join(f"{_way(*way)} {ms:.2f}" for way, ms in p90.items())

    def _paced_ms(self, request: Any, clock: Clock) -> list[float]:
        import openvino

        batch = np.zeros((1, self.spec.channels, self.spec.height, self.spec.width), np.float32)
        request.set_tensor(NETWORK_INPUT, openvino.Tensor(batch, shared_memory=True))
        times = []
        for i in range(SKIPPED + FORWARDS):
            clock.sleep_until_ns(clock.now_ns() + PAUSE_NS)
            start_ns = clock.now_ns()
            request.infer(share_outputs=True)
            if i >= SKIPPED:
                times.append((clock.now_ns() - start_ns) / NS_PER_MS)
        return times

    def _tuned(self, threads: int, pinned: bool) -> tuple[Any, _Buffers]:
        """A request for one frame with these threads."""
        if (threads, pinned) == (self.threads, self.pinned):
            return self._request(1)  # compiled already
        self.threads, self.pinned = threads, pinned
        return self._compile(1)

    def _describe(self) -> str:
        version = importlib.metadata.version("openvino")
        return f"openvino {version} on the CPU, {self.precision}, {_way(self.threads, self.pinned)}"

    def replicas(self, count: int, cores: int) -> list[OpenVINOEngine]:
        """Make engines of one thread each, to be called from as many threads at the same time.

        They share one compiled network, with a stream for each core. Networks compiled apart for one thread
        each all run on the same core, one after another.

        Parameters
        ----------
        count
            How many; those beyond `cores` wait for a stream.
        cores
            How many may run at a time.

        Returns
        -------
        list[OpenVINOEngine]
            The engines; each keeps buffers of its own.
        """
        compiled = self._plan(1, threads=cores, streams=cores)
        twins = [copy.copy(self) for _ in range(count)]
        for twin in twins:
            twin.threads = 1
            twin._requests = {1: twin._prepared(compiled, 1)}
            twin.description = twin._describe()
        return twins

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Engine.infer`."""
        request, buffers = self._request(len(batch))
        if buffers.empty is not None:
            self._set_input(request, NETWORK_PAST, buffers.empty)
        return self._run(request, batch, buffers.heatmaps)

    def advance(self, batch: NDArray[np.float32], past: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `ContextEngine.advance`."""
        request, buffers = self._request(len(batch))
        self._set_input(request, NETWORK_PAST, past)
        heatmaps = self._run(request, batch, buffers.heatmaps)
        assert buffers.following is not None
        np.copyto(past, buffers.following)
        return heatmaps

    def _run(
        self, request: Any, batch: NDArray[np.float32], heatmaps: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        # The tensor is a view of the caller's memory, which lives as long as this call.
        self._set_input(request, NETWORK_INPUT, batch)
        request.infer(share_outputs=True)  # the heatmaps lie in our buffer: without this they are copied
        return heatmaps

    @staticmethod
    def _set_input(request: Any, name: str, array: NDArray[np.float32]) -> None:
        """Let a request read from, or write to, an array."""
        import openvino

        request.set_tensor(name, openvino.Tensor(array, shared_memory=True))

    def _request(self, batch_size: int) -> tuple[Any, _Buffers]:
        """The request for a batch size and its buffers; the first of a size compiles it."""
        if batch_size not in self._requests:
            self._requests[batch_size] = self._compile(batch_size)
        return self._requests[batch_size]

    def _compile(self, batch_size: int) -> tuple[Any, _Buffers]:
        return self._prepared(self._plan(batch_size, self.threads, 1), batch_size)

    def _plan(self, batch_size: int, threads: int, streams: int) -> Any:
        """The compiled network."""
        core = openvino_core()
        shapes = input_shapes(self.spec, batch_size)
        try:
            model = core.read_model(self._file)
            # With every dimension known the plan is made once, ahead of the first frame.
            model.reshape(shapes)
            if self.precision == "float32":  # sums of squares in less would cost a norm its precision
                rewrite_group_norms(model)
            compiled = core.compile_model(
                model,
                "CPU",
                {
                    "PERFORMANCE_HINT": "LATENCY",
                    "NUM_STREAMS": str(streams),
                    "INFERENCE_NUM_THREADS": str(threads),
                    "ENABLE_CPU_PINNING": self.pinned,
                    # Never left open: where the processor has bf16, OpenVINO would take it by itself.
                    "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
                },
            )
            compiled.output(NETWORK_OUTPUT)
        except RuntimeError as error:
            raise UserError(
                f"network {self._file}: openvino cannot run it with {_format_shapes(shapes)} and "
                f"output '{NETWORK_OUTPUT}': {str(error).strip().splitlines()[-1]}; export the package again"
            ) from error
        return compiled

    def _prepared(self, compiled: Any, batch_size: int) -> tuple[Any, _Buffers]:
        """A request of a compiled network, and the memory that it reads and writes."""
        shapes = input_shapes(self.spec, batch_size)
        heatmaps = np.zeros(tuple(compiled.output(NETWORK_OUTPUT).shape), np.float32)
        request = compiled.create_infer_request()
        self._set_input(request, NETWORK_OUTPUT, heatmaps)
        if self.spec.context is None:
            return request, _Buffers(heatmaps, None, None)
        empty, following = (np.zeros(shapes[NETWORK_PAST], np.float32) for _ in range(2))
        self._set_input(request, NETWORK_PAST, empty)
        self._set_input(request, NETWORK_NEXT, following)
        return request, _Buffers(heatmaps, empty, following)


def input_shapes(spec: InputSpec, batch_size: int) -> dict[str, list[int]]:
    """List the network's inputs.

    Parameters
    ----------
    spec
        The network's input.
    batch_size
        Number of frames B.

    Returns
    -------
    dict[str, list[int]]
        Shapes by name: (B, C, h, w) of the image, (B, N F, h', w') of the past where there is one.
    """
    shapes = {NETWORK_INPUT: [batch_size, spec.channels, spec.height, spec.width]}
    if spec.context is not None:
        shapes[NETWORK_PAST] = [batch_size, *spec.context.shape]
    return shapes


def _format_shapes(shapes: dict[str, list[int]]) -> str:
    return " and ".join(f"input '{name}' {shape}" for name, shape in shapes.items())
