"""Warm-up before the first frame: every stage allocates what it keeps and compiles what it calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from rt_pose.inference.decode_argmax import make_decoder
from rt_pose.inference.decode_compiled import to_frame
from rt_pose.inference.estimator import Estimator
from rt_pose.inference.preprocess import frame_from_input
from rt_pose.inference.preprocess_compiled import CompiledPreprocess
from rt_pose.loop.camera_path import CameraPath, pose_of
from rt_pose.package import Package
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.crop import CropWindow
from rt_pose.tracking.drift import precompile as precompile_drift
from rt_pose.tracking.individuals import precompile
from rt_pose.types import CameraInfo, FrameStamps, Pose

RUNS = 20
_STAMPS = FrameStamps(index=0, t_exposure_ns=None, t_arrival_ns=0, t_scene_ns=0)


def load_compiled(package: Package) -> None:
    """Load the compiled functions that frames go through on a CPU, or compile them.

    They need neither engine nor camera, so that this can be done while those are opened. Whatever fails here
    fails again where it is needed, and is told there.

    Parameters
    ----------
    package
        The package of the run.
    """
    manifest, spec = package.manifest, package.manifest.input
    if manifest.individuals > 1:
        return  # how many animals a frame gives is not known here
    with suppress(Exception):
        frame = np.zeros((spec.height, spec.width, spec.channels), np.uint8)
        CompiledPreprocess(spec)((frame,))
        stride, count = manifest.decode.stride, len(manifest.keypoints)
        found = make_decoder(manifest.decode)(
            np.zeros((1, count, spec.height // stride, spec.width // stride), np.float32)
        )
        affine = frame_from_input(spec, (spec.width, spec.height))
        to_frame(affine, 0, 0, found.xy.reshape(-1, 2), found.cov.reshape(-1, 2, 2))
        pose = Pose("", _STAMPS, found.xy, found.cov, found.confidence)
        precompile(CausalFilter(manifest.tracking, 1, count), pose)


def warm_up(estimator: Estimator, paths: Mapping[str, CameraPath]) -> None:
    """Run the chain on blank images until nothing is left to allocate or compile.

    It runs on every shape, and every number of frames a call, that the cameras may bring.

    Parameters
    ----------
    estimator
        The estimator of the run.
    paths
        The cameras' paths; their filters do not change, their contexts are empty afterwards.
    """
    blanks = [_blank(path.info) for path in paths.values()]
    whole: list[CropWindow | None] = [None] * len(blanks)
    pasts = [path.context for path in paths.values()]
    for count in range(1, len(blanks) + 1):  # as many frames a call as cameras may have ready
        for _ in range(RUNS):
            pixels = estimator.preprocess_all(blanks[:count], whole[:count])
            maps = estimator.infer(pixels, pasts[:count])
            found = estimator.decode(maps[:1], (blanks[0].shape[1], blanks[0].shape[0]))
    for path in paths.values():
        pose = pose_of(path.info.name, _STAMPS, found)
        precompile(path.tracker, pose)
        if path.drift is not None:
            precompile_drift(path.drift, path.tracker, pose)
    for path, blank in zip(paths.values(), blanks, strict=True):
        path.context.reset()
        shapes: list[CropWindow | None] = [None]
        if path.crop is not None:
            shapes.append(CropWindow(0, 0, path.crop.config.width, path.crop.config.height))
        for shape in shapes:  # cameras take turns at being first: every shape at every place of a call
            estimator.infer(estimator.preprocess_all([blank] * len(blanks), [shape] * len(blanks)))


def rehearsal(estimator: Estimator, info: CameraInfo) -> Callable[[], object]:
    """Make the chain on a blank image of a camera, with a temporal context of its own.

    Parameters
    ----------
    estimator
        The estimator of the run.
    info
        The camera, for the size of its frames.

    Returns
    -------
    Callable[[], object]
        Goes from the blank image to keypoints.
    """
    blank, past, size = [_blank(info)], [estimator.new_context()], (info.width, info.height)
    return lambda: estimator.decode(estimator.infer(estimator.preprocess_all(blank, [None]), past), size)


def _blank(info: CameraInfo) -> NDArray[np.uint8]:
    return np.zeros((info.height, info.width, info.channels), np.uint8)
