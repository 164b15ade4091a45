from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.random_session import KEYPOINTS, random_config, tracking

from rt_pose.audit.recompute import ReplaySetup
from rt_pose.audit.settings import apply_settings
from rt_pose.errors import UserError


@pytest.fixture
def setup() -> ReplaySetup:
    config = random_config(np.random.default_rng(3))
    config.rules[0].name = "reach"
    return ReplaySetup(
        config, tracking(), list(KEYPOINTS), list(config.cameras), {"laser": 2.0, "tone": 25.0}
    )


def test_a_rule_is_named_and_its_own_value_is_kept(setup: ReplaySetup) -> None:
    changed, (expected,) = apply_settings(setup, ["rules.reach.withhold=0.75"])
    assert (expected.key, expected.before, expected.after) == (
        "rules.reach.withhold",
        setup.config.rules[0].withhold,
        0.75,
    )
    assert changed.config.rules[0].withhold == 0.75
    assert setup.config.rules[0].withhold != 0.75
    assert changed.config.rules[1:] == setup.config.rules[1:]


def test_several_at_once(setup: ReplaySetup) -> None:
    changed, expected = apply_settings(
        setup,
        ["zones.left.circle=[1, 2, 3]", "zones.left.circle.2=9", "budget_ms=7", "rules.reach.hold=12 ms"],
    )
    assert changed.config.zones["left"].circle == [1, 2, 9]
    assert changed.config.budget_ms == 7
    assert changed.config.rules[0].hold == "12 ms"
    assert len(expected) == 4


def test_a_condition_is_text(setup: ReplaySetup) -> None:
    changed, _ = apply_settings(setup, ["rules.reach.when=speed(nose) > 5"])
    assert changed.config.rules[0].when == "speed(nose) > 5"


def test_the_filter_for_all_keypoints_or_for_one(setup: ReplaySetup) -> None:
    changed, _ = apply_settings(
        setup, ["tracking.gain=3", "tracking.q_px2_s3.paw=1e5", "tracking.lost_ms=80"]
    )
    assert changed.tracking.gain == [3, 3, 3]
    assert changed.tracking.q_px2_s3 == [setup.tracking.q_px2_s3[0], 1e5, setup.tracking.q_px2_s3[2]]
    assert changed.tracking.lost_ms == 80


def test_the_delay_of_an_output(setup: ReplaySetup) -> None:
    changed, _ = apply_settings(setup, ["delays_ms.laser=12"])
    assert changed.delays_ms == {"laser": 12.0, "tone": 25.0}


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("rules.reach.withold=0.1", "no 'withold' in rules.reach, did you mean 'withhold'?"),
        ("rules.raech.withhold=0.1", "no 'raech' in rules, did you mean 'reach'?"),
        ("ruls.reach.withhold=0.1", "no 'ruls' to set, did you mean 'rules'?"),
        ("rules.reach.withhold=often", "expected `float`, got `str`"),
        ("rules.reach.hold=20", "has a unit, e.g. '30 ms'"),
        ("rules.reach=3", "rules.reach is a group"),
        ("rules.reach.withhold.more=3", "rules.reach.withhold is a single value"),
        ("rules.reach.withhold", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("cameras.top.driver=video", "'cameras' only made the inputs"),
        ("tracking.gain.noze=3", "no 'noze' in tracking.gain, did you mean 'nose'?"),
        ("tracking.gain=-3", "tracking.gain: expected 0 or more"),
        ("tracking.gain=much", "expected `float`, got `str`"),
        ("tracking.tau_s=0", "--set tracking.tau_s: expected numbers above 0, got 0"),
        ("tracking.restart_frames=0", "--set tracking.restart_frames: expected 1 or more, got 0"),
        ("tracking.bias_px2=[[[1, 0], [0, 1]]]", "--set tracking.bias_px2: expected 3 matrices of 2 by 2"),
        ("delays_ms.laser=soon", "expected `float`, got `str`"),
        ("delays_ms.lasr=1", "did you mean 'laser'?"),
        ("zones.left.circle.5=1", "no '5' in zones.left.circle"),
        ("budget_ms=-1", "budget_ms: expected more than 0"),
    ],
)
def test_what_cannot_be_set(setup: ReplaySetup, setting: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        apply_settings(setup, [setting])
    assert expected in str(caught.value)


def test_the_filter_is_set_for_cameras_with_models_of_their_own_too(setup: ReplaySetup) -> None:
    own = {"side": dataclasses.replace(tracking(), gain=[7.0, 8.0, 9.0])}
    changed, changes = apply_settings(
        dataclasses.replace(setup, own_tracking=own), ["tracking.gain.paw=3", "tracking.lost_ms=80"]
    )
    assert changed.tracking_of("top").gain == [1.0, 3.0, 2.0]
    assert changed.tracking_of("side").gain == [7.0, 3.0, 9.0]
    assert changed.tracking_of("side").lost_ms == 80
    assert own["side"].gain == [7.0, 8.0, 9.0]
    assert [str(change) for change in changes][:2] == [
        "tracking.gain.paw: 0.5 -> 3",
        "tracking.gain.paw (camera side): 8.0 -> 3",
    ]
    with pytest.raises(UserError, match="--set tracking"):
        apply_settings(dataclasses.replace(setup, own_tracking=own), ["tracking.gain=[1.0]"])
