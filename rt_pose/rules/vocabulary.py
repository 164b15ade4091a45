"""The words that rules are made of, for people: `rt-pose rules words`."""

from __future__ import annotations

from rt_pose.rules.quantities import KINDS, Quantity, find_quantity, quantity_names
from rt_pose.rules.quantities_in_space import IN_SPACE, SHARED
from rt_pose.rules.units import UNIT_NAMES
from rt_pose.rules.value import FUNCTIONS

EXAMPLE = "inside(paw, lever) and speed(paw) > 20 cm/s and unseen(paw) < 50 ms"
UNITS = {None: "true or false", "": "a number", "signal": "its signal's"}


def vocabulary() -> list[str]:
    """List every quantity with its arguments and unit, what arguments may be, and how they are joined.

    Returns
    -------
    list[str]
        Lines for the terminal.
    """
    quantities = [q for q in map(find_quantity, quantity_names()) if q is not None]
    lines = ["a rule's `when` is made of these:", ""]
    lines += [_line(q) for q in quantities]
    lines += ["", "in space, in a rule with `view`, these, and of the above " + ", ".join(SHARED) + ":", ""]
    lines += [_line(q) for name, q in IN_SPACE.items() if name not in SHARED]
    lines += ["", "where", ""]
    lines += [f"  {kind:10} is {says}" for kind, says in KINDS.items()]
    lines += [
        "",
        "named      individual.keypoint@camera: nose, nose@top, individual0.nose; of several individuals",
        "           also each.nose, any.nose and other.nose (another one than that); in quotes where a name",
        "           holds anything but letters, digits, _ and -: 'left.paw'@top;",
        "           centroid(nose, tail) is the mean of these, centroid that of all keypoints",
        "joined by  < <= > >= (also chained: 60 deg < phase(...) < 120 deg), and, or, not, + - * /,",
        f"           brackets, and the functions {', '.join(FUNCTIONS)}",
        f"units      {', '.join(UNIT_NAMES)};",
        "           mm and its kin need `geometry`, or `view`; a number without a unit takes the quantity's",
        "",
        f"example    {EXAMPLE}",
    ]
    return lines


def _line(quantity: Quantity) -> str:
    call = f"{quantity.name}({', '.join(quantity.arguments)})"
    unit = UNITS.get(quantity.unit, quantity.unit)
    what = quantity.says.format(*quantity.arguments) + "."
    if quantity.unit is not None and quantity.measure.__doc__:
        what = quantity.measure.__doc__.strip().splitlines()[0]
    return f"  {call:36} {unit:14} {what}"
