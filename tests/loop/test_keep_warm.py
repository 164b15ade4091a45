"""The chain runs before a frame is due, once, and never where it could be in the frame's way."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from rt_pose.clock import NS_PER_MS, FakeClock
from rt_pose.loop.keep_warm import MIN_INTERVALS, RETRY_FRAMES, ArrivalPredictor, KeepWarm
from rt_pose.types import FrameStamps

PERIOD_NS, TAKES_NS = 16 * NS_PER_MS, 7 * NS_PER_MS


def stamps(index: int, t_ns: int, epoch: int = 0) -> FrameStamps:
    return FrameStamps(index, None, t_ns, t_ns, epoch=epoch)


@dataclass
class Rig:
    """A loop that does nothing else, on a clock turned by hand."""

    cameras: list[str] = field(default_factory=lambda: ["top"])
    takes_ns: int = TAKES_NS

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.ran_at: list[int] = []
        self.warm = KeepWarm(self.chain, self.cameras, self.clock)
        self.warm.run_once()
        self.ran_at.clear()

    def chain(self) -> None:
        self.ran_at.append(self.clock.now_ns())
        self.clock.sleep_until_ns(self.clock.now_ns() + self.takes_ns)

    def until(self, t_ns: int) -> None:
        """Idle until then, as the loop does."""
        while self.clock.now_ns() < t_ns:
            idle_ns = round(self.warm.idle_s((t_ns - self.clock.now_ns()) / 1e9) * 1e9)
            self.clock.sleep_until_ns(self.clock.now_ns() + max(idle_ns, 1))
            self.warm.run_if_due()

    def frames(self, arrivals_ns: list[int], first: int = 0) -> None:
        for i, t_ns in enumerate(arrivals_ns):
            self.until(t_ns)
            self.warm.observe("top", stamps(first + i, t_ns))


def steady(count: int) -> list[int]:
    return [(10 + i) * PERIOD_NS for i in range(count)]


def test_it_runs_once_before_each_frame_and_ends_before_it() -> None:
    rig = Rig()
    arrivals = steady(MIN_INTERVALS + 6)
    rig.frames(arrivals)
    assert len(rig.ran_at) == 5
    for began_ns, due_ns in zip(rig.ran_at, arrivals[-5:], strict=True):
        assert due_ns - 2 * NS_PER_MS < began_ns + TAKES_NS < due_ns
    assert rig.warm.counts.runs == 5
    assert rig.warm.counts.frames_waited == 0


def test_no_frame_comes_and_it_runs_no_second_time() -> None:
    rig = Rig()
    arrivals = steady(MIN_INTERVALS + 1)
    rig.frames(arrivals)
    rig.until(arrivals[-1] + 20 * PERIOD_NS)
    assert len(rig.ran_at) == 1


def test_a_frame_that_comes_early_is_counted() -> None:
    rig = Rig()
    arrivals = steady(MIN_INTERVALS + 1)
    rig.frames(arrivals)
    early_ns = arrivals[-1] + PERIOD_NS - 4 * NS_PER_MS
    rig.until(early_ns)
    rig.warm.observe("top", stamps(MIN_INTERVALS + 1, early_ns))
    assert rig.warm.counts.frames_waited == 1
    assert 2.0 < rig.warm.counts.longest_wait_ms < 4.0


def test_a_camera_too_fast_for_two_forwards_leaves_no_room() -> None:
    rig = Rig()
    rig.takes_ns = 20 * NS_PER_MS
    for _ in range(60):
        rig.warm.run_once()
    rig.ran_at.clear()
    rig.frames(steady(1000))
    assert len(rig.ran_at) <= 1000 / RETRY_FRAMES


def test_runs_that_were_slow_for_a_while_are_tried_again() -> None:
    rig = Rig()
    rig.takes_ns = 3 * PERIOD_NS
    for _ in range(60):
        rig.warm.run_once()
    rig.takes_ns = TAKES_NS
    rig.frames(steady(4000))
    assert rig.warm.counts.runs > 200


def test_one_stall_does_not_end_it() -> None:
    rig = Rig()
    rig.takes_ns = 10 * PERIOD_NS
    rig.warm.run_once()
    rig.takes_ns = TAKES_NS
    rig.ran_at.clear()
    rig.frames(steady(MIN_INTERVALS + 20))
    assert len(rig.ran_at) == 19


def test_without_a_rhythm_it_runs_not_at_all() -> None:
    rig = Rig()
    random = np.random.default_rng(0)
    gaps = random.exponential(PERIOD_NS, 300)
    rig.frames([10 * PERIOD_NS + int(t) for t in np.cumsum(gaps)])
    assert rig.ran_at == []


def test_a_late_loop_does_not_begin_what_would_end_after_the_frame() -> None:
    rig = Rig()
    arrivals = steady(MIN_INTERVALS + 1)
    rig.frames(arrivals)
    rig.clock.sleep_until_ns(arrivals[-1] + PERIOD_NS - TAKES_NS)
    rig.warm.run_if_due()
    assert rig.ran_at == []


def test_a_second_camera_of_unknown_rhythm_forbids_it() -> None:
    rig = Rig(cameras=["top", "side"])
    rig.frames(steady(MIN_INTERVALS + 6))
    assert rig.ran_at == []


def test_frames_that_were_lost_do_not_slow_the_rhythm() -> None:
    rhythm = ArrivalPredictor()
    kept = [i for i in range(60) if i % 3]
    for i in kept:
        rhythm.observe(stamps(i, i * PERIOD_NS))
    assert rhythm.due_ns() == pytest.approx(60 * PERIOD_NS, abs=1000)


def test_winding_back_tells_nothing_of_the_rhythm() -> None:
    rhythm = ArrivalPredictor()
    for i in range(40):
        rhythm.observe(stamps(i, i * PERIOD_NS))
    rhythm.observe(stamps(0, 40 * PERIOD_NS + 5 * NS_PER_MS, epoch=1))
    due_ns = rhythm.due_ns()
    assert due_ns == pytest.approx(41 * PERIOD_NS + 5 * NS_PER_MS, abs=1000)
