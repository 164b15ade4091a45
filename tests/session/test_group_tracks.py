"""Tracks in space and the observations that they were made from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from support import views_session as views

from rt_pose.session.group_tracks import group_tracks
from rt_pose.session.read import Session


def test_each_track_stands_at_its_newest_observation(tmp_path: Path) -> None:
    session = Session.read(views.write_views_session(tmp_path / "session"))
    found = group_tracks(session, views.GROUP)
    assert len(found) == 3 * views.FRAMES - 1
    for one in found:
        assert one.newest.stamps.t_scene_ns == one.track.t_valid_ns
        assert len(one.used) == 1
    older = [one for one in found if one.used[0] is not one.newest]
    assert [(one.newest.camera, one.used[0].camera) for one in older] == [("b", "a")]
    assert group_tracks(session, "other") == []
    lacking = dataclasses.replace(session, observations=session.observations[5:])
    assert len(group_tracks(lacking, views.GROUP)) == len(found) - 5


def test_a_clock_that_was_set_anew_is_followed(tmp_path: Path) -> None:
    session = Session.read(views.write_views_session(tmp_path / "session"))
    last = session.observations[-1]
    stamps = last.stamps
    back = type(stamps)(stamps.index, 5, stamps.t_arrival_ns, 5, epoch=1)
    last.stamps = back
    assert group_tracks(session, views.GROUP)[-1].newest.stamps == back
