"""Checks of a run's configuration that its types cannot make."""

from __future__ import annotations

import pytest

from rt_pose.config.check import MAX_CORNERS, check_run
from rt_pose.config.rules import BlockConfig
from rt_pose.config.schema import (
    AimCalibrationConfig,
    CameraConfig,
    OutputConfig,
    RecoveryConfig,
    RunConfig,
)
from rt_pose.errors import UserError


def test_names_and_lengths_that_cannot_be_meant() -> None:
    config = RunConfig(
        outputs={
            "n" * 201: OutputConfig("simulated"),
            "box": OutputConfig("simulated", lines=["laser", "lamp", "laser"]),
        },
        protocol=[BlockConfig("a", trial="1 us"), BlockConfig("b", trial="1 ms"), BlockConfig("c" * 100)],
    )
    with pytest.raises(UserError) as caught:
        check_run(config)
    told = str(caught.value).split("\n")
    assert len(told) == 3
    for expected in (
        "cannot be a name; expected a letter, then letters, digits, '_' or '-', 200 at most",
        "outputs.box.lines: two lines are called 'laser'; expected each name once",
        "protocol[0].trial: expected 1 ms to 1000 hours, got '1 us'",
    ):
        assert any(expected in message for message in told), expected


def test_what_would_cost_too_much_or_go_on_for_ever() -> None:
    corners = [[float(i), float(i * i)] for i in range(MAX_CORNERS + 1)]
    config = RunConfig(
        cameras={"top": CameraConfig("simulated", reconnects=0)},
        outputs={
            "mirror": OutputConfig(
                "simulated",
                recovery=RecoveryConfig(in_all=0),
                aim={"top": AimCalibrationConfig("px", field=corners)},
            )
        },
    )
    with pytest.raises(UserError) as caught:
        check_run(config)
    told = str(caught.value)
    assert "cameras.top.reconnects: expected 1 to 10000, got 0" in told
    assert "outputs.mirror.recovery.in_all: expected 1 to 10000, got 0" in told
    assert "outputs.mirror.aim.top.field: expected at most 100 corners, got 101" in told
    config.outputs["mirror"].aim["top"].field = corners[:-1]
    config.outputs["mirror"].recovery.in_all = config.cameras["top"].reconnects = 1
    check_run(config)
