"""SLEAP's two formats: projects with predicted instances (.slp), and analysis tables (.h5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.errors import UserError
from rt_pose.export.poses import Recording, held_rows

TRACK, SKELETON = "track_0", "rt-pose"


def write_slp(recording: Recording, out: Path) -> None:
    """Write predicted instances, one for each frame in which something was seen.

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
    track, frames = sio.Track(TRACK), []
    seen = np.asarray(np.isfinite(poses.xy).all(axis=-1))
    for row in held_rows(poses).tolist():
        if not seen[row].any():
            continue
        scores = np.where(seen[row], np.nan_to_num(poses.confidence[row]), 0.0)
        instance = sio.PredictedInstance.from_numpy(
            points_data=np.where(seen[row, :, None], poses.xy[row], np.nan),
            point_scores=scores,
            score=float(scores[seen[row]].mean()),
            skeleton=skeleton,
            track=track,
        )
        number = int(poses.numbers[row])
        frames.append(sio.LabeledFrame(video=video, frame_idx=number, instances=[instance]))
    if not frames:
        raise UserError(f"{recording.source}: no keypoint was seen in any frame; there is nothing to write")
    return sio.Labels(labeled_frames=frames, videos=[video], skeletons=[skeleton], tracks=[track])
