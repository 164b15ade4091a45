"""Only what can be so counts: no stamp from the future, no place beyond the horizon, no path that nobody saw.

Beside each stands what a session of before the number decided, by which it is replayed.
"""

from __future__ import annotations

from typing import Any

from decisions.test_several_cameras import IN, MS, OUT, UNSEEN, Rig, configuration, play

from rt_pose.config.rules import BlockConfig, GeometryConfig, ZoneConfig
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.rig_time import STEPPED_FRAMES, RigTime, RunTime
from rt_pose.rules.semantics import CURRENT, POSSIBLE
from rt_pose.types import FrameStamps

BEFORE = POSSIBLE - 1
HOUR_MS = 3_600_000


def alone(**rule: Any) -> RunConfig:
    return configuration(cameras=("top",), **rule)


def elapsed_ms(frames: list[tuple[int, int]], semantics: int = CURRENT, live: bool = True) -> list[int]:
    """Time of the run after each frame of (scene ms, arrival ms)."""
    time = RunTime(semantics)
    after: list[int] = []
    for index, (scene_ms, arrival_ms) in enumerate(frames):
        exposure_ms = scene_ms if live else arrival_ms - 1
        time.advance("top", FrameStamps(index, exposure_ms * MS, arrival_ms * MS, scene_ms * MS))
        after.append(time.elapsed_ns // MS)
    return after


def test_one_stamp_from_the_future_moves_neither_block_nor_refractory_time() -> None:
    def decided(semantics: int) -> tuple[list[tuple[float, str, str]], str]:
        config = alone(refractory="1 s")
        config.protocol = [BlockConfig("baseline", time="10 s"), BlockConfig("stimulation")]
        rig = Rig(config, semantics)
        events = play(rig, [("top", 0, OUT), ("top", 10, IN), ("top", 20, OUT)])
        rig._scene_ms["top"] = HOUR_MS
        events += play(rig, [("top", 30, OUT)])
        rig._scene_ms["top"] = 0.0
        events += play(rig, [("top", 40 + 10 * i, OUT) for i in range(20)])
        events += play(rig, [("top", 300, IN)])
        return [event[1:] for event in events], rig.rules.protocol.block

    first = (10, "fired", "condition")
    assert decided(CURRENT) == ([first, (300, "suppressed", "refractory")], "baseline")
    assert decided(BEFORE) == ([first, (300, "fired", "condition")], "stimulation")


def test_time_passes_where_the_frames_go_on_from_there() -> None:
    outlier = [(0, 1), (10, 11), (HOUR_MS, 21), (30, 31)]
    assert elapsed_ms(outlier) == [0, 10, 10, 30]
    assert elapsed_ms(outlier, BEFORE) == [0, 10, HOUR_MS, HOUR_MS]
    slow = [(0, 1), (60_000, 60_001), (60_010, 60_011)]
    assert elapsed_ms(slow) == [0, 60_000, 60_010], "the host's clock has seen that time too"
    stepped = [(0, 1), *((HOUR_MS + 10 * i, 11 + 10 * i) for i in range(STEPPED_FRAMES + 1))]
    passed = 10 * STEPPED_FRAMES
    assert elapsed_ms(stepped)[-3:] == [0, passed, passed + 10], "of a clock that stepped, the host's time"
    played = [(scene_ms, i) for i, (scene_ms, _) in enumerate(stepped)]
    gap = HOUR_MS + passed - 10
    assert elapsed_ms(played, live=False)[-3:] == [0, gap, gap + 10], "of a recording, its own"


def test_a_camera_whose_first_exposure_lies_in_the_future_has_its_place_by_its_arrival() -> None:
    def place_ms(semantics: int) -> int:
        time = RigTime(semantics)
        time.advance("top", FrameStamps(0, 0, MS, 0))
        return time.advance("side", FrameStamps(0, HOUR_MS * MS, 6 * MS, HOUR_MS * MS)) // MS

    assert (place_ms(CURRENT), place_ms(BEFORE)) == (6, HOUR_MS)


def test_beyond_the_horizon_nothing_is_measured() -> None:
    """The horizon lies at y = 200 px, and the frames show the keypoint at y = 100, in the sky."""

    def fired(semantics: int, when: str) -> int:
        config = alone(when=when)
        config.geometry = {"top": GeometryConfig(homography=[[1, 0, 0], [0, 1, 0], [0, 0.01, -2]])}
        return len(play(Rig(config, semantics), [("top", 0, IN)]))

    for when in ("x(nose) < -50 mm", "not x(nose) > -50 mm", "x(nose) < -50 mm or x(nose) > 2000 mm"):
        assert (fired(CURRENT, when), fired(BEFORE, when)) == (0, 1), when


def test_who_was_lost_has_not_crossed_a_line_meanwhile() -> None:
    def times(semantics: int) -> list[float]:
        config = alone(when="crossing(nose, gate, left)")
        config.zones = {"gate": ZoneConfig(line=[[200.0, 0.0], [200.0, 300.0]])}
        frames = [("top", 0, IN), ("top", 10, IN), *(("top", 20 + 10 * i, UNSEEN) for i in range(30))]
        frames += [("top", 320, OUT), ("top", 330, OUT), ("top", 340, IN), ("top", 350, OUT)]
        return [t_ms for _, t_ms, *_ in play(Rig(config, semantics), frames)]

    assert (times(CURRENT), times(BEFORE)) == ([350], [320, 350])


def test_an_exposure_from_long_ago_uses_up_no_yoked_times() -> None:
    """As if the command of a frame that was an hour on its way acted an hour later in the session."""

    def events(semantics: int) -> int:
        rig = Rig(alone(yoke_times_s=[30.0, 40.0, 3000.0]), semantics)
        rig.observe("top", 0, OUT)
        stamps = FrameStamps(1, -HOUR_MS * MS, 11 * MS, 10 * MS)
        return len(rig.deciders["top"].decide(rig.trackers["top"], "top", stamps, 18 * MS, armed=True))

    assert (events(CURRENT), events(BEFORE)) == (0, 3)
