"""Every experiment of the gallery is valid, fires when it should, and does not when it should not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from support.delivered import delivered
from support.random_session import write_random_session

from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.behaviour import Reactions
from rigs.simulated.galvo import place_of
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.scene import Scene, View
from rt_pose.cli.main import main
from rt_pose.config.build import load
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.decide import Decider, make_rules
from rt_pose.decisions.limits import make_limits
from rt_pose.decisions.protocol import make_protocol
from rt_pose.package import TrackingSpec
from rt_pose.session.read import Session
from rt_pose.session.yoke import effect_times_s, with_yoke_times
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import Event, FloatArray, FrameStamps, Pose

EXPERIMENTS = Path(__file__).resolve().parents[2] / "configs" / "experiments"
GALLERY = (
    "zone-entry",
    "speed",
    "approach",
    "reach",
    "phase-locked-step",
    "freezing",
    "withheld-controls",
    "yoked-control",
    "blocks",
    "aimed-light",
)
RATE_HZ = 60.0
NS_PER_S = 1_000_000_000
FAR = (260.0, 220.0)
"""A place (px) outside every zone of the gallery."""
Path2 = Callable[[float], tuple[float, float]]
"""Time (s) -> x, y (px)."""


class Rehearsal:
    """An experiment's rules on made tracks: the filter and the decisions of a run, without pixels."""

    def __init__(self, config: RunConfig) -> None:
        k = len(KEYPOINTS)
        # It follows movement within a frame or two; velocities are 500 px/s at rest.
        tracking = TrackingSpec([1e6] * k, [0.5] * k, [1.0] * k, [0.05] * k, lost_ms=50.0, gate_chi2=1e12)
        self._filter = CausalFilter(tracking, 1, k)
        rules = make_rules(config, KEYPOINTS, dict.fromkeys(config.outputs, 1.0))
        self._decider = Decider(
            rules,
            config.seed,
            limits=make_limits(config, {rule.name: rule.plan for rule in rules}),
            protocol=make_protocol(config),
        )
        self._noise = np.broadcast_to(0.05 * np.eye(2), (1, k, 2, 2)).copy()
        self._index = 0

    def see(self, xy: FloatArray, *, late_ms: float = 5.0, armed: bool = True) -> list[Event]:
        """The events of the next frame, whose keypoints lie at `xy` (K, 2) px."""
        t_ns = round(self._index * NS_PER_S / RATE_HZ)
        stamps = FrameStamps(self._index, t_ns, t_ns + 1_000_000, t_ns)
        self._filter.step(Pose("top", stamps, xy[None], self._noise, np.ones((1, len(xy)))))
        self._index += 1
        judged_ns = t_ns + round(late_ms * 1e6)
        return [event for event, _ in self._decider.decide(self._filter, "top", stamps, judged_ns, armed)]

    def run(self, seconds: float, nose: Path2, **others: Path2) -> list[tuple[float, str, str, str]]:
        """(time s, rule, outcome, reason) of all events; keypoints without a path move with the nose."""
        messages = []
        for _ in range(round(seconds * RATE_HZ)):
            t = self._index / RATE_HZ
            xy = np.array([others.get(name, nose)(t) for name in KEYPOINTS])
            messages += [(t, e.rule, e.outcome, e.reason) for e in self.see(xy)]
        return messages


def still(x: float, y: float) -> Path2:
    return lambda t: (x, y)


def visits(place: tuple[float, float], periods: Iterable[tuple[float, float]]) -> Path2:
    """At `place` between the times (s) of each pair, far away otherwise."""
    pairs = list(periods)
    return lambda t: place if any(begin <= t < end for begin, end in pairs) else FAR


def straight(start: tuple[float, float], velocity: tuple[float, float]) -> Path2:
    return lambda t: (start[0] + velocity[0] * t, start[1] + velocity[1] * t)


def experiment(name: str) -> RunConfig:
    return load(RunConfig, EXPERIMENTS / f"{name}.yaml")


def rehearse(name: str, seconds: float, nose: Path2, **others: Path2) -> list[tuple[float, str, str, str]]:
    return Rehearsal(experiment(name)).run(seconds, nose, **others)


