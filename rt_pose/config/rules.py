"""What a user writes of rules: regions, the rig's measures, conditions, actions, blocks of a session."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass
class ZoneConfig:
    """A region that rules may name: of the frame of a camera, or in space. Give exactly one shape."""

    circle: list[float] | None = None
    """[centre x, centre y, radius]."""
    box: list[float] | None = None
    """[left, top, right, bottom]; in space [x0, y0, z0, x1, y1, z1]."""
    polygon: list[list[float]] | None = None
    """[[x, y], [x, y], [x, y], ...], closed."""
    line: list[list[float]] | None = None
    """[[x, y], [x, y]], to be crossed from its left to its right or back, as one looks along it."""
    point: list[float] | None = None
    """[x, y], in space [x, y, z]: a place to measure distances and speeds of approach to."""
    unit: Literal["px", "mm"] = "px"
    """Unit of the numbers: frame px, or mm of the rig (see `geometry`). A zone in space is in mm."""
    sphere: list[float] | None = None
    """In space: [centre x, y, z, radius]."""


@dataclass
class LensConfig:
    """A lens to be undistorted, as camera calibrations write it."""

    matrix: list[list[float]]
    """[[fx, 0, cx], [0, fy, cy], [0, 0, 1]], px."""
    distortion: list[float]
    """[k1, k2, p1, p2] or [k1, k2, p1, p2, k3] (OpenCV's order)."""


@dataclass
class GeometryConfig:
    """From the pixels of a camera to millimetres of the rig. Give a scale or a homography."""

    mm_per_px: float | None = None
    """Size of a pixel in the animal's plane, mm."""
    homography: list[list[float]] | None = None
    """Three rows of three: px (without the lens's distortion) to mm."""
    lens: LensConfig | None = None
    """The lens whose distortion is removed first."""


@dataclass
class BlockConfig:
    """A part of a session in which some rules are enabled. It ends with the first of its ends to come."""

    block: str
    """Its name; events bear it, and the control order `block` jumps to it."""
    rules: list[str] | None = None
    """The rules that may fire; all of them where it is not given, none with []."""
    time: str | None = None
    """It ends after this long (scene time)."""
    events: int | None = None
    """It ends after this many events, fired or withheld; one that only ends a stimulus is not counted."""
    trials: int | None = None
    """It ends after this many trials. A trial ends with its first event, fired or withheld."""
    trial: str | None = None
    """A trial without an event ends after this long (scene time)."""
    trial_on: str | None = None
    """What begins a trial: `line(NAME)`, when the line of that input goes on, or the name of a rule, by its
    event, fired or withheld. Between trials only that rule may fire. Its event is of the trial that it
    begins, does not end it and is not counted. Without it a trial begins at once, or after the pause."""
    inter_trial: str = "0 ms"
    """Pause after each trial in which no rule may fire (scene time)."""


@dataclass
class TrainAction:
    """Pulses in a row."""

    pulse: str
    """Length of each pulse, e.g. `5 ms`."""
    period: str
    """From the beginning of a pulse to that of the next, e.g. `25 ms`."""
    count: int
    """How many pulses."""


@dataclass
class AnalogAction:
    """A value that rises to the amplitude, stays, and falls to 0."""

    duration: str
    """How long it stays at the amplitude, e.g. `500 ms`."""
    ramp_up: str = "0 ms"
    """How long it takes to rise."""
    ramp_down: str = "0 ms"
    """How long it takes to fall."""


@dataclass
class AimAction:
    """Light aimed at where a point of the animal will be when the light comes.

    The p % ellipse of that predicted position must lie wholly inside the spot, inside the target, or inside
    both where both are given; otherwise the event is suppressed with the reason `aim`.
    """

    keypoint: str
    """What is aimed at: a keypoint, or a point made of keypoints, e.g. `(nose + neck) / 2`."""
    duration: str
    """How long the light stays on there, e.g. `5 ms`."""
    spot: str | None = None
    """Radius of the light's spot, e.g. `12 px` or `3 mm`: the animal's point must be in the light."""
    target: str | None = None
    """Name of a zone (circle, box or polygon) in which the point must certainly be when the light comes."""
    certainty: float = 0.95
    """p of the ellipse, from 0 (its centre alone must be inside) to below 1."""


@dataclass
class ActionConfig:
    """What a rule does. Give exactly one of pulse, train, level, analog, message, stop, aim."""

    output: str
    """Name of an output of this configuration."""
    pulse: str | None = None
    """Length of a pulse, e.g. `5 ms`."""
    line: int | str = 0
    """Line of the output: its number, or its name among the output's `lines`."""
    amplitude: float = 1.0
    """0..1, where the output has an amplitude."""
    train: TrainAction | None = None
    """A train of pulses, e.g. `{pulse: 5 ms, period: 25 ms, count: 10}`."""
    level: bool | Literal["on", "off"] | None = None
    """on: the line stays on; off: it goes off, also where the decision is late, in a pause between trials,
    in a block that does not list the rule, and whatever its `refractory`: no line is left on by those."""
    at_most: str | None = None
    """With `level: on`: the line goes off by itself after this, e.g. `10 s`. Give it: a rule that should end
    the level cannot be judged while one of its keypoints is lost."""
    analog: AnalogAction | None = None
    """An amplitude with ramps, e.g. `{duration: 500 ms, ramp_down: 200 ms}`."""
    message: str | None = None
    """Text for an output that takes text."""
    stop: bool = False
    """End whatever the line is doing; held back as little as `level: off`."""
    aim: AimAction | None = None
    """Light aimed at a keypoint, e.g. `{keypoint: nose, spot: 3 mm, certainty: 0.9, duration: 5 ms}`."""


@dataclass
class AfterConfig:
    """Events of another rule, fired or withheld, that must have come before."""

    rule: str
    """Name of the other rule."""
    within: str
    """They came at most this long ago, e.g. `60 s`."""
    delay: str = "0 ms"
    """They came at least this long ago."""
    count: int = 1
    """At least so many of them."""


@dataclass
class RuleConfig:
    """A condition on tracks, with a time policy and an action.

    It acts when the condition comes true, once, and again only after the condition has been false. That
    moment counts also where the action is suppressed (disarmed, another block, a pause, the refractory time,
    a cap, a late frame): an animal that is in the zone already when a block begins or `arm` comes must leave
    and come back before anything fires. So neither an order nor the schedule ever sets off a stimulus, and
    the time from what the animal does to the stimulus is the same in every trial. At a run's first frame and
    when a lost keypoint is seen again, a condition that holds counts as having come true.
    """

    name: str
    """Unique; the event topic and the report use it."""
    when: str
    """The condition, e.g. `inside(nose, corner) and speed(nose) > 50` (px, px/s), or `> 20 cm/s` with a
    `geometry`. `rt-pose rules check` explains it."""
    do: ActionConfig
    """What happens when it comes true."""
    probability: float | None = None
    """It comes true when the condition is at least this probable at the time of effect; without it the
    predicted mean is judged."""
    release: float | str | None = None
    """Hysteresis: once true it stays so until the probability falls below this; for a rule without
    `probability` until this condition holds, e.g. `speed(nose) < 30`."""
    hold: str = "0 ms"
    """How long (scene time) the condition must have been true without a break."""
    after: AfterConfig | None = None
    """It can only be true some time after events of another rule: a delay, a sequence, a count."""
    repeat: str | None = None
    """While it stays true act again each time this has passed, e.g. a train a second while inside; what an
    order or the protocol held back once does not begin before the condition has been false."""
    refractory: str = "0 ms"
    """Shortest scene time between two firings."""
    refractory_jitter: str = "0 ms"
    """The refractory time is longer by a random time from 0 to this, drawn for each event from the seed."""
    withhold: float = 0.0
    """Share of events randomly withheld as controls, from the session's seed; logged as withheld."""
    withhold_block: int | None = None
    """Balanced controls: of each so many events in a row exactly that share is withheld, at random places."""
    deadline: str | None = None
    """Longest time from exposure to decision for this rule; the run's budget where it is not given."""
    late: Literal["suppress", "fire"] = "suppress"
    """What to do with a decision past its deadline."""
    camera: str = "any"
    """With several cameras: the one that it looks at (also written `x(nose@top)`), `any` of them, or `all`:
    then each must show the condition. Whichever it is, the rule is one: one refractory time, one control."""
    individual: int | Literal["each", "any"] = "each"
    """Which of several: each by itself, any of them, or the one of that number; also written `each.nose`,
    `any.nose` and `individual0.nose`. The rule is one: one refractory time, one control."""
    identity: float | None = None
    """Of a rule that names individuals, where several are tracked: how probable it must be that each of them
    is still itself; else its event is suppressed with the reason `identity`. 0.95 where it is not given."""
    enabled: bool = True
    """Where false, its events are suppressed with the reason `disabled`; the order `set` changes it."""
    yoke: str | None = None
    """A session folder: the rule fires at the times at which its namesake fired there, in place of its own
    condition."""
    yoke_times_s: list[float] | None = None
    """Those times, since the first frame (scene time, of the effect); filled in from `yoke`."""
    view: str = ""
    """A group of `views`: the rule is judged in space, in mm, by what the cameras of that group see together;
    none: in the frames of cameras."""
