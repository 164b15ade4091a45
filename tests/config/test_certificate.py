"""The latency certificate of a rig: file, validity, consequences."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.certificates import camera_infos, certificate, output_infos, percentiles

from rt_pose.config.build import build, load
from rt_pose.config.certificate import (
    MAX_BYTES,
    NS_PER_DAY,
    Certification,
    certificate_path,
    certify,
    hash_of,
    place_certificate,
    read_certificates,
    settings_of,
    write_certificate,
)
from rt_pose.config.check import check_run
from rt_pose.config.schema import CameraConfig, CropConfig, OutputConfig, RunConfig
from rt_pose.config.shipped import FOLDER
from rt_pose.config.source import Source
from rt_pose.errors import UserError

NOW_NS = 100 * NS_PER_DAY
SHA = "ab" * 32
LIMITS = {("top", "stimulus"): {"budget_ms": 50.0}}


def rig(path: Path | None = None, **changes: Any) -> RunConfig:
    values: dict[str, Any] = {
        "cameras": {"top": CameraConfig("simulated", {"rate_hz": 60, "world": "w"})},
        "outputs": {"stimulus": OutputConfig("simulated", {"world": "w", "delay_ms": 1})},
        "certificate": "warn",
        "certificate_file": "" if path is None else str(path),
    }
    return RunConfig(**(values | changes))


def checked(config: RunConfig, hardware: bool = False, limits: Any = None) -> Certification:
    cameras = camera_infos(config, hardware=hardware)
    return certify(config, cameras, output_infos(config), LIMITS if limits is None else limits, SHA, NOW_NS)


def test_a_certificate_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "rig.certificate.json"
    config = rig()
    write_certificate(path, certificate(config, SHA))
    assert read_certificates(path) == [certificate(config, SHA)]
    plain = json.loads(path.read_text())
    assert plain["schema"] == 1
    assert plain["certificates"][0]["as_seen_ms"] == {
        "n": 200, "p50": 20.0, "p90": 21.0, "p99": 22.0, "p99_9": None, "max": 23.0
    }  # fmt: skip


def test_a_new_measurement_replaces_that_of_the_same_pair_alone(tmp_path: Path) -> None:
    path, config = tmp_path / "c.json", rig()
    write_certificate(path, certificate(config, output="other"))
    write_certificate(path, certificate(config, delay_ms=3.0))
    write_certificate(path, certificate(config, delay_ms=4.0))
    assert [(c.output, c.delay_ms) for c in read_certificates(path)] == [("other", 7.25), ("stimulus", 4.0)]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "is damaged"),
        (b"{}", "is damaged"),
        (b"[]", "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[" * 50_000, "is damaged"),
        (b'{"schema": 2, "certificates": []}', "has schema 2, expected 1"),
        (b'{"certificates": [{"camera": "top"}]}', "is damaged"),
        (b" " * (MAX_BYTES + 1), "bytes are too long"),
    ],
)
def test_a_file_that_is_none_is_an_error_and_stays(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=says):
        read_certificates(path)
    with pytest.raises(UserError, match="measure again with `rt-pose rig loopback`, or remove the file"):
        write_certificate(path, certificate(rig()))
    assert path.read_bytes() == content


def test_a_delay_that_is_no_delay_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    write_certificate(path, certificate(rig()))
    path.write_text(path.read_text().replace('"delay_ms": 7.25', '"delay_ms": -1'))
    with pytest.raises(UserError, match="is damaged"):
        read_certificates(path)


def test_it_lies_beside_the_configuration(tmp_path: Path) -> None:
    assert certificate_path(tmp_path / "my rig.yaml") == tmp_path / "my rig.certificate.json"
    assert certificate_path(FOLDER / "rigs" / "simulated.yaml") == Path("simulated.certificate.json")


def test_the_place_is_set_by_the_file_unless_the_configuration_says_so(tmp_path: Path) -> None:
    config, named = rig(), rig(Path("here.json"))
    source = Source({}, str(tmp_path / "a.yaml"))
    place_certificate(config, source)
    place_certificate(named, source)
    assert (config.certificate_file, named.certificate_file) == (
        str(tmp_path / "a.certificate.json"),
        "here.json",
    )
    without = rig()
    place_certificate(without, Source({}, "run", by_options=True))
    assert without.certificate_file == ""


def test_what_holds_gives_its_delay(tmp_path: Path) -> None:
    config = rig(tmp_path / "c.json")
    write_certificate(tmp_path / "c.json", certificate(config, SHA))
    found = checked(config)
    assert (found.mode, found.problems, found.refusal) == ("warn", [], "")
    assert found.used["stimulus"].delay_ms == 7.25


@pytest.mark.parametrize(("hardware", "mode"), [(True, "warn"), (False, "off")])
def test_by_default_devices_are_warned_of_and_recordings_are_not(hardware: bool, mode: str) -> None:
    found = checked(rig(certificate="auto"), hardware)
    assert found.mode == mode
    assert bool(found.problems) == hardware
    assert found.refusal == ""


def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    found = checked(rig(tmp_path / "c.json", certificate="require"))
    (problem,) = found.problems
    assert problem == (
        f"output 'stimulus' has no latency certificate with camera 'top' in {tmp_path / 'c.json'}; `rt-pose "
        "rig loopback` measures it"
    )
    assert found.refusal == f"certificate: require: {problem}"
    assert found.used == {}


def test_off_looks_for_none(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("{")
    assert checked(rig(tmp_path / "c.json", certificate="off")) == Certification(
        "off", str(tmp_path / "c.json")
    )


def test_a_damaged_file_is_a_problem_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text("{")
    assert "is damaged" in checked(rig(tmp_path / "c.json", certificate="require")).refusal


def test_without_rules_that_act_there_is_nothing_to_certify(tmp_path: Path) -> None:
    assert checked(rig(tmp_path / "c.json", certificate="require"), limits={}).refusal == ""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"days": 31.0}, "is 31 days old (certificate_max_days: 30)"),
        ({"days": -3.0}, "is dated 3 days ahead of the clock of this computer"),
        ({"loop_ms": percentiles(49.0)}, "says 51.0 ms from light to light (P99), over budget_ms 50 ms"),
        ({"loop_ms": None}, "does not say how long decisions take: measure it with `--model`"),
    ],
)
def test_one_that_is_old_late_or_says_too_little_still_gives_its_delay(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    config = rig(tmp_path / "c.json", certificate="require")
    write_certificate(tmp_path / "c.json", certificate(config, SHA, **changes))
    found = checked(config)
    assert found.problems == [f"the latency certificate of camera 'top' and output 'stimulus' {says}"]
    assert says in found.refusal
    assert "stimulus" in found.used


def test_a_rules_own_deadline_counts_too(tmp_path: Path) -> None:
    config = rig(tmp_path / "c.json")
    write_certificate(tmp_path / "c.json", certificate(config, SHA))
    limits = {("top", "stimulus"): {"budget_ms": 50.0, "the deadline of rule 'fast'": 15.0}}
    (problem,) = checked(config, limits=limits).problems
    assert problem.endswith("says 19.0 ms from light to light (P99), over the deadline of rule 'fast' 15 ms")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"cameras": {"top": CameraConfig("simulated", {"rate_hz": 120, "world": "w"})}},
            "camera.options.rate_hz was 60, is 120",
        ),
        (
            {"outputs": {"stimulus": OutputConfig("simulated", {"world": "w"})}},
            "output.options.delay_ms was 1, is not set",
        ),
        (
            {
                "cameras": {
                    "top": CameraConfig("simulated", {"rate_hz": 60, "world": "w"}, CropConfig(64, 64))
                }
            },
            "crop.height was not set, is 64",
        ),
    ],
)
def test_one_of_other_settings_says_which_and_gives_nothing(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    write_certificate(tmp_path / "c.json", certificate(rig(), SHA))
    found = checked(rig(tmp_path / "c.json", certificate="require", **changes))
    assert found.used == {}
    assert f"is of other settings: {says}" in found.refusal


def test_another_model_is_another_setting_only_where_decisions_were_timed(tmp_path: Path) -> None:
    config = rig(tmp_path / "c.json")
    write_certificate(tmp_path / "c.json", certificate(config, "cd" * 32))
    assert "model was cdcdcd" in checked(config).problems[0]
    write_certificate(tmp_path / "c.json", certificate(config, "", loop_ms=None, image_to_decision_ms=None))
    found = checked(config)
    assert "of other settings" not in found.problems[0]
    assert "stimulus" in found.used


def test_each_camera_of_a_rule_needs_its_own_and_the_newest_gives_the_delay(
    tmp_path: Path,
) -> None:
    cameras = {name: CameraConfig("simulated", {"world": "w"}) for name in ("top", "side", "gone")}
    config = rig(tmp_path / "c.json", cameras={name: cameras[name] for name in ("top", "side")})
    both = {(camera, "stimulus"): {"budget_ms": 50.0} for camera in ("top", "side")}
    for camera, days, without in (("top", 5.0, ["side"]), ("gone", 1.0, ["side"]), ("side", 2.0, [])):
        write_certificate(
            tmp_path / "c.json", certificate(rig(cameras=cameras), SHA, days=days, camera=camera)
        )
        found = checked(config, limits=both)
        assert len(found.problems) == len(without)
        assert all(f"no latency certificate with camera '{name}'" in found.problems[0] for name in without)
    assert found.used["stimulus"].camera == "side"


def test_what_was_left_to_the_camera_is_a_setting_where_the_certificate_knows_it(tmp_path: Path) -> None:
    config = rig(tmp_path / "c.json")
    (camera,), (output,) = camera_infos(config), output_infos(config)

    def settings(exposure_us: float | None) -> dict[str, Any]:
        one = {"asked": None, "actual": exposure_us}
        read = {} if exposure_us is None else {"exposure_us": one, "temperature_c": one}
        return settings_of(config, replace(camera, settings=read), output, SHA)

    for then, now, says in (
        (1000.0, 20_000.0, "camera.actual.exposure_us was 1000, is 2e+04"),
        (1000.0, 1000.01, ""),
        (None, 20_000.0, ""),
    ):
        write_certificate(tmp_path / "c.json", certificate(config, SHA, settings=settings(then)))
        read = {
            "exposure_us": {"asked": None, "actual": now},
            "temperature_c": {"asked": None, "actual": now},
        }
        cameras = [replace(camera, settings=read)]
        found = certify(config, cameras, [output], LIMITS, SHA, NOW_NS)
        assert len(found.problems) == bool(says)
        assert says in "".join(found.problems)


def test_another_device_under_the_same_name_is_another_setting(tmp_path: Path) -> None:
    write_certificate(tmp_path / "c.json", certificate(rig(seed=1), SHA))
    found = checked(rig(tmp_path / "c.json", seed=2))
    assert "is of other settings: camera.serial was seed 1, is seed 2" in found.problems[0]
    assert found.used == {}


def test_the_hash_changes_with_any_setting_and_not_with_their_order() -> None:
    config = rig()
    base = settings_of(config, camera_infos(config)[0], output_infos(config)[0], SHA)
    assert hash_of(base) == hash_of(dict(reversed(base.items())))
    for key in base:
        assert hash_of(base | {key: "other"}) != hash_of(base)


def test_options_of_any_kind_can_be_hashed(tmp_path: Path) -> None:
    file = tmp_path / "rig.yaml"
    file.write_text(
        "cameras: {top: {driver: simulated, options: {made: 2026-01-01, gain: .nan, roi: [1, 2]}}}\n"
        "outputs: {o: {driver: simulated, options: {world: w}}}\n"
    )
    config = load(RunConfig, file)
    settings = settings_of(config, camera_infos(config)[0], output_infos(config)[0], "")
    assert len(hash_of(settings)) == 16
    assert settings["camera.options.roi.1"] == 2
    json.dumps(settings, allow_nan=False)


@pytest.mark.parametrize("word", ["off", "require", "warn", "auto"])
def test_the_mode_is_written_as_a_word(tmp_path: Path, word: str) -> None:
    """YAML reads `off` as false."""
    file = tmp_path / "rig.yaml"
    file.write_text(f"certificate: {word}\nbudget_check: off\n")
    config = load(RunConfig, file)
    assert (config.certificate, config.budget_check) == (word, "off")


def test_other_words_and_ages_are_mistakes() -> None:
    with pytest.raises(UserError, match="expected one of auto, require, warn, off"):
        build(RunConfig, {"certificate": "requires"})
    with pytest.raises(UserError, match="certificate"):
        build(RunConfig, {"certificate": True})
    with pytest.raises(UserError, match="certificate_max_days: expected more than 0"):
        check_run(RunConfig(certificate_max_days=0.0))


def test_what_is_no_file_is_an_error_and_does_not_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(UserError, match="is no file"):
            read_certificates(path)
