"""What rules can measure: one function a quantity, each stating its arguments and unit.

A quantity gets samples (`rt_pose.rules.samples`) and its bound arguments: a keypoint is its slot in the
samples, a zone its shape, a number is itself. It returns an array of shape (n,), or one number where all
alternatives share it, in its stated unit; NaN where it has no value. A quantity without a unit is a
condition by itself and returns how far inside it is (>= 0 is true).

An installed package adds quantities by entry points of the group `rt_pose.quantities`; the name of the entry
point is the word in rules, and what it loads is a `Quantity`:

    [project.entry-points."rt_pose.quantities"]
    elongation = "my_package:ELONGATION"

Use numpy functions, not `math`: a measure is asked for thousands of alternatives at once. It must depend on
nothing but its arguments, or sessions do not replay.
"""

from __future__ import annotations

from importlib.metadata import entry_points

import numpy as np

from rt_pose.errors import UserError
from rt_pose.rules.closed_forms import Linear, Radial
from rt_pose.rules.memory import LineCrossing, PhaseTracker, WindowMean
from rt_pose.rules.quantities_between import BETWEEN
from rt_pose.rules.quantity import CIRCLE, DEGREE, KINDS, Quantity, entering, linear
from rt_pose.rules.samples import Array, StateSamples, length
from rt_pose.rules.zones import Area, Line

ENTRY_POINTS = "rt_pose.quantities"
_OF_ONE: dict[str, Quantity] = {}
_quantity = entering(_OF_ONE)


@_quantity("px", "the x of {0}", "keypoint", form=lambda k: linear((k, 0, 1.0)))
def x(samples: StateSamples, keypoint: int) -> Array:
    """Position to the right.

    Parameters
    ----------
    samples
        Keypoints by slot.
    keypoint
        Its slot.

    Returns
    -------
    Array
        (n,) px or mm.
    """
    return samples.x[keypoint]


@_quantity("px", "the y of {0}", "keypoint", form=lambda k: linear((k, 1, 1.0)))
def y(samples: StateSamples, keypoint: int) -> Array:
    """Position downward.

    Parameters
    ----------
    samples
        Keypoints by slot.
    keypoint
        Its slot.

    Returns
    -------
    Array
        (n,) px or mm.
    """
    return samples.y[keypoint]


def _speed_form(keypoint: int) -> Radial:
    return Radial(linear((keypoint, 2, 1.0)), linear((keypoint, 3, 1.0)))


@_quantity("px/s", "the speed of {0}", "keypoint", form=_speed_form, moving=True)
def speed(samples: StateSamples, keypoint: int) -> Array:
    """Length of the velocity.

    Parameters
    ----------
    samples
        Keypoints by slot.
    keypoint
        Its slot.

    Returns
    -------
    Array
        (n,) px/s or mm/s.
    """
    return length(samples.vx[keypoint], samples.vy[keypoint])


def _velocity_form(keypoint: int, angle: float) -> Linear:
    cos, sin = float(np.cos(angle / DEGREE)), float(np.sin(angle / DEGREE))
    return linear((keypoint, 2, cos), (keypoint, 3, sin))


@_quantity("px/s", "the velocity of {0} along {1}", "keypoint", "angle", form=_velocity_form, moving=True)
def velocity(samples: StateSamples, keypoint: int, angle: float) -> Array:
    """Velocity along a direction: 0 deg is right, 90 deg down.

    Parameters
    ----------
    samples
        Keypoints by slot.
    keypoint
        Its slot.
    angle
        The direction, deg.

    Returns
    -------
    Array
        (n,) px/s or mm/s.
    """
    cos, sin = np.cos(angle / DEGREE), np.sin(angle / DEGREE)
    return samples.vx[keypoint] * cos + samples.vy[keypoint] * sin


