"""Injected faults: the same ones each time, in the shares that were asked for, and counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.clip import HEIGHT, WIDTH, shown_index, write_clip

import rigs
from rigs.faults import FaultOptions, Faults
from rt_pose.clock import NS_PER_MS, FakeClock
from rt_pose.drivers import DriverContext, make_camera
from rt_pose.errors import UserError
from rt_pose.types import FrameStamps

rigs.register()
N = 20_000


def faults(**options: float) -> Faults:
    return Faults(FaultOptions(**options), 7, "top", "here")  # type: ignore[arg-type]


def test_nothing_happens_unless_it_is_asked_for() -> None:
    calm = faults()
    assert not any(calm.drops(i) or calm.delay_ns(i) for i in range(500))


def test_shares_and_sizes() -> None:
    wild = faults(drop=0.02, jitter_ms=3.0, late=0.01, late_ms=25.0)
    assert np.mean([wild.drops(i) for i in range(N)]) == pytest.approx(0.02, abs=0.004)
    delays = np.array([wild.delay_ns(i) for i in range(N)]) / NS_PER_MS
    late = delays > 3.0
    assert late.mean() == pytest.approx(0.01, abs=0.003)
    assert delays[~late].mean() == pytest.approx(1.5, abs=0.05)
    assert delays[late].min() >= 25.0
    assert delays.max() < 28.0


def test_a_fault_belongs_to_seed_camera_and_frame() -> None:
    options = FaultOptions(drop=0.3)
    draws = [
        [Faults(options, s, c, "").drops(i) for i in range(200)] for s, c in ((7, "a"), (7, "b"), (8, "a"))
    ]
    assert draws[0] == [Faults(options, 7, "a", "").drops(i) for i in range(200)]
    assert draws[0] != draws[1]
    assert draws[0] != draws[2]
    own = Faults(FaultOptions(drop=0.3, seed=7), 8, "a", "")
    assert draws[0] == [own.drops(i) for i in range(200)]


@pytest.mark.parametrize("name", ["drop", "late", "jitter_ms", "late_ms"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), 1e9])
def test_faults_that_make_no_sense(name: str, value: float) -> None:
    with pytest.raises(UserError, match=f"here.faults: {name} must be between 0 and"):
        faults(**{name: value})


@pytest.mark.parametrize("driver", ["video", "simulated"])
def test_an_unknown_fault_names_the_nearest(driver: str, tmp_path: Path) -> None:
    options = {"faults": {"dropp": 1.0}} | ({"path": "x.mkv"} if driver == "video" else {})
    with pytest.raises(UserError, match=r"cameras\.top\.options.*'faults.dropp', did you mean 'drop'"):
        make_camera("top", driver, options, DriverContext(FakeClock()))


def frames(driver: str, options: dict[str, object], count: int) -> list[tuple[FrameStamps, int]]:
    camera = make_camera("top", driver, options, DriverContext(FakeClock(7_000_000), seed=3))
    info = camera.open()
    image = np.zeros((info.height, info.width, info.channels), np.uint8)
    seen = []
    while len(seen) < count and (stamps := camera.grab(image)) is not None:
        seen.append((stamps, shown_index(image)))
    camera.close()
    return seen


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, dict[str, object]]:
    clip = write_clip(tmp_path / "clip.mkv", frames=58, rate_hz=100)
    return {
        "video": {"path": str(clip)},
        "simulated": {"width": WIDTH, "height": HEIGHT, "rate_hz": 100.0, "duration_s": 0.58},
    }


@pytest.mark.parametrize("driver", ["video", "simulated"])
def test_lost_frames_are_gaps_in_the_counter(driver: str, sources: dict[str, dict[str, object]]) -> None:
    seen = frames(driver, sources[driver] | {"faults": {"drop": 0.3}}, 100)
    expected = Faults(FaultOptions(drop=0.3), 3, "top", "")
    last = 57 if driver == "video" else -1  # the last frame of a file always comes: a gap needs an end
    kept = [i for i in range(58) if i in (0, last) or not expected.drops(i)]
    assert [stamps.index for stamps, _ in seen] == kept
    assert len(kept) < 52
    if driver == "video":
        assert [shown for _, shown in seen] == kept


@pytest.mark.parametrize("driver", ["video", "simulated"])
def test_late_frames_arrive_late_in_order_and_none_is_skipped(
    driver: str, sources: dict[str, dict[str, object]]
) -> None:
    """35 ms at 100 frames a second: three frames wait behind each late one."""
    wild = {"late": 0.1, "late_ms": 35.0, "jitter_ms": 2.0}
    seen = [stamps for stamps, _ in frames(driver, sources[driver] | {"faults": wild}, 100)]
    calm = [stamps for stamps, _ in frames(driver, sources[driver], 100)]
    expected = Faults(FaultOptions(**wild), 3, "top", "")  # type: ignore[arg-type]
    assert [s.index for s in seen] == list(range(58))
    assert [(s.t_exposure_ns, s.t_scene_ns) for s in seen] == [(s.t_exposure_ns, s.t_scene_ns) for s in calm]
    due = [s.t_exposure_ns + expected.delay_ns(s.index) for s in seen if s.t_exposure_ns is not None]
    assert [s.t_arrival_ns for s in seen] == np.maximum.accumulate(due).tolist()
    assert max(s.t_arrival_ns - c.t_arrival_ns for s, c in zip(seen, calm, strict=True)) > 35 * NS_PER_MS
