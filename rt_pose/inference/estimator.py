"""The one chain from frames to keypoints: preprocess, infer, decode, back to frame pixels.

With a package of several animals every result (..., K) has an axis more, (..., D, K): the surest animal
first, NaN after the last one.

`Estimator` is the contract on every device: `CpuEstimator` is here, `rt_pose.inference.gpu.estimator` has the
GPU's. The loop calls its three steps one by one, to stamp each; the golden check, offline prediction and
evaluation call it whole. One frame at a time everywhere, so that results are equal to the bit; what a network
with context holds of the frames before goes through the same states everywhere
(`rt_pose.inference.temporal_context`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from rt_pose.inference.decode import Keypoints
from rt_pose.inference.decode_argmax import make_decoder
from rt_pose.inference.decode_compiled import to_frame
from rt_pose.inference.engine import ContextEngine, Engine
from rt_pose.inference.preprocess import Preprocess, frame_from_input
from rt_pose.inference.temporal_context import Region, TemporalContext
from rt_pose.package import DecodeSpec, InputSpec
from rt_pose.types import FloatArray

Batch: TypeAlias = Any
"""Network input (B, C, h, w) where the engine reads it: an array on the host, a tensor on a device."""
Images = Sequence[NDArray[np.uint8]]
Decode = Callable[[NDArray[np.float32]], Keypoints[FloatArray]]


class FramePreprocess(Protocol):
    """One frame to the network's input."""

    def into(self, frame: NDArray[np.uint8], out: NDArray[np.float32], window: Region | None = None) -> None:
        """Write the network's input for a frame, or for a window of it.

        Parameters
        ----------
        frame
            (H, W, C) uint8.
        out
            Where the input goes, (C, h, w).
        window
            Part of the frame (x, y, width, height), px; None for the whole frame.
        """
        ...


class Estimator(ABC):
    """Keypoints of frames by one network. Not thread safe: one instance a thread."""

    def __init__(self, engine: Engine, decode: Decode) -> None:
        """Keep the engine and its decoder.

        Parameters
        ----------
        engine
            The engine, loaded.
        decode
            Maps what `infer` gives to keypoints in pixels of the network's input.
        """
        self.engine = engine
        self._decode = decode
        self._affines: dict[tuple[int, int], FloatArray] = {}

    @abstractmethod
    def preprocess_all(self, images: Images, windows: Sequence[Region | None]) -> Batch:
        """Make the network's input of frames, or of their windows, for one call of `infer`.

        Parameters
        ----------
        images
            Frames (H, W, C) uint8; they are read until `infer` has returned.
        windows
            Of each frame its part (x, y, width, height), px, or None for the whole.

        Returns
        -------
        Batch
            Network input (B, C, h, w), valid until the next call.
        """

    @abstractmethod
    def infer(self, batch: Batch, contexts: Sequence[TemporalContext] | None = None) -> NDArray[np.float32]:
        """Run the network.

        Parameters
        ----------
        batch
            What `preprocess_all` gave.
        contexts
            The past of each frame, advanced by the call; None shows every frame with an empty past.

        Returns
        -------
        NDArray[np.float32]
            What `decode` takes, frame by frame along the first axis; valid until the next call.
        """

    @abstractmethod
    def pin(self, memory: NDArray[np.uint8]) -> Callable[[], None]:
        """Announce that frames will lie in `memory`, so that the device may read them in place.

        Parameters
        ----------
        memory
            The memory, for example the ring of a camera.

        Returns
        -------
        Callable[[], None]
            To be called before the memory is released.
        """

    def preprocess(self, image: NDArray[np.uint8], window: Region | None = None) -> Batch:
        """Preprocess one frame; see `preprocess_all`.

        Parameters
        ----------
        image
            Frame (H, W, C) uint8.
        window
            Its part (x, y, width, height), px; None for the whole.

        Returns
        -------
        Batch
            Network input (1, C, h, w), valid until the next call.
        """
        return self.preprocess_all([image], [window])

    def new_context(self) -> TemporalContext:
        """Make an empty past, for a sequence of frames that begins.

        Returns
        -------
        TemporalContext
            The past; of a network without context it holds nothing.
        """
        return TemporalContext(self.engine.spec)

    def decode(
        self, heatmaps: NDArray[np.float32], frame_size: tuple[int, int], offset_xy: tuple[int, int] = (0, 0)
    ) -> Keypoints[FloatArray]:
        """Decode heatmaps into sensor pixels.

        Parameters
        ----------
        heatmaps
            What `infer` gave for B frames.
        frame_size
            (width, height) of the frames, or of their windows, px.
        offset_xy
            Place of their top-left pixel on the sensor, px.

        Returns
        -------
        Keypoints[FloatArray]
            Keypoints (B, K), of several animals (B, D, K), px of the sensor, in memory of their own.
        """
        affine = self._affines.get(frame_size)
        if affine is None:
            affine = self._affines[frame_size] = frame_from_input(self.engine.spec, frame_size)
        found = self._decode(heatmaps)
        # The decoder's results are its caller's own: they are carried to the frame where they lie.
        to_frame(affine, *offset_xy, found.xy.reshape(-1, 2), found.cov.reshape(-1, 2, 2))
        return found

    def estimate(
        self,
        image: NDArray[np.uint8],
        window: Region | None = None,
        context: TemporalContext | None = None,
        offset_xy: tuple[int, int] = (0, 0),
    ) -> Keypoints[FloatArray]:
        """Find the keypoints of one frame, or of a window of it.

        Parameters
        ----------
        image
            Frame (H, W, C) uint8.
        window
            Its part (x, y, width, height), px; None for the whole.
        context
            The past of the frame, advanced by the call; None shows it with an empty past.
        offset_xy
            Place of the frame's top-left pixel on the sensor, px.

        Returns
        -------
        Keypoints[FloatArray]
            Keypoints (1, K), px of the sensor.
        """
        heatmaps = self.infer(self.preprocess(image, window), None if context is None else [context])
        x, y, width, height = window or (0, 0, image.shape[1], image.shape[0])
        return self.decode(heatmaps, (width, height), (x + offset_xy[0], y + offset_xy[1]))

    def estimate_all(self, images: Iterable[NDArray[np.uint8]]) -> Keypoints[FloatArray]:
        """Find the keypoints of frames that are no sequence.

        A network with context sees each as if nothing had moved: with itself as its past.

        Parameters
        ----------
        images
            F frames (H, W, C) uint8.

        Returns
        -------
        Keypoints[FloatArray]
            Keypoints (F, K), each in px of its own frame.
        """
        return concatenate([self._estimate_single(image) for image in images])

    def estimate_sequence(self, images: Iterable[NDArray[np.uint8]]) -> Keypoints[FloatArray]:
        """Find the keypoints of frames that follow one another, each with those before it as its past.

        Parameters
        ----------
        images
            F frames (H, W, C) uint8.

        Returns
        -------
        Keypoints[FloatArray]
            Keypoints (F, K), px of the frames.
        """
        context = self.new_context()
        return concatenate([self.estimate(image, context=context) for image in images])

    def _estimate_single(self, image: NDArray[np.uint8]) -> Keypoints[FloatArray]:
        context, past_frames = self.engine.spec.context, self.new_context()
        for _ in range(0 if context is None else context.frames):
            self.infer(self.preprocess(image), [past_frames])
        return self.estimate(image, context=past_frames)


