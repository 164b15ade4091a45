"""Tracks by filterpy, an implementation that is not ours, against those that a session holds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support import random_session
from support.ornstein import planar
from support.random_session import KEYPOINTS, LogSink, write_random_session

from rt_pose import extras
from rt_pose.audit import reference
from rt_pose.audit.reference import TOLERANCE_PX, compare
from rt_pose.audit.reference_filter import ReferenceFilter, discretised, factor_onto_gate
from rt_pose.cli.main import main
from rt_pose.package import Subspace, TrackingSpec
from rt_pose.records import ArrayData, Record, TrackRecord
from rt_pose.session.read import Session
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.tracking.kalman import inflation
from rt_pose.types import FrameStamps, Pose

MS = 1_000_000


@pytest.mark.parametrize("seed", range(3))
def test_random_sessions_agree(seed: int, tmp_path: Path) -> None:
    """With gated and unseen keypoints, restarts, gaps, stamps out of order and recordings wound back."""
    write_random_session(tmp_path / "session", seed)
    found = compare(Session.read(tmp_path / "session"))
    assert found.agrees, reference.format_reference(found)
    assert found.position_px <= TOLERANCE_PX
    assert 700 < found.n <= 300 * len(KEYPOINTS)


class Tampering(LogSink):
    """Moves one keypoint of one track on its way to the log."""

    moved_px = 1e-4

    def send(self, record: Record) -> bool:
        if isinstance(record, TrackRecord) and record.index >= 150 and not self.done:
            xy = record.xy.array().copy()
            xy[0, 1, 0] += self.moved_px
            record.xy, self.done = ArrayData.of(xy), True
            self.frame = record.index
        return super().send(record)

    done, frame = False, 0


def test_one_coordinate_moved_by_a_ten_thousandth_of_a_pixel_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(random_session, "LogSink", Tampering)
    session = tmp_path / "session"
    write_random_session(session, seed=3)
    assert main(["replay", str(session), "--reference"]) == 1
    messages = capsys.readouterr().out
    assert "NOT within 1e-06 px" in messages
    answer = json.loads((session / "replay.json").read_text())["reference"]
    assert not answer["agrees"]
    assert answer["largest_px"] == pytest.approx(1e-4, rel=1e-3)
    (worst,) = [c for c in answer["cameras"].values() if c["position_px"] > TOLERANCE_PX]
    assert worst["where"].endswith(KEYPOINTS[1])


def test_the_verb_tells_and_keeps_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = tmp_path / "session"
    write_random_session(session, seed=1)
    assert main(["replay", str(session), "--reference"]) == 0
    messages = capsys.readouterr().out
    assert "keypoint by keypoint; largest differences:" in messages
    assert "within 1e-06 px" in messages
    answers = json.loads((session / "replay.json").read_text())
    assert answers["replay"]["identical"]
    assert answers["reference"]["agrees"]
    assert answers["reference"]["n"] == sum(c["n"] for c in answers["reference"]["cameras"].values())
    assert main(["replay", str(session)]) == 0
    assert "reference" not in json.loads((session / "replay.json").read_text())


def test_without_filterpy_the_verb_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = tmp_path / "session"
    write_random_session(session, seed=1, frames=20)
    monkeypatch.setattr(extras, "installed", lambda module: module != "filterpy")
    assert main(["replay", str(session), "--reference"]) == 2
    assert "--reference needs filterpy" in capsys.readouterr().err


@pytest.mark.parametrize("dt_s", [1e-4, 0.01, 0.1, 0.13, 3.0])
def test_the_matrices_are_those_of_filterpy(dt_s: float) -> None:
    q, tau = np.array([4e5, 2e6, 1e3]), np.array([0.1, 0.05, 2.0])
    F, Q = discretised(dt_s, q, tau)
    for k in range(len(q)):
        theirs = planar(dt_s, float(q[k]), float(tau[k]))
        np.testing.assert_allclose(F[k], theirs[0], rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(Q[k], theirs[1], rtol=1e-9)


def test_the_factor_onto_the_gate_is_that_of_the_closed_form() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        P, R = (a @ a.T + 0.01 * np.eye(2) for a in random.normal(0, 3, (2, 2, 2)))
        e = random.normal(0, 20, 2)
        ours = inflation(e[:, None], P[[0, 0, 1], [0, 1, 1]][:, None], R[[0, 0, 1], [0, 1, 1]][:, None], 9.21)
        assert factor_onto_gate(e, P, R, 9.21) == pytest.approx(float(ours[0]), rel=1e-9)


def test_a_pose_prior_agrees_where_poses_break_and_move() -> None:
    """Four keypoints on a line that moves: one flies off, another leaps with the rest, two are exchanged."""
    k, random = 4, np.random.default_rng(4)
    basis = np.linalg.qr(np.kron(np.ones((k, 1)), np.eye(2)))[0].T
    shape = np.stack([40.0 * np.arange(k), np.zeros(k)], axis=1)
    space = Subspace("pose", list(range(k)), shape.ravel().tolist(), basis.tolist(), [2.0] * k)
    bias = [[[0.5, 0.1], [0.1, 0.3]]] * k
    spec = TrackingSpec(
        *([4e5] * k, [0.1] * k, [1.0] * k, [0.5] * k), subspaces=[space], bias_px2=bias, restart_ms=100.0
    )
    ours, theirs = CausalFilter(spec, 1, k), ReferenceFilter(spec, k)
    place, t_ns, largest = np.array([100.0, 100.0]), 0, 0.0
    for i in range(400):
        t_ns += int(random.integers(5, 25)) * MS * (12 if i % 90 == 89 else 1)
        place += random.normal(0, 2, 2) + (60.0 if i % 50 == 30 else 0.0)
        xy = place + shape + random.normal(0, 1, (k, 2))
        if i % 7 == 3:
            xy[i % k] += 80.0
        if i % 41 == 20:
            xy[[0, 2]] = xy[[2, 0]]
        confidence = np.where(random.random(k) < 0.1, 0.0, 1.0)
        cov = random.uniform(0.3, 2.0, k)[:, None, None] * np.eye(2)
        stamps = FrameStamps(index=i, t_exposure_ns=t_ns, t_arrival_ns=t_ns, t_scene_ns=t_ns, epoch=0)
        pose = Pose("top", stamps, xy[None], cov[None], confidence[None])
        track = ours.step(pose)
        theirs.step(pose)
        mean, covariance, lost = theirs.state()
        largest = max(largest, float(np.nanmax(np.abs(track.xy[0] - mean[:, :2]), initial=0.0)))
        np.testing.assert_allclose(track.cov[0], covariance, rtol=1e-6, atol=1e-6)
        assert lost == track.lost[0].tolist()
    assert largest <= TOLERANCE_PX
    assert min(ours.breaks, ours.moves, ours.swaps, ours.restarts, ours.gaps) > 0, ours.counts()
