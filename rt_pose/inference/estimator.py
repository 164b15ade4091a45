"""The one chain from frames to keypoints: preprocess, infer, decode, back to frame pixels.

The loop calls its three steps one by one, to stamp each; the golden check, offline prediction and
evaluation call it whole. One frame at a time everywhere, so that their results are equal to the bit; what a
network with context holds of the frames before goes through the same states everywhere
(`temporal_context.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, cast

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


class FramePreprocess(Protocol):
    """One frame to the network's input."""

    def into(self, frame: NDArray[np.uint8], out: NDArray[np.float32], window: Region | None = None) -> None:
        """Write the input for a frame (H, W, C), or for its `window`, to `out` (C, h, w)."""
        ...


class Estimator:
    """Keypoints of frames by one network. Not thread safe: one instance a thread."""

    def __init__(self, engine: Engine, decode: DecodeSpec, preprocess: str = "dali") -> None:
        """`preprocess`: dali or compiled."""
        self.engine = engine
        self._preprocess = _preprocessor(preprocess, engine.spec)
        self._decode = make_decoder(decode)
        self._affines: dict[tuple[int, int], FloatArray] = {}
        spec = engine.spec
        self._batch = np.zeros((1, spec.channels, spec.height, spec.width), np.float32)
        self._contexts = self.new_context().maps
        """(B, N F, h, w) for several sequences in one call."""

    def new_context(self) -> TemporalContext:
        """An empty past, for a sequence of frames that begins."""
        return TemporalContext(self.engine.spec)

    def pin(self, memory: NDArray[np.uint8]) -> Callable[[], None]:  # noqa: ARG002
        """Frames will lie in `memory`; call what is returned before it goes. A CPU reads memory as it is."""
        return lambda: None

    def preprocess(self, image: NDArray[np.uint8], window: Region | None = None) -> NDArray[np.float32]:
        """Network input (1, C, h, w) of a frame (H, W, C) or of its window; valid until the next call."""
        self._preprocess.into(image, self._batch[0], window)
        return self._batch[:1]

    def preprocess_all(
        self, images: Sequence[NDArray[np.uint8]], windows: Sequence[Region | None]
    ) -> NDArray[np.float32]:
        """Network input (B, C, h, w) of frames for one call of the engine; valid until the next call."""
        if len(images) > len(self._batch):
            self._batch = np.zeros((len(images), *self._batch.shape[1:]), np.float32)
        for image, window, out in zip(images, windows, self._batch, strict=False):
            self._preprocess.into(image, out, window)
        return self._batch[: len(images)]

    def infer(
        self, batch: NDArray[np.float32], contexts: Sequence[TemporalContext] | None = None
    ) -> NDArray[np.float32]:
        """Heatmaps (B, K, h', w') of network input; valid until the next call.

        `contexts`: that of each frame, moved on by it; without them every frame is seen with an empty past.
        """
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

    def decode(
        self, heatmaps: NDArray[np.float32], frame_size: tuple[int, int], offset_xy: tuple[int, int] = (0, 0)
    ) -> Keypoints[FloatArray]:
        """Keypoints (1, K, ...) in sensor pixels, of a frame of (width, height) at `offset_xy`."""
        affine = self._affines.get(frame_size)
        if affine is None:
            affine = self._affines[frame_size] = frame_from_input(self.engine.spec, frame_size)
        found = self._decode(heatmaps)
        # The decoder's results are its caller's own: they are carried to the frame where they lie.
        to_frame(affine, *offset_xy, found.xy.reshape(-1, 2), found.cov.reshape(-1, 2, 2))
        return found

    def estimate(
        self, image: NDArray[np.uint8], window: Region | None = None, context: TemporalContext | None = None
    ) -> Keypoints[FloatArray]:
        """Keypoints (1, K, ...) of a frame (H, W, C), or of its window, in the frame's pixels.

        `context` is moved on by it; without one the frame is seen with an empty past.
        """
        heatmaps = self.infer(self.preprocess(image, window), None if context is None else [context])
        x, y, width, height = window or (0, 0, image.shape[1], image.shape[0])
        return self.decode(heatmaps, (width, height), (x, y))

    def estimate_all(self, images: Iterable[NDArray[np.uint8]]) -> Keypoints[FloatArray]:
        """Keypoints (F, K, ...) of frames that are no sequence, each in its own pixels.

        A network with context sees each as if nothing had moved: with itself as its past.
        """
        return concatenate([self._estimate_single(image) for image in images])

    def estimate_sequence(self, images: Iterable[NDArray[np.uint8]]) -> Keypoints[FloatArray]:
        """Keypoints (F, K, ...) of frames one after another, each with those before it as its past."""
        context = self.new_context()
        return concatenate([self.estimate(image, context=context) for image in images])

    def _estimate_single(self, image: NDArray[np.uint8]) -> Keypoints[FloatArray]:
        context, past_frames = self.engine.spec.context, self.new_context()
        for _ in range(0 if context is None else context.frames):
            self.infer(self.preprocess(image), [past_frames])
        return self.estimate(image, context=past_frames)


def concatenate(found: Sequence[Keypoints[FloatArray]]) -> Keypoints[FloatArray]:
    """Keypoints (F, K, ...) of frames, from those of each (1, K, ...)."""
    return Keypoints(
        np.concatenate([f.xy for f in found]),
        np.concatenate([f.cov for f in found]),
        np.concatenate([f.confidence for f in found]),
    )


def _preprocessor(name: str, spec: InputSpec) -> FramePreprocess:
    if name == "compiled":
        # Imported here: whoever stays with DALI need not wait for the compiler.
        from rt_pose.inference.preprocess_compiled import CompiledPreprocess

        return CompiledPreprocess(spec)
    return Preprocess(spec)