class CpuEstimator(Estimator):
    """The chain on the host: network input and heatmaps are arrays."""

    def __init__(
        self, engine: Engine, decode: DecodeSpec, preprocess: str = "dali", detections: int = 1
    ) -> None:
        """Allocate the network's input, and make preprocessing and decoder.

        Parameters
        ----------
        engine
            An engine of the CPU, loaded.
        decode
            The package's decoding.
        preprocess
            "dali" or "compiled".
        detections
            How many animals a frame gives, D, for a package that finds several.
        """
        super().__init__(engine, make_decoder(decode, detections))
        spec = engine.spec
        self._preprocess = _preprocessor(preprocess, spec)
        self._batch = np.zeros((1, spec.channels, spec.height, spec.width), np.float32)
        self._contexts = self.new_context().maps
        """(B, N F, h, w) for several sequences in one call."""

    def preprocess_all(self, images: Images, windows: Sequence[Region | None]) -> NDArray[np.float32]:
        """See `Estimator.preprocess_all`."""
        if len(images) > len(self._batch):
            self._batch = np.zeros((len(images), *self._batch.shape[1:]), np.float32)
        for image, window, out in zip(images, windows, self._batch, strict=False):
            self._preprocess.into(image, out, window)
        return self._batch[: len(images)]

    def infer(
        self, batch: NDArray[np.float32], contexts: Sequence[TemporalContext] | None = None
    ) -> NDArray[np.float32]:
        """See `Estimator.infer`."""
        if contexts is None or self.engine.spec.context is None:
            return self.engine.infer(batch)
        engine = cast(ContextEngine, self.engine)  # `open_engine` lets no other through
        if len(contexts) == 1:
            return engine.advance(batch, contexts[0].maps)
        if len(contexts) > len(self._contexts):
            self._contexts = np.zeros((len(contexts), *self._contexts.shape[1:]), np.float32)
        gathered = self._contexts[: len(contexts)]
        for row, context in zip(gathered, contexts, strict=True):
            np.copyto(row, context.maps[0])
        heatmaps = engine.advance(batch, gathered)
        for row, context in zip(gathered, contexts, strict=True):
            np.copyto(context.maps[0], row)
        return heatmaps

    def pin(self, memory: NDArray[np.uint8]) -> Callable[[], None]:  # noqa: ARG002
        """See `Estimator.pin`. A CPU reads memory as it is: nothing is done."""
        return lambda: None  # a CPU reads memory as it is


def concatenate(found: Sequence[Keypoints[FloatArray]]) -> Keypoints[FloatArray]:
    """Join the keypoints of frames.

    Parameters
    ----------
    found
        Keypoints (1, K) of each of F frames.

    Returns
    -------
    Keypoints[FloatArray]
        Keypoints (F, K).
    """
    return Keypoints(
        np.concatenate([f.xy for f in found]),
        np.concatenate([f.cov for f in found]),
        np.concatenate([f.confidence for f in found]),
    )


def _preprocessor(name: str, spec: InputSpec) -> FramePreprocess:
    if name == "compiled":
        # Imported here: a run with DALI does not wait for the compiler.
        from rt_pose.inference.preprocess_compiled import CompiledPreprocess

        return CompiledPreprocess(spec)
    return Preprocess(spec)
