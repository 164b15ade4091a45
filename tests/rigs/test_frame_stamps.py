"""Counter and clock of a camera's frames."""

from __future__ import annotations

import pytest

from rigs.counters import advance
from rigs.device_clock import DeviceClock
from rigs.frame_stamps import FrameStamper
from rt_pose.clock import NS_PER_MS, FakeClock

MS = NS_PER_MS
MHZ = 1_000_000.0


def stamper(**changes: object) -> FrameStamper:
    return FrameStamper(FakeClock(), **({"tick_hz": MHZ} | changes))  # type: ignore[arg-type]


def test_a_gap_in_the_index_is_frames_that_the_device_lost() -> None:
    stamps = stamper()
    assert [stamps.stamp(c, c * 1000, c * MS).index for c in (17, 18, 21, 22)] == [0, 1, 4, 5]
    assert stamps.summary()["lost"] == 2


def test_block_numbers_of_gige_vision_go_from_65535_to_1() -> None:
    stamps = stamper(counter_modulo=65536, counter_first=1)
    counters = [65533, 65534, 65535, 1, 2, 5]
    assert [stamps.stamp(c, i * 1000 + 1, i * MS).index for i, c in enumerate(counters)] == [0, 1, 2, 3, 4, 7]
    assert stamps.summary()["counter_resets"] == 0


def test_sixteen_bits_go_from_65535_to_0() -> None:
    stamps = stamper(counter_modulo=65536)
    assert [stamps.stamp(c, None, 5).index for c in (65535, 0, 1)] == [0, 1, 2]


def test_a_frame_that_failed_has_the_index_that_it_would_have_had() -> None:
    stamps = stamper(counter_modulo=65536, counter_first=1)
    assert stamps.index_of(65533) is None, "the first whole frame is number 0"
    assert stamps.stamp(65534, 1, 5).index == 0
    assert [stamps.index_of(c) for c in (65535, 1, 2)] == [1, 2, 3]
    assert stamps.stamp(3, 2, 9).index == 4
    assert stamps.index_of(3) is None
    assert stamps.index_of(2) == 3, "told late, after a newer frame"
    assert stamps.index_of(60000) is None, "older than the first"
    assert stamps.index_of(None) is None


def test_a_counter_that_begins_again_loses_nothing() -> None:
    stamps = stamper()
    assert [stamps.stamp(c, None, 5).index for c in (900, 901, 0, 1)] == [0, 1, 2, 3]
    assert stamps.summary()["counter_resets"] == 1


def test_without_a_counter_frames_are_counted() -> None:
    stamps = stamper()
    assert [stamps.stamp(None, None, i).index for i in range(3)] == [0, 1, 2]


def test_the_middle_of_the_exposure_is_before_the_arrival_by_half_of_it_and_the_journey() -> None:
    stamps = stamper(exposure_ns=4 * MS, delay_ns=1 * MS)
    found = stamps.stamp(0, 123_456, 100 * MS)
    assert found.t_exposure_ns == found.t_scene_ns == 97 * MS
    assert found.t_arrival_ns == 100 * MS
    assert found.t_device_ticks == 123_456
    assert found.clock_error_ns >= 20 * MS


def test_where_a_camera_has_no_ticks_nothing_is_invented() -> None:
    stamps = stamper(tick_hz=None, exposure_ns=4 * MS)
    found = [stamps.stamp(i, None, t) for i, t in enumerate((100, 100, 250))]
    assert [s.t_exposure_ns for s in found] == [None, None, None]
    assert [s.t_scene_ns for s in found] == [100, 101, 250], "it rises strictly"
    assert stamps.summary()["exposure"] == "unavailable"


def test_the_arrival_is_now_where_none_is_given() -> None:
    clock = FakeClock(77)
    assert FrameStamper(clock, tick_hz=None).stamp(0, None).t_arrival_ns == 77


def test_a_frame_without_ticks_among_others_is_counted() -> None:
    stamps = stamper()
    for i in range(5):
        found = stamps.stamp(i, None if i == 2 else 1 + i * 1000, (1 + i) * MS)
        assert (found.t_exposure_ns is None) == (i == 2)
    assert stamps.summary()["without_ticks"] == 1


def test_after_a_reconnection_counter_and_clock_begin_anew_and_the_index_goes_on() -> None:
    stamps = stamper()
    before = [stamps.stamp(500 + i, 1_000_000 + i * 1000, i * MS) for i in range(3)]
    stamps.restart()
    after = [stamps.stamp(i, i * 1000, 900 * MS + i * MS) for i in range(3)]
    assert [s.index for s in (*before, *after)] == [0, 1, 2, 3, 4, 5]
    assert [s.epoch for s in (*before, *after)] == [0, 0, 0, 1, 1, 1]
    assert after[0].t_scene_ns == 900 * MS
    assert stamps.summary()["restarts"] == 1
    assert stamps.summary()["clock_resets"] == 0


def test_a_device_that_sets_its_clock_counts_the_epoch_up() -> None:
    stamps = stamper()
    epochs = [stamps.stamp(i, t, (1 + i) * 10 * MS).epoch for i, t in enumerate((9_000_000, 9_010_000, 5))]
    assert epochs == [0, 0, 1]
    assert stamps.summary()["clock_resets"] == 1


def test_the_summary_is_for_the_session() -> None:
    stamps = stamper()
    for i in range(600):
        stamps.stamp(i, i * 10_001, (i * 10 + (i % 3)) * MS)  # 100 ppm fast, 0 to 2 ms late
    found = stamps.summary()
    assert found["exposure"] == "device"
    assert found["frames"] == 600
    assert found["slope_ppm"] == pytest.approx(-100.0, abs=2.0)
    assert found["residual_us"]["p50"] == pytest.approx(1000.0, abs=100.0)
    assert found["residual_us"]["max"] == pytest.approx(2000.0, abs=150.0)


@pytest.mark.parametrize(
    ("value", "last", "modulo", "expected", "gone"),
    [
        (5, 3, 100, 0, 2),
        (3, 98, 100, 0, 5),
        (98, 3, 100, 0, -5),
        (3, 98, 100, 200, 205),
        (1, 65535, 65535, 0, 1),
    ],
)
def test_a_short_counter_goes_as_far_as_is_expected(
    value: int, last: int, modulo: int, expected: int, gone: int
) -> None:
    assert advance(value, last, modulo, expected) == gone


def test_the_box_has_the_same_counter() -> None:
    clock = DeviceClock()
    assert clock.unwrap(2**32 - 10) == 2**32 - 10
    assert clock.unwrap(5) == 2**32 + 5
