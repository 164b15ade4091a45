"""Command to light to frame on the simulated rig, whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.live_run import config as live_config
from support.tiny_package import make_tiny_package

import rigs
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.config.certificate import Certificate
from rt_pose.config.schema import CameraConfig, OutputConfig, RunConfig
from rt_pose.drivers import outputs
from rt_pose.errors import UserError
from rt_pose.loop.interval_delays import add_up
from rt_pose.session.loopback import (
    Decisions,
    Wanted,
    choose,
    format_certificate,
    make_certificate,
    measure,
    time_decisions,
)

DELAY_MS, LATE_MS = 23.4, 6.0
FLASHES = 34  # multiples of the golden ratio fill the period as evenly as with the next 20


def rig(rate_hz: float, led: dict[str, Any] | None = None, **output: Any) -> RunConfig:
    """A camera whose frames are always late by the same time, and a light that is late as well."""
    rigs.register()
    options = {
        "width": 80,
        "height": 64,
        "rate_hz": rate_hz,
        "world": "w",
        "led": {"xy": [10, 10], "radius_px": 3} if led is None else led or None,
        "faults": {"late": 1.0, "late_ms": LATE_MS},
    }
    return RunConfig(
        cameras={"top": CameraConfig("simulated", options)},
        outputs={"light": OutputConfig("simulated", {"world": "w", "delay_ms": DELAY_MS} | output)},
    )


@pytest.fixture(autouse=True)
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for the light takes as long as the slowest light may; this one is quick."""
    for name, value_ms in (("FIND_ON_NS", 400), ("FIND_OFF_NS", 400), ("FIND_SETTLED_NS", 200)):
        monkeypatch.setattr(f"rt_pose.loop.loopback.{name}", value_ms * NS_PER_MS)


@pytest.mark.alone
@pytest.mark.parametrize("rate_hz", [30.0, 200.0])
def test_the_known_delay_is_recovered_within_a_millisecond(rate_hz: float) -> None:
    wanted = Wanted("top", "light", flashes=FLASHES, every=3)
    measured = measure(rig(rate_hz), wanted, HostClock())
    flashes = measured.flashes
    assert flashes.to_light().summary()["p50"] == pytest.approx(DELAY_MS, abs=1.0)
    # A busy machine hands frames over later still, and the stamps of this camera say by how much.
    journey_ms = np.median([(s.t_arrival_ns - s.t_scene_ns) / NS_PER_MS for s in flashes.lit])
    assert journey_ms >= LATE_MS
    assert flashes.to_arrival().summary()["p50"] == pytest.approx(DELAY_MS + journey_ms, abs=1.5)
    assert flashes.period_ns == pytest.approx(1e9 / rate_hz, rel=0.001)
    assert flashes.missed <= 2, "on a busy machine a frame with the light may be passed over"
    # With the wait for the next exposure left in, the answer would be too long by half a period.
    waited = np.median(flashes.as_seen_ms()) - DELAY_MS - journey_ms
    assert waited == pytest.approx(500.0 / rate_hz, abs=0.15 * 1000.0 / rate_hz + 1.0)


def test_a_camera_that_does_not_see_the_light_is_an_error() -> None:
    with pytest.raises(
        UserError, match="camera 'top', output 'light': no place in the picture gets brighter"
    ):
        measure(rig(60.0, led={}), Wanted("top", "light", flashes=3), HostClock())


def test_an_output_that_gives_no_pulses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = rig(60.0)
    driver: Any = outputs()["simulated"]
    plain = driver.open

    def without_pulses(self: Any) -> Any:
        info = plain(self)
        info.actions = ["message"]
        return info

    monkeypatch.setattr(driver, "open", without_pulses)
    with pytest.raises(UserError, match=r"output 'light' gives no pulses \(it takes message\)"):
        measure(config, Wanted("top", "light"), HostClock())


