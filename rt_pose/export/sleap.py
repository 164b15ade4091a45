"""SLEAP's two formats: projects with predicted instances (.slp), and analysis tables (.h5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.errors import UserError
from rt_pose.export.poses import Poses, Recording, held_rows

TRACK, SKELETON = "track_0", "rt-pose"


def write_slp(recording: Recording, out: Path) -> None:
    """Write predicted instances, one for each individual in each frame in which something of it was seen.

    Parameters
    ----------
    recording
        What is exported, of one camera.
    out
        The file.
    """
    _labels(recording).save(str(out), embed=False, verbose=False)


def write_analysis_h5(recording: Recording, out: Path) -> None:
    """Write an analysis table: arrays over all frames of the video.

    Parameters
    ----------
    recording
        What is exported, of one camera.
    out
        The file.
    """
    import sleap_io as sio

    sio.save_analysis_h5(_labels(recording), str(out), labels_path=str(recording.source))


def _labels(recording: Recording) -> Any:
    import sleap_io as sio

    poses = recording.cameras[0]
    names = poses.keypoints
    edges = [(names[a], names[b]) for a, b in poses.skeleton]
    skeleton = sio.Skeleton(nodes=list(names), edges=edges, name=SKELETON)
    video = sio.Video(filename=str(poses.video or recording.source), open_backend=False)
    tracks = [sio.Track(name or TRACK) for name in poses.individuals]
    frames = []
    for row in held_rows(poses).tolist():
        instances = [
            found
            for n, track in enumerate(tracks)
            if (found := _instance(poses, row, n, skeleton, track)) is not None
        ]
        if instances:
            number = int(poses.numbers[row])
            frames.append(sio.LabeledFrame(video=video, frame_idx=number, instances=instances))
    if not frames:
        raise UserError(f"{recording.source}: no keypoint was seen in any frame; there is nothing to write")
    return sio.Labels(labeled_frames=frames, videos=[video], skeletons=[skeleton], tracks=tracks)


def _instance(poses: Poses, row: int, n: int, skeleton: Any, track: Any) -> Any:
    """An individual in a frame; None where nothing of it was seen."""
    import sleap_io as sio

    seen = np.isfinite(poses.xy[row, n]).all(axis=-1)
    if not seen.any():
        return None
    scores = np.where(seen, np.nan_to_num(poses.confidence[row, n]), 0.0)
    return sio.PredictedInstance.from_numpy(
        points_data=np.where(seen[:, None], poses.xy[row, n], np.nan),
        point_scores=scores,
        score=float(scores[seen].mean()),
        skeleton=skeleton,
        track=track,
        tracking_score=None if poses.identity_p is None else float(poses.identity_p[row, n]),
    )