def fired(messages: list[tuple[float, str, str, str]], rule: str) -> list[float]:
    return [t for t, name, outcome, _ in messages if name == rule and outcome == "fired"]


@pytest.mark.parametrize("name", [name for name in GALLERY if name != "yoked-control"])
def test_rules_check_explains_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = EXPERIMENTS / f"{name}.yaml"
    assert main(["rules", "check", str(path)]) == 0
    messages = capsys.readouterr().out
    for rule in experiment(name).rules:
        assert f"{rule.name}: when " in messages


def test_the_gallery_is_whole() -> None:
    there = {path.stem for path in EXPERIMENTS.glob("*.yaml")}
    assert set(GALLERY) <= there
    assert all("runs/demo/training/package" in (EXPERIMENTS / f"{n}.yaml").read_text() for n in GALLERY)


@pytest.mark.parametrize("name", [name for name in GALLERY if name != "yoked-control"])
def test_the_simulated_animal_brings_it_about(name: str) -> None:
    """Within 20 s of true keypoints of the animal of the file's camera, which reacts to what is fired."""
    config = experiment(name)
    options = SimulatedOptions(**config.cameras["top"].options)
    scene, rehearsal = Scene(config.seed, options), Rehearsal(config)
    reactions = Reactions.to(scene.timing, [])
    expected = "suppressed" if name == "blocks" else "fired"
    missing = {rule.name for rule in config.rules}
    for frame in range(round(20.0 * RATE_HZ)):
        t_ns = round(frame * NS_PER_S / RATE_HZ)
        for event in rehearsal.see(scene.truth(t_ns, reactions)[0][0]):
            if event.outcome == "fired":
                reactions.add(t_ns // 1000 + 6000)
            if event.outcome == expected:
                missing.discard(event.rule)
        if not missing:
            break
    assert not missing


def test_zone_entry_wants_the_dwell() -> None:
    messages = rehearse("zone-entry", 4.0, visits((70.0, 70.0), [(0.5, 0.9), (1.5, 3.0)]))
    (when,) = fired(messages, "corner")
    assert when == pytest.approx(2.0, abs=0.05)
    assert len(messages) == 1


def test_zone_entry_waits_between_stimuli() -> None:
    messages = rehearse("zone-entry", 8.0, visits((70.0, 70.0), [(0.5, 1.5), (3.0, 4.0), (6.5, 7.5)]))
    assert [(outcome, reason) for _, _, outcome, reason in messages] == [
        ("fired", "condition"),
        ("suppressed", "refractory"),
        ("fired", "condition"),
    ]


def test_speed_fires_once_a_run_and_not_when_walking() -> None:
    def stepped(t: float) -> tuple[float, float]:
        """100 px/s for a second, 200 for one, 120 for one (still the same run), none for one, 200 again."""
        speeds, x = (100.0, 200.0, 120.0, 0.0, 200.0), 0.0
        for second, speed in enumerate(speeds):
            x += speed * min(max(t - second, 0.0), 1.0)
        return (x, 100.0)

    when = fired(rehearse("speed", 5.0, stepped), "run")
    assert len(when) == 2
    assert when[0] == pytest.approx(1.05, abs=0.06)
    assert when[1] == pytest.approx(4.05, abs=0.06)
    assert not rehearse("speed", 2.0, straight((10.0, 100.0), (100.0, 0.0)))


def test_approach_wants_both_closeness_and_direction() -> None:
    toward = fired(rehearse("approach", 2.5, straight((60.0, 128.0), (80.0, 0.0))), "approach")
    assert len(toward) == 1
    # 220 px away at 80 px/s: 90 px are reached after 1.625 s.
    assert toward[0] == pytest.approx(1.725, abs=0.05)
    assert not rehearse("approach", 2.0, straight((270.0, 128.0), (-80.0, 0.0))), "it moves away"
    assert not rehearse("approach", 2.0, straight((250.0, 20.0), (0.0, 3.0))), "it hardly moves"
    assert not rehearse("approach", 1.5, straight((20.0, 128.0), (80.0, 0.0))), "it is far away still"


def test_reach_is_judged_in_mm_by_the_slow_paw_alone() -> None:
    target = (160.0, 128.0)  # px; 200 and 160 mm
    entering = visits(target, [(0.5, 1.0)])
    (when,) = fired(rehearse("reach", 1.5, still(*FAR), paw_left=entering), "reach")
    assert when == pytest.approx(0.55, abs=0.05)
    assert not rehearse("reach", 1.5, entering, paw_left=still(*FAR)), "another part of the body is there"
    # 600 px/s are 75 cm/s: through the target of 48 px radius in 160 ms.
    assert not rehearse("reach", 0.5, still(*FAR), paw_left=straight((10.0, 128.0), (600.0, 0.0)))


def test_reach_comes_in_time_or_not_at_all() -> None:
    rehearsal = Rehearsal(experiment("reach"))
    xy = np.tile(FAR, (len(KEYPOINTS), 1))
    events = []
    for frame in range(100):
        xy[KEYPOINTS.index("paw_left")] = FAR if frame < 50 else (160.0, 128.0)
        events += rehearsal.see(xy.copy(), late_ms=31.0)
    assert [(e.outcome, e.reason) for e in events] == [("suppressed", "late")]


@pytest.mark.parametrize("step_hz", [2.2, 2.5, 3.0])
def test_a_step_is_met_at_its_phase(step_hz: float) -> None:
    def paw(t: float) -> tuple[float, float]:
        return (160.0 + 10.0 * np.cos(2 * np.pi * step_hz * t), 100.0)

    seconds = 8.0
    when = np.array(fired(rehearse("phase-locked-step", seconds, still(100.0, 100.0), paw_left=paw), "step"))
    settled = when[when > 3.0]
    assert len(settled) == pytest.approx((seconds - 3.0) * step_hz, abs=1.0)
    phases = np.degrees(2 * np.pi * step_hz * settled) % 360.0
    assert np.all(np.abs(phases - 180.0) < 40.0), phases


def test_a_paw_that_rests_or_trembles_is_no_step() -> None:
    def trembling(t: float) -> tuple[float, float]:
        return (160.0 + 1.0 * np.cos(2 * np.pi * 2.5 * t), 100.0)

    assert not rehearse("phase-locked-step", 4.0, still(100.0, 100.0), paw_left=trembling)
    assert not rehearse("phase-locked-step", 4.0, still(100.0, 100.0), paw_left=still(160.0, 100.0))


def test_freezing_ends_the_tone() -> None:
    def enters_and_stops(t: float) -> tuple[float, float]:
        return (20.0 + 60.0 * min(t, 2.0), 128.0)

    messages = rehearse("freezing", 4.0, enters_and_stops)
    (cue,), (end,) = fired(messages, "cue"), fired(messages, "freezing")
    assert cue == pytest.approx(1.2, abs=0.1)
    assert end == pytest.approx(2.5, abs=0.1)


def test_a_head_that_moves_is_no_freezing() -> None:
    def looking_about(t: float) -> tuple[float, float]:
        return (160.0 + 10.0 * np.sin(2 * np.pi * t), 128.0)

    body = dict.fromkeys((name for name in KEYPOINTS if name != "nose"), still(160.0, 128.0))
    assert not fired(rehearse("freezing", 4.0, looking_about, **body), "freezing")


def test_a_share_is_withheld_always_the_same() -> None:
    path = visits((160.0, 128.0), [(1.5 * i, 1.5 * i + 0.4) for i in range(40)])
    first = rehearse("withheld-controls", 60.0, path)
    outcomes = [outcome for _, _, outcome, _ in first]
    assert set(outcomes) == {"fired", "withheld"}
    assert len(outcomes) == 40
    assert 0.15 < outcomes.count("withheld") / 40 < 0.45
    again = rehearse("withheld-controls", 20.0, path)
    assert len(again) > 10
    assert again == first[: len(again)]
    assert not rehearse("withheld-controls", 2.0, still(*FAR))


@pytest.fixture
def with_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sessions that are yoked to were made up without a thread for their outputs."""
    read = Session.read
    monkeypatch.setattr(Session, "read", lambda path: delivered(read(path)))


@pytest.mark.usefixtures("with_outputs")
def test_a_yoked_animal_gets_what_the_other_earned(tmp_path: Path) -> None:
    """The times of the other session, and none at this animal's own entries."""
    config = experiment("yoked-control")
    master = master_session(tmp_path)
    earned = effect_times_s(Session.read(master), "corner")
    assert len(earned) >= 2
    rules = [dataclasses.replace(config.rules[0], yoke=str(master))]
    yoked = with_yoke_times(dataclasses.replace(config, rules=rules))
    messages = Rehearsal(yoked).run(earned[-1] + 1.0, visits((70.0, 70.0), [(0.0, 0.2)]))
    assert {reason for *_, reason in messages} == {"yoked"}
    assert fired(messages, "corner") == pytest.approx(earned, abs=0.011)


@pytest.mark.usefixtures("with_outputs")
def test_rules_check_explains_a_yoked_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = EXPERIMENTS / "yoked-control.yaml"
    monkeypatch.chdir(tmp_path)
    assert main(["rules", "check", str(path)]) == 2
    assert "session sessions/master: no such folder" in capsys.readouterr().err
    (tmp_path / "sessions").mkdir()
    master_session(tmp_path / "draws").rename(tmp_path / "sessions" / "master")
    assert main(["rules", "check", str(path)]) == 0
    assert "corner: at the times at which it fired in session sessions/master" in capsys.readouterr().out


def master_session(folder: Path) -> Path:
    """A session of made keypoints in which a rule called `corner` fired more than once."""
    for seed in range(30):
        path = folder / str(seed)
        config = write_random_session(folder / f"draw-{seed}", seed)
        rule = dataclasses.replace(config.rules[0], name="corner", when="speed(nose) > 150", withhold=0.0)
        rule = dataclasses.replace(rule, probability=None, release=None, enabled=True, late="fire")
        config = dataclasses.replace(config, rules=[rule], protocol=[], armed_at_start=True)
        write_random_session(path, seed, config=config, calm=True)
        if len(effect_times_s(Session.read(path), "corner")) >= 2:
            return path
    raise AssertionError("no session fired twice")


def test_blocks_decide_what_an_entry_does() -> None:
    entries = [(110.0, 110.5), *((121.0 + 4.0 * i, 121.5 + 4.0 * i) for i in range(22))]
    messages = rehearse("blocks", 208.0, visits((70.0, 70.0), entries))
    outcomes = [(outcome, reason) for _, _, outcome, reason in messages]
    assert outcomes == [
        ("suppressed", "block"),
        *[("fired", "condition")] * 20,
        *[("suppressed", "block")] * 2,
    ]


def test_light_is_aimed_where_the_nose_will_be() -> None:
    """At 200 px/s it is 1.6 px further on when the light comes, 8 ms after the exposure."""
    rehearsal = Rehearsal(experiment("aimed-light"))
    shots = []
    for frame in range(60):
        xy = np.tile((60.0 + 200.0 * frame / RATE_HZ, 128.0), (len(KEYPOINTS), 1))
        shots += [(frame, e) for e in rehearsal.see(xy) if e.outcome == "fired"]
    assert len(shots) > 10
    view = View(320, 256)
    for frame, event in shots[5:]:
        assert event.x is not None
        assert event.y is not None
        x, y = view.pixels(np.array(place_of((event.x, event.y))))
        assert (x, y) == pytest.approx((60.0 + 200.0 * (frame / RATE_HZ + 0.006), 128.0), abs=0.5)


def test_light_is_held_back_while_the_nose_stands_and_where_it_is_uncertain() -> None:
    assert not rehearse("aimed-light", 2.0, still(160.0, 128.0)), "it stands"
    rehearsal = Rehearsal(experiment("aimed-light"))
    events = []
    for frame in range(60):  # judged so late that the ellipse has outgrown the spot, yet in time
        xy = np.tile((60.0 + 200.0 * frame / RATE_HZ, 128.0), (len(KEYPOINTS), 1))
        events += rehearsal.see(xy, late_ms=45.0)
    assert len(events) > 10
    assert {(e.outcome, e.reason) for e in events} == {("suppressed", "aim")}