def test_an_output_that_fails_ends_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    config = rig(60.0)
    driver: Any = outputs()["simulated"]

    def fails(self: Any, command: Any) -> Any:
        raise OSError("unplugged")

    monkeypatch.setattr(driver, "send", fails)
    with pytest.raises(UserError, match=r"output 'light' .*unplugged"):
        measure(config, Wanted("top", "light"), HostClock())


def test_a_recording_cannot_show_a_light() -> None:
    config = rig(60.0)
    config.cameras["top"].options["duration_s"] = 0.5
    with pytest.raises(UserError, match="camera 'top' has ended; a recording cannot show a light"):
        measure(config, Wanted("top", "light"), HostClock())


def test_where_there_are_several_one_is_chosen_by_name() -> None:
    assert choose(["top"], None, "camera") == "top"
    assert choose(["top", "side"], "side", "camera") == "side"
    with pytest.raises(UserError, match=r"has 2 cameras \(top, side\); say which with --camera NAME"):
        choose(["top", "side"], None, "camera")
    with pytest.raises(
        UserError, match=r"--camera sid: the configuration has no such camera, did you mean 'side'\?"
    ):
        choose(["top", "side"], "sid", "camera")
    with pytest.raises(UserError, match=r"has 0 outputs \(none\)"):
        choose([], None, "output")


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunConfig, Decisions]:
    package = tmp_path_factory.mktemp("package") / "package"
    make_tiny_package(package, keypoints=3)
    config = live_config(package)
    return config, time_decisions(config, "top", 2.0, rigs.register, HostClock())


def test_decisions_are_timed_in_the_runs_own_chain(timed: tuple[RunConfig, Decisions]) -> None:
    config, decisions = timed
    assert 5 < len(decisions.image_to_decision_ms) <= 125, "two seconds at 60 a second, after the first"
    assert np.min(decisions.image_to_decision_ms) > 0.0
    assert 5.0 < decisions.rate_hz < 66.0, "fewer where others have the processor"
    assert 0.0 <= decisions.replaced < 1.0
    assert len(decisions.package_sha256) == 64
    assert (config.armed_at_start, config.certificate, config.seconds) == (True, "auto", 1.5), (
        "left as it was"
    )


@pytest.mark.alone
def test_the_certificate_adds_the_shares_up(timed: tuple[RunConfig, Decisions]) -> None:
    config = rig(200.0)
    wanted = Wanted("top", "light", flashes=20, every=5)
    measured = measure(config, wanted, HostClock())
    made = make_certificate(config, wanted, measured, timed[1], 1_700_000_000 * 10**9)
    assert made.date == "2023-11-14 22:13:20 UTC"
    assert made.delay_ms == made.command_to_light_ms.p50 > DELAY_MS - 1.5
    assert made.stated_delay_ms == DELAY_MS
    assert made.n + made.missed == 20
    assert made.rate_hz == pytest.approx(200.0, rel=0.01)
    assert made.image_to_decision_ms is not None
    assert made.loop_ms is not None
    both = add_up(measured.flashes.to_arrival(), timed[1].image_to_decision_ms)
    assert (made.loop_ms.n, made.loop_ms.p50, made.loop_ms.max) == (both["n"], both["p50"], both["max"])
    assert made.loop_ms.max >= made.command_to_arrival_ms.max
    assert made.settings["model"] == timed[1].package_sha256
    lines = format_certificate(made)
    assert "camera 'top' (simulated seed 0, 200.0 frames/s)" in lines[0]
    assert any(line.startswith("light to light, all together") for line in lines)


def test_without_decisions_the_certificate_says_so(timed: tuple[RunConfig, Decisions]) -> None:
    config, wanted = rig(200.0), Wanted("top", "light", flashes=8, every=5)
    made: Certificate = make_certificate(config, wanted, measure(config, wanted, HostClock()), None, 0)
    assert made.loop_ms is None
    assert made.settings["model"] == ""
    assert "not measured" in "\n".join(format_certificate(made))
