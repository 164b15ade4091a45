"""Rules in time: hold, refractory, arming, deadlines, withholding, lost tracks."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.config.rules import ActionConfig, BlockConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import LimitsConfig, OutputConfig, RunConfig
from rt_pose.decisions.decide import Decider, is_withheld, make_rules
from rt_pose.decisions.limits import make_limits
from rt_pose.decisions.protocol import make_protocol
from rt_pose.errors import UserError
from rt_pose.package import TrackingSpec
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import Event, FrameStamps, Pose

MS = 1_000_000
FRAME_MS = 10


def run_config(**rule: object) -> RunConfig:
    values: dict[str, object] = {
        "name": "corner",
        "when": "inside(nose, corner)",
        "do": ActionConfig(output="laser", pulse="5 ms"),
    }
    return RunConfig(
        zones={"corner": ZoneConfig([100.0, 100.0, 20.0])},
        rules=[RuleConfig(**(values | rule))],  # type: ignore[arg-type]
        budget_ms=20.0,
    )


class Rig:
    """A filter and a decider, fed with positions of one keypoint at 100 frames a second."""

    def __init__(
        self,
        config: RunConfig,
        latency_ms: float = 8.0,
        delay_ms: float = 0.0,
        *,
        inert: bool = False,
        noise_px2: float = 0.01,
    ) -> None:
        # Without inertia the filter follows each position at once and predicts no further movement.
        q, tau = (1e5, 0.1) if inert else (1e13, 1e-4)
        tracking = TrackingSpec([q], [tau], [1.0], [0.01], lost_ms=50.0, gate_chi2=1e12)
        self.tracker = CausalFilter(tracking, 1, 1)
        rules = make_rules(config, ["nose"], {"laser": delay_ms})
        limits = make_limits(config, {rule.name: rule.plan for rule in rules})
        self.protocol = make_protocol(config)
        self.decider = Decider(rules, config.seed, limits=limits, protocol=self.protocol)
        self.latency_ms, self._noise = latency_ms, noise_px2 * np.eye(2)[None, None]
        self.index = 0

    def observe(self, x: float, *, armed: bool = True, epoch: int = 0, off_ms: int = 0) -> list[Event]:
        """`off_ms`: how far the scene clock is from the host's."""
        t_ns = self.index * FRAME_MS * MS
        stamps = FrameStamps(self.index, t_ns, t_ns + MS, t_ns + off_ms * MS, epoch=epoch)
        xy = np.array([[[x, 100.0]]])
        pose = Pose("cam", stamps, xy, self._noise, np.ones((1, 1)))
        self.tracker.step(pose)
        self.index += 1
        judged = t_ns + round(self.latency_ms * MS)
        return [event for event, _ in self.decider.decide(self.tracker, "cam", stamps, judged, armed)]


def outcomes(rig: Rig, xs: list[float], **how: bool) -> list[tuple[int, str, str]]:
    return [(i, e.outcome, e.reason) for i, x in enumerate(xs) for e in rig.observe(x, **how)]


OUT, IN = 300.0, 100.0


def test_fires_once_on_entering_and_again_after_leaving() -> None:
    xs = [OUT] * 3 + [IN] * 5 + [OUT] * 10 + [IN] * 3
    assert outcomes(Rig(run_config()), xs) == [(3, "fired", "condition"), (18, "fired", "condition")]


def test_hold_is_counted_in_scene_time_without_a_break() -> None:
    xs = [IN, IN, OUT, *[OUT] * 8, IN, IN, IN, IN]
    assert outcomes(Rig(run_config(hold="30 ms")), xs) == [(14, "fired", "condition")]


def test_refractory_suppresses_and_says_so() -> None:
    xs = [IN] + [OUT] * 4 + [IN] + [OUT] * 20 + [IN]
    got = outcomes(Rig(run_config(refractory="200 ms")), xs)
    assert got == [
        (0, "fired", "condition"),
        (5, "suppressed", "refractory"),
        (26, "fired", "condition"),
    ]


def test_disarmed_suppresses() -> None:
    assert outcomes(Rig(run_config()), [OUT, IN, IN], armed=False) == [(1, "suppressed", "disarmed")]


@pytest.mark.parametrize(
    ("late", "expected"), [("suppress", ("suppressed", "late")), ("fire", ("fired", "late"))]
)
def test_a_late_decision(late: str, expected: tuple[str, str]) -> None:
    rig = Rig(run_config(late=late), latency_ms=20.5)
    (event,) = [e for x in (OUT, IN) for e in rig.observe(x)]
    assert (event.outcome, event.reason) == expected
    assert not event.deadline_met


