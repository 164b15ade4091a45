"""`replay --hindsight --truth FILE`: what another network, smoother or person found, as the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rt_pose.audit.recompute import ReplaySetup
from rt_pose.audit.truth import TruthSeries, numbered_truth
from rt_pose.decisions.rule import make_rules
from rt_pose.errors import UserError
from rt_pose.offline.poses_csv import read_poses, reorder_keypoints
from rt_pose.session.frame_numbers import number_frames
from rt_pose.session.read import Session


def read_truth(session: Session, given: Sequence[str]) -> list[TruthSeries]:
    """Read files of poses as one truth of a session.

    Parameters
    ----------
    session
        The session.
    given
        A file for each camera, as `FILE` or `CAMERA=FILE`: predictions or labels of any program.

    Returns
    -------
    list[TruthSeries]
        One for each camera and epoch.

    Raises
    ------
    UserError
        Where a file cannot be read, has no frame of its camera, or lacks a keypoint that a rule needs; or
        where the session tracked several individuals, of which no file says which slot held which.
    """
    setup, found = ReplaySetup.of(session), list[TruthSeries]()
    if (count := setup.config.individual_count) > 1:
        raise UserError(
            f"--truth {given[0]}: {count} individuals were tracked, and no file says which slot held which "
            "animal; leave it out: --hindsight itself knows them all"
        )
    rules = make_rules(setup.config, setup.keypoints, setup.delays_ms, semantics=setup.semantics)
    # A file is of the frames of one camera: no rule in space can be scored against it.
    needed = {setup.keypoints[k] for rule in rules if not rule.views for k in rule.keypoints}
    for camera, path in _by_camera(session, given).items():
        xy = reorder_keypoints(read_poses(path, camera), setup.keypoints, needed, f"--truth {path}")
        where = number_frames(session, camera).where
        series = numbered_truth(session, camera, xy, f"{path.name}, {where}")
        if not series:
            raise UserError(f"--truth {path}: its {len(xy)} rows are none of the {where}")
        found += series
    return found


def _by_camera(session: Session, given: Sequence[str]) -> dict[str, Path]:
    names, found = list(session.info.cameras), dict[str, Path]()
    for text in given:
        camera, equals, file = text.partition("=")
        if not equals or camera not in names:
            camera, file = names[0], text
            if len(names) > 1:
                raise UserError(
                    f"--truth {text}: the session has the cameras {', '.join(names)}; write --truth "
                    f"{names[0]}={text}"
                )
        if camera in found:
            raise UserError(f"--truth {text}: camera '{camera}' has one already, {found[camera]}")
        found[camera] = Path(file)
    return found
