"""Cases of the trigger language: random text, mutated rules and rules of the grammar.

Whatever is read is bound, judged of the mean and as a probability, on ordinary tracks and on such with NaN
and without covariance. Anything raised but `UserError`, and any warning, is a failure.
"""

from __future__ import annotations

import random
import traceback
import warnings
from pathlib import Path

import numpy as np

from rt_pose.errors import UserError
from rt_pose.rules.bind import bind
from rt_pose.rules.geometry import Geometry
from rt_pose.rules.quantities import QUANTITIES
from rt_pose.rules.unit_resolver import MetricScale
from rt_pose.rules.zones import Box, Circle, Line, Point, Polygon, Zone
from rt_pose.types import Track

TEXTS = 20
"""Of one case."""
KEYPOINTS = ["nose", "tail", "paw-left"]
PLACES = [*KEYPOINTS, "nose@cam", "individual0.tail", "'paw-left'", 'individual0."nose"@cam']
PLACES += ["centroid", "centroid(nose, tail)", "centroid(tail, 'paw-left', individual0.nose)"]
"""What stands for a keypoint."""
INPUTS = ["lick", "lever"]
ZONES: dict[str, Zone] = {
    "spot": Circle(10.0, 20.0, 5.0),
    "box": Box(0.0, 0.0, 30.0, 20.0, metric=True),
    "tent": Polygon(((0.0, 0.0), (20.0, 0.0), (10.0, 25.0))),
    "gate": Line(5.0, 0.0, 5.0, 40.0),
    "port": Point(3.0, 4.0),
}
UNITS = ["", " px", " mm", " cm/s", "px/s", " deg", " ms", " Hz", " %", " furlong", " rad/s", "/s"]
WORDS = [*QUANTITIES, *PLACES, *ZONES, "and", "or", "not", "(", ")", ",", "<", ">=", "+", "-", "*", "/"]
WORDS += ["abs", "min", "max", "left", "right", "1.5", "1e400", ".", "=", "\n", "\t"]
WORDS += ["é", "٣", "\0", "'", '"', "individual1.", "@", "px"]
MEASURES = (MetricScale(), MetricScale(True, 0.5), MetricScale(True, None))


class Writer:
    """Writes rules of the grammar, most of them well-formed."""

    def __init__(self, dice: random.Random) -> None:
        """Keep the source of randomness.

        Parameters
        ----------
        dice
            Seeded.
        """
        self.dice = dice

    def condition(self, depth: int) -> str:
        """Write a condition.

        Parameters
        ----------
        depth
            How deep it may be nested.

        Returns
        -------
        str
            The condition.
        """
        kind = self.dice.randrange(8 if depth > 0 else 3)
        if kind == 3:
            return f"not {self.condition(depth - 1)}"
        if kind in (4, 5):
            return f"({self.condition(depth - 1)})"
        if kind in (6, 7):
            return f" {self.dice.choice(('and', 'or'))} ".join(
                self.condition(depth - 1) for _ in range(self.dice.randint(2, 4))
            )
        if kind == 2:
            return self.call(self.dice.choice(("inside", "crossing")), depth)
        signs = [self.dice.choice(("<", "<=", ">", ">=")) for _ in range(self.dice.choice((1, 1, 2)))]
        return self.number(depth) + "".join(f" {sign} {self.number(depth)}" for sign in signs)

    def number(self, depth: int) -> str:
        """Write a number, a quantity or a formula.

        Parameters
        ----------
        depth
            How deep it may be nested.

        Returns
        -------
        str
            The text.
        """
        kind = self.dice.randrange(8 if depth > 0 else 2)
        if kind == 0:
            return f"{self.dice.choice((0, 1, 20, 0.5, 1e9, 3e-9))}{self.dice.choice(UNITS)}"
        if kind == 5:
            return f"-{self.number(depth - 1)}"
        if kind == 6:
            name = self.dice.choice(("abs", "min", "max"))
            return f"{name}({', '.join(self.number(depth - 1) for _ in range(1 if name == 'abs' else 2))})"
        if kind == 7:
            return f"{self.number(depth - 1)} {self.dice.choice('+-*/')} {self.number(depth - 1)}"
        return self.call(self.dice.choice(list(QUANTITIES)), depth)

    def call(self, name: str, depth: int) -> str:
        """Write a call of a quantity.

        Parameters
        ----------
        name
            The quantity.
        depth
            How deep its arguments may be nested.

        Returns
        -------
        str
            The text.
        """
        return f"{name}({', '.join(self.argument(kind, depth) for kind in QUANTITIES[name].arguments)})"

    def argument(self, kind: str, depth: int) -> str:
        """Write an argument, now and then a wrong one.

        Parameters
        ----------
        kind
            What the quantity takes there.
        depth
            How deep it may be nested.

        Returns
        -------
        str
            The text.
        """
        if self.dice.random() < 0.03:
            return self.dice.choice(WORDS)
        names = {
            "keypoint": PLACES,
            "place": [*PLACES, *ZONES],
            "zone": ["spot", "box", "tent"],
            "line": ["gate"],
            "side": ["left", "right"],
            "angle": ["30", "30 deg", "0.5 rad", "90 - 30"],
            "frequency": ["8 Hz", "8", "0.1 Hz"],
            "size": ["3", "1 px", "2 mm"],
            "time": ["500 ms", "0.2 s", "1"],
            "input": INPUTS,
        }
        return self.number(depth - 1) if kind == "signal" else self.dice.choice(names[kind])