def test_a_rules_own_deadline_takes_the_place_of_the_budget() -> None:
    assert outcomes(Rig(run_config(deadline="30 ms"), latency_ms=20.5), [IN]) == [(0, "fired", "condition")]


def test_a_lost_keypoint_suppresses_and_its_return_starts_over() -> None:
    lost = float("nan")
    rig = Rig(run_config(hold="100 ms"))
    assert outcomes(rig, [IN, *[lost] * 11, *[IN] * 12]) == [
        (10, "suppressed", "lost"),
        (22, "fired", "condition"),
    ]
    rig = Rig(run_config(when="not inside(nose, corner)"))
    assert outcomes(rig, [lost, lost, OUT, OUT]) == [(2, "fired", "condition")]


def test_judged_is_the_predicted_position_at_the_time_of_effect() -> None:
    """A keypoint on its way into the zone fires earlier the later its command will act."""
    xs = [60.0 + 2.0 * i for i in range(25)]  # 200 px/s toward the zone, whose border is at 80
    first = {}
    for delay_ms in (0.0, 40.0):
        rig = Rig(run_config(), delay_ms=delay_ms, inert=True)
        first[delay_ms] = outcomes(rig, xs)[0][0]
        assert rig.latency_ms == 8.0
    assert first[40.0] <= first[0.0] - 2


def test_effect_and_cause_are_stated() -> None:
    rig = Rig(run_config(), delay_ms=3.0)
    (event,) = rig.observe(IN)
    assert (event.t_cause_ns, event.t_judged_ns, event.t_effect_ns) == (0, 8 * MS, 11 * MS)
    assert (event.camera, event.frame_index, event.rule, event.id) == ("cam", 0, "corner", 1)


def test_a_new_epoch_forgets_what_was_held() -> None:
    rig = Rig(run_config(hold="20 ms"))
    assert not outcomes(rig, [IN, IN])
    assert not rig.observe(IN, epoch=1)


def test_withholding_is_a_share_and_always_the_same() -> None:
    draws = [is_withheld(3, "corner", "cam", 0, i, 0.2) for i in range(5000)]
    assert draws == [is_withheld(3, "corner", "cam", 0, i, 0.2) for i in range(5000)]
    assert 0.18 < np.mean(draws) < 0.22
    assert draws != [is_withheld(4, "corner", "cam", 0, i, 0.2) for i in range(5000)]
    assert not any(is_withheld(3, "corner", "cam", 0, i, 0.0) for i in range(500))
    assert all(is_withheld(3, "corner", "cam", 0, i, 1.0) for i in range(500))


def test_a_withheld_event_counts_for_the_refractory_time() -> None:
    xs = [IN] + [OUT] * 4 + [IN]
    got = outcomes(Rig(run_config(withhold=1.0, refractory="1 s")), xs)
    assert got == [(0, "withheld", "control"), (5, "suppressed", "refractory")]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            {"do": ActionConfig(output="lasr", pulse="5 ms")},
            "there is no output 'lasr', did you mean 'laser'?",
        ),
        ({"withhold": 1.5}, "expected a share from 0 to 1"),
        ({"hold": "20"}, "expected a length of time such as '20 ms'"),
        ({"hold": "1e400 s"}, "expected at most 1000 hours"),
        ({"deadline": "0 ms"}, "deadline: expected more than 0"),
        ({"deadline": ""}, "expected a length of time"),
        ({"do": ActionConfig(output="laser", pulse="0.5 us")}, "expected 1 us to 60 s"),
        ({"do": ActionConfig(output="laser", pulse="2 min")}, "expected 1 us to 60 s"),
        ({"do": ActionConfig(output="laser", pulse="1 ms", amplitude=float("nan"))}, "expected 0 to 1"),
        ({"do": ActionConfig(output="laser", pulse="1 ms", line=-4)}, "line: expected 0 or more"),
        ({"when": "inside(noze, corner)"}, "did you mean 'nose'"),
    ],
)
def test_rules_that_cannot_be_meant(rule: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError, match="rule 'corner'") as caught:
        make_rules(run_config(**rule), ["nose"], {"laser": 0.0})
    assert expected in str(caught.value)