@_quantity(
    "deg",
    "the angle at {1} between {0} and {2}",
    *("keypoint", "keypoint", "keypoint"),
    bounds=(0.0, 180.0),
)
def angle(samples: StateSamples, first: int, corner: int, last: int) -> Array:
    """At a joint, 0 (folded) to 180 (straight) deg.

    Parameters
    ----------
    samples
        Keypoints by slot.
    first, corner, last
        Slots of the keypoints; the angle is at `corner`.

    Returns
    -------
    Array
        (n,) deg.
    """
    ax, ay = samples.x[first] - samples.x[corner], samples.y[first] - samples.y[corner]
    bx, by = samples.x[last] - samples.x[corner], samples.y[last] - samples.y[corner]
    return np.arctan2(np.abs(ax * by - ay * bx), ax * bx + ay * by) * DEGREE


@_quantity(
    "deg",
    "the angle between the heading from {0} to {1} and {2}",
    *("keypoint", "keypoint", "line"),
    bounds=(0.0, 90.0),
)
def angle_to(samples: StateSamples, tail: int, head: int, line: Line) -> Array:
    """Between a heading and a line or wall: 0 deg along it, 90 deg across it.

    Parameters
    ----------
    samples
        Keypoints by slot.
    tail, head
        Slots of the keypoints.
    line
        The line, in the slots' unit.

    Returns
    -------
    Array
        (n,) deg, 0 to 90.
    """
    dx, dy = samples.x[head] - samples.x[tail], samples.y[head] - samples.y[tail]
    ex, ey = line.x2 - line.x1, line.y2 - line.y1
    return np.arctan2(np.abs(dx * ey - dy * ex), np.abs(dx * ex + dy * ey)) * DEGREE


@_quantity("deg", "the heading from {0} to {1}", "keypoint", "keypoint", bounds=CIRCLE, circular=True)
def heading(samples: StateSamples, tail: int, head: int) -> Array:
    """Direction from one keypoint to another: 0 right, 90 down, 180 left, -90 up.

    Parameters
    ----------
    samples
        Keypoints by slot.
    tail, head
        Slots of the keypoints.

    Returns
    -------
    Array
        (n,) deg, -180 to 180.
    """
    return np.arctan2(samples.y[head] - samples.y[tail], samples.x[head] - samples.x[tail]) * DEGREE


@_quantity("deg", "the direction {0} moves in", "keypoint", moving=True, bounds=CIRCLE, circular=True)
def direction(samples: StateSamples, keypoint: int) -> Array:
    """Direction in which a keypoint moves: 0 right, 90 down, 180 left, -90 up.

    Parameters
    ----------
    samples
        Keypoints by slot.
    keypoint
        Its slot.

    Returns
    -------
    Array
        (n,) deg, -180 to 180.
    """
    return np.arctan2(samples.vy[keypoint], samples.vx[keypoint]) * DEGREE


@_quantity(None, "{0} is inside {1}", "keypoint", "zone")
def inside(samples: StateSamples, keypoint: int, zone: Area) -> Array:
    """Depth inside a zone.

    Parameters
    ----------
    samples
        Keypoints by slot.
    keypoint
        Its slot.
    zone
        A zone in the slot's unit.

    Returns
    -------
    Array
        (n,) px or mm, positive inside.
    """
    return zone.depth(samples.x[keypoint], samples.y[keypoint])


@_quantity(None, "{0} has crossed {1} to its {2}", "keypoint", "line", "side", memory=LineCrossing)
def crossing(samples: StateSamples, memory: LineCrossing) -> Array:
    """How far beyond the line, having come through it.

    Parameters
    ----------
    samples
        Keypoints by slot.
    memory
        What has been seen of the keypoint and the line.

    Returns
    -------
    Array
        (n,) px or mm, positive beyond.
    """
    return memory.beyond(samples)


@_quantity(None, "the input {0} is on", "input", random=False)
def line(samples: StateSamples, index: int) -> float:
    """Whether the line of an input is on, or was for a moment since the frame before.

    Parameters
    ----------
    samples
        The inputs' states.
    index
        Number of the input among those of the condition.

    Returns
    -------
    float
        1 where it is on, else -1.
    """
    return samples.inputs[index]