def make_text(dice: random.Random) -> str:
    """Make a rule, a damaged rule, a row of words, or any characters.

    Parameters
    ----------
    dice
        Source of randomness.

    Returns
    -------
    str
        The text.
    """
    kind = dice.randrange(10)
    if kind == 0:
        return "".join(chr(dice.choice((dice.randrange(32, 127), dice.randrange(0x3000)))) for _ in range(40))
    if kind == 1:
        return " ".join(dice.choice(WORDS) for _ in range(dice.randrange(1, 40)))
    text = Writer(dice).condition(dice.randrange(5))
    if kind > 3:
        return text
    for _ in range(dice.randint(1, 4)):
        i, j = sorted((dice.randrange(len(text) + 1), dice.randrange(len(text) + 1)))
        text = dice.choice(
            (text[:i] + dice.choice(WORDS) + text[i:], text[:i] + text[j:], text[:j] + text[i:])
        )
    return text


def make_track(random_: np.random.Generator) -> Track:
    """Make a track of two individuals; now and then unseen, without covariance, or on top of one another.

    Parameters
    ----------
    random_
        Source of randomness.

    Returns
    -------
    Track
        N = 2, K = 3.
    """
    root = random_.normal(0.0, 3.0, (2, 3, 4, 4)) * random_.choice([0.0, 1.0, 1e6], p=[0.15, 0.8, 0.05])
    xy, velocity = random_.uniform(-20, 40, (2, 3, 2)), random_.normal(0.0, 100.0, (2, 3, 2))
    cov = root @ root.transpose(0, 1, 3, 2)
    if random_.random() < 0.1:
        xy[:] = xy[0, 0]
        velocity[:] = 0.0
    gone = random_.random((2, 3)) < 0.15
    xy[gone], velocity[gone], cov[gone] = np.nan, np.nan, np.nan
    unseen = np.where(gone, np.nan, random_.choice([0.0, 40.0], (2, 3)))
    return Track("cam", 0, int(random_.integers(1 << 40)), xy, velocity, cov, unseen, gone)


def try_out(text: str, dice: random.Random, random_: np.random.Generator) -> bool:
    """Read a text as a rule, bind it and judge it.

    Parameters
    ----------
    text
        The text.
    dice, random_
        Sources of randomness, of the measures and of the tracks.

    Returns
    -------
    bool
        Whether it was a rule; False where it was refused with a message.

    Raises
    ------
    AssertionError
        Where the message does not name the rule, or the rule's judgement is not possible.
    """
    try:
        condition = bind(text, KEYPOINTS, ZONES, "rule 'fuzz'", dice.choice(MEASURES), inputs=INPUTS)
    except UserError as error:
        if not str(error).startswith("rule 'fuzz'"):
            raise AssertionError("a message without its rule") from error
        return False
    evaluator = condition.evaluator(dice.randrange(2), Geometry(np.diag([0.5, 0.5, 1.0])))
    for _ in range(3):
        track = make_track(random_)
        confidence = random_.uniform(0.0, 1.0, (2, 3))
        evaluator.observe(track, confidence)
        evaluator.set_track(track, confidence)
        evaluator.set_inputs({dice.choice(INPUTS)})
        holds, value = evaluator.holds(), evaluator.value()
        if not isinstance(holds, bool) or not isinstance(value, float):
            raise AssertionError(f"judged {holds!r}, {value!r}")
        if len(condition.slots) <= 4:
            probability = evaluator.probability()
            if not (np.isnan(probability) or 0.0 <= probability <= 1.0):
                raise AssertionError(f"a probability of {probability}")
    return True


def judged_texts(work: Path, seed: int) -> str:  # noqa: ARG001
    """Make texts, and judge those that are rules.

    Parameters
    ----------
    work
        Not used.
    seed
        Draws texts and tracks.

    Returns
    -------
    str
        The text that raised, with the traceback; empty where none did.
    """
    dice, random_ = random.Random(seed), np.random.default_rng(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(TEXTS):
            text = make_text(dice)
            try:
                try_out(text, dice, random_)
            except Exception:  # noqa: BLE001 - whatever it is, it is what we look for
                return f"{text!r}\n{traceback.format_exc()}"
    return ""