def test_two_rules_of_one_name() -> None:
    config = run_config()
    config.rules *= 2
    with pytest.raises(UserError, match="two rules of that name"):
        make_rules(config, ["nose"], {"laser": 0.0})


def test_the_refractory_time_runs_on_over_a_new_epoch() -> None:
    rig = Rig(run_config(refractory="1 s"))
    assert [e.outcome for e in rig.observe(IN)] == ["fired"]
    assert [(e.outcome, e.reason) for e in rig.observe(IN, epoch=1)] == [("suppressed", "refractory")]


def test_a_clock_that_steps_back_does_not_silence_a_rule() -> None:
    rig = Rig(run_config(refractory="200 ms", hold="20 ms"))
    assert [e.outcome for _ in range(3) for e in rig.observe(IN, off_ms=3_600_000)] == ["fired"]
    seen = [(i, e.outcome, e.reason) for i in range(60) for e in rig.observe(IN if i % 20 > 10 else OUT)]
    assert rig.tracker.clock_steps == 1, "at the eighth frame in a row that lies behind the newest"
    # The refractory time begins anew at frame 7, and the first entry, held from frame 11 to 13, is within it.
    assert seen == [
        (13, "suppressed", "refractory"),
        (33, "fired", "condition"),
        (53, "fired", "condition"),
    ]


def test_over_its_cap_a_rule_is_suppressed_and_controls_count_like_stimuli() -> None:
    config = run_config()
    config.outputs["laser"] = OutputConfig("simulated", limits=LimitsConfig(max_pulses_per_minute=2))
    xs = [IN, OUT, OUT, OUT] * 4
    got = outcomes(Rig(config), xs)
    assert got == [
        (0, "fired", "condition"),
        (4, "fired", "condition"),
        (8, "suppressed", "cap"),
        (12, "suppressed", "cap"),
    ]
    config.rules[0].withhold = 1.0
    assert [reason for *_, reason in outcomes(Rig(config), xs)] == ["control", "control", "cap", "cap"]


def test_what_ends_a_stimulus_fires_late_too() -> None:
    rig = Rig(run_config(do=ActionConfig(output="laser", level=False)), latency_ms=20.5)
    assert outcomes(rig, [OUT, IN]) == [(1, "fired", "late")]


def test_by_probability_an_uncertain_keypoint_does_not_fire() -> None:
    """A keypoint just inside: the mean says yes at once, the probability never."""
    rig = Rig(run_config(), noise_px2=25.0, latency_ms=0.0)
    assert outcomes(rig, [84.0] * 4) == [(0, "fired", "condition")]
    rig = Rig(run_config(probability=0.95), noise_px2=25.0, latency_ms=0.0)
    assert outcomes(rig, [84.0] * 4) == []
    (event,) = rig.observe(IN)
    assert event.probability is not None
    assert 0.95 < event.probability <= 1.0
    assert event.value == pytest.approx(19.6, abs=0.1)


def test_release_is_hysteresis() -> None:
    xs = [IN, 78.0, IN, 78.0, IN, OUT, IN]  # at 78 the zone's border is 2 px away, 0.4 sd
    fired = [(0, "fired", "condition"), (6, "fired", "condition")]
    assert (
        outcomes(Rig(run_config(probability=0.9, release=0.1), noise_px2=25.0, latency_ms=0.0), xs) == fired
    )
    assert len(outcomes(Rig(run_config(probability=0.9), noise_px2=25.0, latency_ms=0.0), xs)) == 4
    by_condition = run_config(release="x(nose) > 200")
    assert outcomes(Rig(by_condition), [IN, 78.0, IN, OUT, IN]) == [
        (0, "fired", "condition"),
        (4, "fired", "condition"),
    ]


def test_a_new_probability_counts_from_the_next_frame_on() -> None:
    rig = Rig(run_config(probability=0.95), noise_px2=25.0, latency_ms=0.0)
    assert outcomes(rig, [84.0] * 2) == []
    rig.protocol.order("set", {"parameter": "rules.corner.probability", "value": 0.5})
    assert outcomes(rig, [84.0, OUT, 84.0, 84.0, 84.0])[0] == (0, "suppressed", "order")
    assert outcomes(rig, [OUT, *[84.0] * 4])[0][1:] == ("fired", "condition")


def test_a_keypoint_never_seen_is_not_probable() -> None:
    assert (
        outcomes(Rig(run_config(probability=0.5, when="not inside(nose, corner)")), [float("nan")] * 3) == []
    )