@_quantity("ms", "the time since {0} was seen", "keypoint", random=False)
def unseen(samples: StateSamples, keypoint: int) -> float:
    """Time since the last sight, as of the newest frame, ms.

    Parameters
    ----------
    samples
        Keypoints by slot.
    keypoint
        Its slot.

    Returns
    -------
    float
        ms; NaN before the first sight.
    """
    return samples.unseen_s[keypoint] * 1e3


@_quantity("", "the confidence in {0}", "keypoint", random=False, bounds=(0.0, 1.0))
def confidence(samples: StateSamples, keypoint: int) -> float:
    """The network's own confidence in the newest frame, 0 to 1.

    Parameters
    ----------
    samples
        Keypoints by slot.
    keypoint
        Its slot.

    Returns
    -------
    float
        0 to 1; NaN where it is not known.
    """
    return samples.confidence[keypoint]


@_quantity(
    "deg",
    "the phase of the rhythm of {0} near {1} (where its amplitude is at least {2})",
    *("signal", "frequency", "size"),
    random=False,
    memory=PhaseTracker,
    bounds=(0.0, 360.0),
    circular=True,
)
def phase(samples: StateSamples, memory: PhaseTracker) -> float:
    """Phase of a periodic movement, deg.

    Parameters
    ----------
    samples
        Their time counts.
    memory
        The tracker of the movement.

    Returns
    -------
    float
        deg, 0 to 360; NaN where there is no such movement.
    """
    return memory.phase_deg(samples.t_s)


@_quantity(
    "signal",
    "the amplitude of the rhythm of {0} near {1}",
    *("signal", "frequency"),
    random=False,
    memory=PhaseTracker,
)
def amplitude(samples: StateSamples, memory: PhaseTracker) -> float:  # noqa: ARG001
    """Amplitude of a periodic movement.

    Parameters
    ----------
    samples
        Not used.
    memory
        The tracker of the movement.

    Returns
    -------
    float
        In the signal's unit; NaN until it is known.
    """
    return memory.amplitude()


@_quantity(
    "signal",
    "the mean of {0} over {1}",
    *("signal", "time"),
    random=False,
    memory=WindowMean,
)
def mean(samples: StateSamples, memory: WindowMean) -> float:  # noqa: ARG001
    """Mean over the last so long, of the frames in which it was seen.

    Parameters
    ----------
    samples
        Not used.
    memory
        What has been seen of the signal.

    Returns
    -------
    float
        In the signal's unit; NaN until so much time has been seen.
    """
    return memory.mean()


QUANTITIES: dict[str, Quantity] = {**_OF_ONE, **BETWEEN}
"""The program's own quantities by name."""


def find_quantity(name: str) -> Quantity | None:
    """Look up a quantity, our own or one of an installed package.

    Parameters
    ----------
    name
        Its name in rules.

    Returns
    -------
    Quantity | None
        The quantity; None where there is none of that name.

    Raises
    ------
    UserError
        Where a package's entry point cannot be loaded, or is not a valid `Quantity`.
    """
    if name in QUANTITIES:
        return QUANTITIES[name]
    found = [point for point in entry_points(group=ENTRY_POINTS) if point.name == name]
    if not found:
        return None
    where = f"entry point {found[0].value}"
    try:
        quantity = found[0].load()
    except Exception as error:
        raise UserError(f"quantity '{name}': {where} cannot be loaded: {error}") from error
    if not isinstance(quantity, Quantity):
        raise UserError(
            f"quantity '{name}': {where}: expected an rt_pose.rules.quantities.Quantity, got "
            f"{type(quantity).__name__}"
        )
    wrong = [kind for kind in quantity.arguments if kind not in KINDS]
    if wrong:
        raise UserError(
            f"quantity '{name}': {where}: no kind of argument '{wrong[0]}'; valid: {', '.join(KINDS)}"
        )
    return quantity


def quantity_names() -> list[str]:
    """List all quantities that a rule may use.

    Returns
    -------
    list[str]
        Their names, our own first.
    """
    return [*QUANTITIES, *(point.name for point in entry_points(group=ENTRY_POINTS))]
