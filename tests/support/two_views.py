"""Files and sessions of two or more calibrated cameras that see one animal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from rt_pose.config.build import to_plain
from rt_pose.config.schema import CameraConfig, RunConfig
from rt_pose.offline.prediction_files import COVARIANCE_FIELDS, FIELDS, write_predictions
from rt_pose.package import TrackingSpec
from rt_pose.records import ArrayData, Observation, topic_of
from rt_pose.rules.semantics import CURRENT
from rt_pose.session.log_file import LOG_NAME, LogWriter
from rt_pose.session.read import INFO_NAME
from rt_pose.types import CameraInfo, FloatArray, FrameStamps, StageStamps
from rt_pose.views.camera import CalibratedCamera

PERIOD_NS = 10_000_000
FLOOR_PX2 = 4.0


def write_files(folder: Path, cameras: Sequence[CalibratedCamera], xy: FloatArray) -> list[str]:
    """Prediction files of poses (V, F, K, 2); what --poses is given."""
    names = [f"k{i}" for i in range(xy.shape[2])]
    frames = [str(i) for i in range(xy.shape[1])]
    for camera, seen in zip(cameras, xy, strict=True):
        sure = np.where(np.isfinite(seen[..., :1]), 0.9, 0.1)
        write_predictions(
            folder / f"{camera.name}.csv", names, frames, FIELDS, np.concatenate([seen, sure], axis=-1)
        )
    return [f"{camera.name}={folder / camera.name}.csv" for camera in cameras]


def write_covariances(folder: Path, camera: str, cov: FloatArray) -> None:
    """The covariances (F, K, 2, 2) beside a prediction file."""
    names = [f"k{i}" for i in range(cov.shape[1])]
    values = cov[..., [0, 0, 1], [0, 1, 1]]
    frames = [str(i) for i in range(len(cov))]
    write_predictions(folder / f"{camera}_covariance.csv", names, frames, COVARIANCE_FIELDS, values)


def write_session(folder: Path, cameras: Sequence[CalibratedCamera], xy: FloatArray) -> None:
    """A session's description and log; each camera's exposures are later than those of the one before,
    and each but the first has lost a frame, another one each."""
    folder.mkdir()
    k = xy.shape[2]
    tracking = TrackingSpec([1e6] * k, [0.05] * k, [1.0] * k, [FLOOR_PX2] * k)
    info = {
        camera.name: CameraInfo(camera.name, "simulated", "", *camera.size, 1, 100.0) for camera in cameras
    }
    config = RunConfig(cameras={camera.name: CameraConfig(driver="simulated") for camera in cameras})
    plain = {
        "schema": 1,
        "config": to_plain(config),
        "package": {"keypoints": [f"k{i}" for i in range(k)], "tracking": msgspec.to_builtins(tracking)},
        "cameras": msgspec.to_builtins(info),
        "semantics": CURRENT,
    }
    (folder / INFO_NAME).write_text(json.dumps(plain))
    log = LogWriter(folder / LOG_NAME)
    for f in range(xy.shape[1]):
        for v, camera in enumerate(cameras):
            if v and f == v:
                continue
            t_ns = 1_000_000_000 + f * PERIOD_NS + v * PERIOD_NS // 10
            record = Observation(
                t_ns=t_ns,
                seq=f * len(cameras) + v,
                camera=camera.name,
                stamps=FrameStamps(100 + f, t_ns, t_ns, t_ns),
                xy=ArrayData.of(xy[v, f][None]),
                cov=ArrayData.of(np.broadcast_to(np.eye(2), (1, k, 2, 2))),
                confidence=ArrayData.of(np.where(np.isfinite(xy[v, f, :, 0]), 0.9, 0.0)[None]),
                t_judged_ns=t_ns,
                stages=StageStamps(),
            )
            log.write(topic_of(record).encode(), t_ns, msgspec.msgpack.encode(record))
    log.close()