def test_the_wrong_block_suppresses_and_events_bear_block_and_trial() -> None:
    config = run_config()
    config.protocol = [
        BlockConfig("baseline", rules=[], time="50 ms"),
        BlockConfig("stim", trials=2, inter_trial="20 ms"),
        BlockConfig("after", rules=[]),
    ]
    rig = Rig(config)
    got = [
        (i, e.outcome, e.reason, e.block, e.trial)
        for i in range(12)
        for e in rig.observe(OUT if i % 2 else IN)
    ]
    assert got == [
        (0, "suppressed", "block", "baseline", 0),
        (2, "suppressed", "block", "baseline", 0),
        (4, "suppressed", "block", "baseline", 0),
        (6, "fired", "condition", "stim", 1),
        (8, "fired", "condition", "stim", 2),
        (10, "suppressed", "block", "after", 0),
    ]


def test_between_trials_and_disabled_are_reasons() -> None:
    config = run_config()
    config.protocol = [BlockConfig("stim", inter_trial="30 ms")]
    rig = Rig(config)
    got = outcomes(rig, [IN, OUT, IN, OUT])
    assert got == [(0, "fired", "condition"), (2, "suppressed", "inter-trial")]
    rig.protocol.order("set", {"parameter": "rules.corner.enabled", "value": False})
    assert outcomes(rig, [IN]) == [(0, "suppressed", "disabled")]


def test_arming_and_the_beginning_of_a_block_set_nothing_off() -> None:
    """An animal that is there already must leave and come back: the stimulus is timed by what it does."""
    rig = Rig(run_config())
    assert outcomes(rig, [OUT, IN], armed=False) == [(1, "suppressed", "disarmed")]
    assert outcomes(rig, [IN, IN, OUT, IN]) == [(3, "fired", "condition")]
    config = run_config()
    config.protocol = [BlockConfig("baseline", rules=[], time="30 ms"), BlockConfig("stim")]
    got = outcomes(Rig(config), [OUT, IN, IN, IN, IN, OUT, IN])
    assert got == [(1, "suppressed", "block"), (6, "fired", "condition")]


def on_and_off(*blocks: BlockConfig, **off: object) -> Rig:
    """A line that is on while the animal is in the corner."""
    config = run_config(do=ActionConfig(output="laser", level="on"))
    leave = {
        "name": "leave",
        "when": "not inside(nose, corner)",
        "do": ActionConfig(output="laser", level="off"),
    }
    config.rules.append(RuleConfig(**(leave | off)))  # type: ignore[arg-type]
    config.protocol = list(blocks)
    return Rig(config)


@pytest.mark.parametrize(
    "blocks",
    [
        [BlockConfig("stim", rules=["corner"], time="30 ms"), BlockConfig("after", rules=[])],
        [BlockConfig("stim", inter_trial="1 s")],
        [BlockConfig("stim", events=1)],
    ],
    ids=["block", "inter-trial", "end of the protocol"],
)
def test_no_line_stays_on_because_of_the_protocol(blocks: list[BlockConfig]) -> None:
    rig = on_and_off(*blocks)
    got = [(i, e.rule, e.outcome) for i, x in enumerate([IN] * 5 + [OUT] * 2) for e in rig.observe(x)]
    assert got == [(0, "corner", "fired"), (5, "leave", "fired")]


def test_no_line_stays_on_because_of_a_refractory_time() -> None:
    rig = on_and_off(refractory="1 s")
    got = [e.rule for x in (IN, OUT, IN, OUT) for e in rig.observe(x) if e.outcome == "fired"]
    assert got == ["corner", "leave", "corner", "leave"]


def test_what_was_switched_off_by_order_does_not_act() -> None:
    rig = on_and_off(enabled=False)
    assert outcomes(rig, [IN, OUT]) == [(0, "fired", "condition"), (1, "suppressed", "disabled")]


def test_the_end_of_a_stimulus_ends_no_trial() -> None:
    rig = on_and_off(BlockConfig("stim", trials=3, inter_trial="10 ms"))
    got = [(e.rule, e.trial) for x in (IN, OUT, IN, OUT, IN, OUT) for e in rig.observe(x)]
    assert got == [("corner", 1), ("leave", 2), ("corner", 2), ("leave", 3), ("corner", 3), ("leave", 0)]


