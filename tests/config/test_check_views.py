"""What makes no sense in groups of views is said with its place, before anything is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from rt_pose.config.build import build
from rt_pose.config.check import check_run
from rt_pose.config.schema import CameraConfig, OutputConfig, RunConfig
from rt_pose.config.views import ViewsConfig, ViewTrackingConfig, place_calibrations
from rt_pose.errors import UserError

CAMERAS = ("back", "side", "top")


def config_of(**groups: ViewsConfig) -> RunConfig:
    cameras = {name: CameraConfig("simulated") for name in CAMERAS}
    return RunConfig(cameras=cameras, outputs={"laser": OutputConfig("simulated")}, views=groups)


def problems(config: RunConfig) -> list[str]:
    with pytest.raises(UserError) as caught:
        check_run(config)
    return str(caught.value).split("\n")


def test_cameras_are_a_list_or_have_other_names_in_the_calibration() -> None:
    plain = {"cameras": {name: {"driver": "simulated"} for name in CAMERAS}}
    groups = {
        "a": {"calibration": "c.toml", "cameras": ["back", "side"]},
        "b": {"calibration": "c.toml", "cameras": {"back": "cam_0", "top": "cam_2"}},
    }
    built = build(RunConfig, {**plain, "views": groups})
    check_run(built)
    assert built.views["a"].camera_names == {"back": "back", "side": "side"}
    assert built.views["b"].camera_names == {"back": "cam_0", "top": "cam_2"}


BOTH = ["back", "side"]


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (ViewsConfig("c", ["back", "sid"]), "cameras[1]: there is no camera 'sid', did you mean 'side'?"),
        (ViewsConfig("c", ["back"]), "cameras: expected two cameras or more, got 1"),
        (ViewsConfig("c", ["back", "back"]), "cameras[1]: camera 'back' is named twice"),
        (ViewsConfig("c", {"back": "a", "side": "a"}), "cameras.back: two cameras are 'a' of"),
        (ViewsConfig("c", BOTH, late="2 s"), "late: expected 0 ms to 1 s, got '2 s'"),
        (ViewsConfig("c", BOTH, unit="px"), "unit: expected mm, cm or m, got 'px'"),
        (ViewsConfig("c", BOTH, up=[0, 1]), "up: expected three numbers, [x, y, z]"),
        (ViewsConfig("c", BOTH, up=[0, 0, 0]), "up: expected a direction, got [0, 0, 0]"),
        (ViewsConfig("c", BOTH, ahead=[1, 0, 0]), "ahead: it turns the axes about `up`"),
        (
            ViewsConfig("c", BOTH, tracking=ViewTrackingConfig(speed=0.0)),
            "tracking.speed: expected more than 0 mm/s, got 0.0",
        ),
        (
            ViewsConfig("c", BOTH, tracking=ViewTrackingConfig(lost="0 ms")),
            "tracking.lost: expected 1 ms to 60 s, got '0 ms'",
        ),
    ],
)
def test_each_mistake_is_told_with_its_place(group: ViewsConfig, expected: str) -> None:
    assert any(f"views.arena.{expected}" in line for line in problems(config_of(arena=group)))


def test_a_group_has_a_name_of_its_own() -> None:
    group = ViewsConfig("c", ["back", "side"])
    told = problems(config_of(top=group, laser=group, any=group))
    for expected in (
        "views.top: a camera is called 'top' too; expected another name",
        "views.laser: an output is called 'laser' too",
        "views.any: 'any' is a word of the rules",
    ):
        assert any(expected in line for line in told), expected
    config = config_of(arena=group)
    config.individuals = 2
    check_run(config)  # several animals are placed as well


def test_a_calibration_beside_the_configuration_is_found(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("")
    groups = {name: ViewsConfig(file, ["back", "side"]) for name, file in (("a", "c.toml"), ("b", "d.toml"))}
    place_calibrations(groups, tmp_path / "rig.yaml")
    assert groups["a"].calibration == str(tmp_path / "c.toml")
    assert groups["b"].calibration == "d.toml", "the message of its absence names it as it was written"
