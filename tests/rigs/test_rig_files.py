"""The rigs under `configs/rigs` are what their drivers understand."""

from __future__ import annotations

from pathlib import Path

import pytest

import rigs
from rt_pose.clock import FakeClock
from rt_pose.config.build import load
from rt_pose.config.schema import RunConfig
from rt_pose.drivers import DriverContext, make_camera, make_input, make_output

RIGS = Path(__file__).resolve().parents[2] / "configs" / "rigs"
rigs.register()


@pytest.mark.parametrize("path", sorted(RIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_rig_file_makes_its_drivers(path: Path) -> None:
    config = load(RunConfig, path)
    context = DriverContext(FakeClock())
    assert config.cameras
    for name, camera in config.cameras.items():
        make_camera(name, camera.driver, camera.options, context)
    for name, output in config.outputs.items():
        make_output(name, output.driver, output.options, context)
    for name, line in config.inputs.items():
        make_input(name, line.driver, line.options, context)
