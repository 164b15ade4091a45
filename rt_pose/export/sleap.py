"""SLEAP's two formats: labels with predicted instances (.slp), and analysis tables (.h5)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rt_pose.export.poses import Poses

TRACK = "track_0"


def write_slp(poses: Poses, out: Path) -> None:
    """Write predicted instances, one a frame in which something was seen.

    Parameters
    ----------
    poses
        The poses.
    out
        The file.
    """
    import sleap_io as sio

    skeleton = sio.Skeleton(
        nodes=poses.keypoints,
        edges=[(poses.keypoints[a], poses.keypoints[b]) for a, b in poses.skeleton],
        name="rt-pose",
    )
    video = sio.Video(filename=str(poses.video or poses.source), open_backend=False)
    track = sio.Track(TRACK)
    frames = []
    for row, frame in enumerate(_film_rows(poses)):
        if not np.isfinite(poses.xy[row]).any():
            continue
        instance = sio.PredictedInstance.from_numpy(
            points_data=poses.xy[row],
            point_scores=np.nan_to_num(poses.confidence[row]),
            score=float(np.nanmean(poses.confidence[row])),
            skeleton=skeleton,
            track=track,
        )
        frames.append(sio.LabeledFrame(video=video, frame_idx=int(frame), instances=[instance]))
    labels = sio.Labels(labeled_frames=frames, videos=[video], skeletons=[skeleton], tracks=[track])
    labels.save(str(out), embed=False)


def write_analysis_h5(poses: Poses, out: Path) -> None:
    """Write SLEAP's analysis table: a dense array over all frames of the film.

    Parameters
    ----------
    poses
        The poses.
    out
        The file.
    """
    import h5py

    rows = _film_rows(poses)
    count, keypoints = int(rows.max()) + 1, len(poses.keypoints)
    tracks = np.full((1, 2, keypoints, count), np.nan)
    scores = np.full((1, keypoints, count), np.nan)
    occupied = np.zeros((count, 1), np.uint8)
    tracks[0, :, :, rows] = poses.xy.transpose(0, 2, 1)
    scores[0, :, rows] = poses.confidence
    occupied[rows, 0] = np.isfinite(poses.xy).any(axis=(1, 2))
    instance = np.full((1, count), np.nan)
    instance[0, rows] = np.nanmean(poses.confidence, axis=1)
    with h5py.File(out, "w") as file:
        file.create_dataset("tracks", data=tracks, compression="gzip")
        file.create_dataset("track_occupancy", data=occupied)
        file.create_dataset("point_scores", data=scores, compression="gzip")
        file.create_dataset("instance_scores", data=instance)
        file.create_dataset("tracking_scores", data=np.zeros((1, count)))
        for name, texts in (("track_names", [TRACK]), ("node_names", poses.keypoints)):
            file.create_dataset(name, data=[text.encode() for text in texts])
        named = [(poses.keypoints[a].encode(), poses.keypoints[b].encode()) for a, b in poses.skeleton]
        file.create_dataset("edge_names", data=np.array(named, "S").reshape(-1, 2))
        file.create_dataset("edge_inds", data=np.array(poses.skeleton, np.int64).reshape(-1, 2))
        file.create_dataset("video_path", data=str(poses.video or poses.source))
        file.create_dataset("video_ind", data=0)
        file.create_dataset("labels_path", data=str(poses.source))
        file.create_dataset("provenance", data="{}")


def _film_rows(poses: Poses) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Numbers of the frames in the film; of a session each filmed frame has the number of its row."""
    if poses.session is None:
        return poses.frames
    from rt_pose.session.video_file import read_times

    times = read_times(poses.session.path, poses.camera)
    if times is None:
        return poses.frames - poses.frames[0]
    row_of = {int(frame): row for row, frame in enumerate(times.frame)}
    free = len(row_of)  # a frame that was not filmed comes behind the film's end
    return np.array([row_of.get(int(frame), free + i) for i, frame in enumerate(poses.frames)], np.int64)
