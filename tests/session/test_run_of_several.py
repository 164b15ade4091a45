"""A run over a recording of two animals, with a network that finds both: decided, logged and replayed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.live_run import ScriptedObserver, config, run
from support.several_package import WIDTH, make_animals_video, make_several_package
from support.tiny_package import make_tiny_package

from rt_pose.audit.from_video import from_video
from rt_pose.audit.replay import replay_session
from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import CameraConfig, OutputConfig, RecordConfig, RunConfig
from rt_pose.errors import UserError
from rt_pose.loop.opening import _several
from rt_pose.package import Package
from rt_pose.session.read import Session

FRAMES, ARM = 40, 16.0


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_several_package(tmp_path_factory.mktemp("several") / "package")


def animals() -> np.ndarray:
    """(F, 2, 2, 2) px: they run past one another, above and below."""
    x = np.linspace(24.0, WIDTH - 24.0, FRAMES)
    middles = np.stack(
        [np.stack([x, np.full(FRAMES, 36.0)], 1), np.stack([x[::-1], np.full(FRAMES, 92.0)], 1)], 1
    )
    return middles[:, :, None] + np.array([[ARM, 0.0], [-ARM, 0.0]])


@pytest.fixture(scope="module")
def session(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """A filmed session of two animals, through the real program."""
    folder = tmp_path_factory.mktemp("run")
    video = make_animals_video(folder / "two.avi", animals())
    pulse = ActionConfig("stimulus", "5 ms")
    rules = [
        RuleConfig("right", "inside(each.k0, right)", pulse),
        RuleConfig("close", "distance(any.k0, other.k0) < 70", pulse),
        RuleConfig("first", "inside(individual0.k0, right)", pulse),
    ]
    options = {"path": str(video), "rate_hz": 60.0, "skip_when_late": False}
    wanted = config(
        package.path,
        individuals=2,
        cameras={"top": CameraConfig("video", options)},
        outputs={"stimulus": OutputConfig("simulated")},
        zones={"right": ZoneConfig(box=[WIDTH / 2, 0.0, WIDTH, 128.0])},
        rules=rules,
        frames="every",
        seconds=None,
        record=RecordConfig(),
    )
    run(wanted, folder / "session", ScriptedObserver())
    (written,) = {path.parent for path in (folder / "session").rglob("session.json")}
    return Session.read(written)


def test_two_animals_from_pixels_to_events(session: Session) -> None:
    assert {one.xy.shape[0] for one in session.observations} == {4}
    newest = session.tracks[-1]
    assert newest.alive == [True, True]
    assert sorted(newest.detection) == [0, 1]
    xy, truth = newest.xy.array(), animals()[-1]
    order = [int(np.abs(truth[:, 0] - own[0]).sum(axis=1).argmin()) for own in xy]
    assert sorted(order) == [0, 1]
    np.testing.assert_allclose(xy, truth[order], atol=4.0)
    found = [(record.event.rule, record.event.individual) for record in session.events]
    assert sorted(who for rule, who in found if rule == "right") == [0, 1]
    assert [who for rule, who in found if rule == "first"] == [0]
    assert any(rule == "close" for rule, _ in found)
    result = replay_session(session)
    assert result.identical, result.differences
    assert session.end is not None
    assert session.end.counts["tracks"]["top"]["births"] == 2


def test_the_film_of_two_animals_gives_nearly_the_same_poses_and_events(session: Session) -> None:
    comparison, moved = from_video(session)
    assert not moved.notes
    assert moved.frames + moved.not_filmed == len(session.observations)
    assert moved.frames > FRAMES // 2
    assert moved.largest_px is not None
    assert 0.0 < moved.largest_px < 1.0, "each animal is compared with itself"
    assert moved.only_once == 0
    before, after = (
        sorted((trial.event.rule, trial.event.individual) for trial in trials)
        for trials in (comparison.before, comparison.after)
    )
    assert before == after


def test_a_model_of_another_number_of_animals_is_refused(package: Package, tmp_path: Path) -> None:
    one = make_tiny_package(tmp_path / "one")
    assert _several(one, RunConfig(), "model") is one
    assert _several(package, RunConfig(individuals=["a", "b", "c"]), "model") is package
    with pytest.raises(UserError, match=r"model: .*one finds one animal in a frame, the configuration has 2"):
        _several(one, RunConfig(individuals=2), "model")
    with pytest.raises(
        UserError, match=r"finds several animals in a frame; say how many .* `individuals: 2`"
    ):
        _several(package, RunConfig(), "model")
