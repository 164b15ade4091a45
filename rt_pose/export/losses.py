"""What a source lacks, or an export leaves out of it, whatever the format has a place for."""

from __future__ import annotations

from collections.abc import Iterator

from rt_pose.audit.replay import unread
from rt_pose.export.poses import Recording


def losses(recording: Recording) -> Iterator[str]:
    """List what a recording does not hold.

    Parameters
    ----------
    recording
        What is exported.

    Yields
    ------
    str
        A clause each, with its number.
    """
    if recording.session is not None:
        yield from unread(recording.session)
    elif recording.source.suffix.lower() == ".nwb":
        yield "of the file positions, confidences and their times are taken, nothing else"
    if recording.unnumbered_rows:
        yield f"{recording.unnumbered_rows:,} rows that are no frame of the video"
    if recording.other_events:
        yield f"{recording.other_events:,} events of other cameras"
    if recording.other_group_events:
        groups = ", ".join(recording.other_groups)
        yield f"{recording.other_group_events:,} events of rules in space, by {groups}"
    for poses in recording.cameras:
        if poses.untracked:
            yield f"{poses.untracked:,} observations of camera '{poses.camera}' without a track in the log"
        if poses.same_time:
            yield f"{poses.same_time:,} observations of camera '{poses.camera}' at the time of another one"
    for group in recording.without_tracks:
        yield f"the group '{group}' has placed nothing in space"
    for placed in recording.spatial:
        if placed.same_time and placed.number == 0:
            yield (
                f"{placed.same_time:,} tracks of the group '{placed.group}' at the time of another one, of "
                "which the last counts"
            )