def test_over_its_cap_is_suppressed() -> None:
    config = run_config()
    config.outputs = {"laser": OutputConfig("simulated", limits=LimitsConfig(max_pulses_per_minute=2))}
    rig = Rig(config)
    got = outcomes(rig, [IN, OUT] * 4)
    assert got == [
        (0, "fired", "condition"),
        (2, "fired", "condition"),
        (4, "suppressed", "cap"),
        (6, "suppressed", "cap"),
    ]


def test_a_yoked_rule_fires_at_its_times_whatever_the_animal_does() -> None:
    rig = Rig(run_config(yoke_times_s=[0.028, 0.055, 0.056], withhold=1.0), delay_ms=2.0)
    # A command given at frame i acts at i * 10 + 8 + 2 ms.
    assert outcomes(rig, [OUT, IN, OUT, OUT, OUT, OUT, OUT, OUT]) == [
        (2, "fired", "yoked"),
        (5, "fired", "yoked"),
        (6, "fired", "yoked"),
    ]


def test_a_yoked_rule_is_held_back_too() -> None:
    config = run_config(yoke_times_s=[0.0, 0.03])
    assert outcomes(Rig(config), [OUT] * 5, armed=False) == [
        (0, "suppressed", "disarmed"),
        (3, "suppressed", "disarmed"),
    ]
    assert outcomes(Rig(config, latency_ms=30.0), [OUT])[0] == (0, "suppressed", "late")


@pytest.mark.parametrize(
    ("individual", "expected"),
    [("each", [(0, 0.5), (1, 0.5)]), ("any", [(0, 0.75)]), (1, [(1, 0.5)])],
)
def test_each_any_or_one_individual(individual: object, expected: list[tuple[int, float]]) -> None:
    """Both stand on the border: half a chance each, three quarters that any is beyond it."""
    tracking = TrackingSpec([1e13], [1e-4], [1.0], [1.0], lost_ms=50.0, gate_chi2=1e12)
    tracker = CausalFilter(tracking, 2, 1)
    config = run_config(when="x(each.nose) > 100", probability=0.4)
    if individual != "each":
        config = run_config(when="x(nose) > 100", individual=individual, probability=0.4)
    decider = Decider(make_rules(config, ["nose"], {"laser": 0.0}, individuals=2), config.seed)
    stamps = FrameStamps(0, 0, MS, 0)
    xy = np.full((2, 1, 2), 100.0)
    tracker.step(Pose("cam", stamps, xy, np.tile(np.eye(2), (2, 1, 1, 1)), np.ones((2, 1))))
    events = [event for event, _ in decider.decide(tracker, "cam", stamps, 0, True)]
    assert [event.individual for event in events] == [who for who, _ in expected]
    assert [event.probability for event in events] == pytest.approx([p for _, p in expected], abs=1e-6)


def test_confidence_and_time_since_seen_do_not_need_the_keypoint() -> None:
    rig = Rig(run_config(when="unseen(nose) > 55 ms"))
    lost = float("nan")
    assert outcomes(rig, [IN, lost, lost, lost, lost, lost, lost]) == [(6, "fired", "condition")]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"probability": 1.0}, "probability: expected more than 0, less than 1"),
        ({"probability": float("nan")}, "probability: expected more than 0"),
        ({"probability": 0.8, "release": 0.9}, "release: expected 0 to its probability 0.8"),
        ({"probability": 0.8, "release": "speed(nose) < 2"}, "takes a probability, e.g. 0.8"),
        ({"release": 0.5}, "this one takes a condition"),
        ({"release": "sped(nose) < 2"}, "release: unknown quantity 'sped'"),
        ({"individual": 1}, "the model tracks one individual"),
        ({"yoke": "somewhere"}, "have not been read"),
        ({"yoke_times_s": [2.0, 1.0]}, "times in order"),
    ],
)
def test_rules_by_probability_that_cannot_be_meant(rule: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError, match="rule 'corner'") as caught:
        make_rules(run_config(**rule), ["nose"], {"laser": 0.0})
    assert expected in str(caught.value)


@pytest.mark.parametrize("delay_ms", [float("nan"), float("inf"), -1.0])
def test_a_delay_that_no_output_has_is_refused(delay_ms: float) -> None:
    with pytest.raises(UserError, match="output 'laser': expected a delay of 0 to 60000 ms, got"):
        make_rules(run_config(), ["nose"], {"laser": delay_ms})
