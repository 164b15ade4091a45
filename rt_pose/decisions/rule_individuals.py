"""Which individuals a rule is about, where several are tracked, and how sure it must be of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from rt_pose.config.check import EVERY_CAMERA
from rt_pose.config.rules import RuleConfig
from rt_pose.errors import UserError
from rt_pose.rules.condition import Condition

Who = int | Literal["each", "any"]
IDENTITY = 0.95
"""Of a rule that names individuals and does not say how sure it must be of them."""


def check_individual(rule: RuleConfig, names: Sequence[str], where: str) -> None:
    """Check the number of the individual that a rule is configured for.

    Parameters
    ----------
    rule
        The rule as configured.
    names
        Of all individuals.
    where
        Place of the rule in the configuration, for messages.

    Raises
    ------
    UserError
        Where there is no such individual.
    """
    count = len(names)
    if isinstance(rule.individual, int) and not 0 <= rule.individual < count:
        tracked = "one individual" if count == 1 else f"{count} individuals"
        raise UserError(
            f"{where}: individual: the model tracks {tracked}; expected each, any or 0 to {count - 1}, "
            f"got {rule.individual}"
        )


def individual_of(
    rule: RuleConfig, condition: Condition, release: Condition | None, names: Sequence[str], where: str
) -> Who:
    """Get the individual that a rule names, itself or in its conditions.

    Parameters
    ----------
    rule
        The rule as configured.
    condition, release
        Its conditions, bound.
    names
        Of all individuals.
    where
        Place of the rule in the configuration, for messages.

    Returns
    -------
    Who
        Its number, the first of several that are named together; `each` where nothing is said.

    Raises
    ------
    UserError
        Where two places contradict, or where several are tracked and a keypoint is no one's.
    """
    named: dict[int | str, str] = {}
    for of, part in (("when", condition), ("release", release)):
        if part is None:
            continue
        if part.without and len(names) > 1 and rule.individual == "each":
            raise UserError(
                f"{where}: {of}: whose {part.without}? There are {', '.join(names)}; write "
                f"each.{part.without}, any.{part.without} or {names[0]}.{part.without}"
            )
        who = part.word or part.individual
        if who is not None:
            named.setdefault(who, of)
    if rule.individual != "each":
        named.setdefault(rule.individual, "individual")
    if len(named) > 1:
        both = " and ".join(f"{who} ({of})" for who, of in named.items())
        raise UserError(f"{where}: looks at the individuals {both}; expected one individual a rule")
    return cast(Who, next(iter(named), "each"))


def named_individuals(individual: Who, condition: Condition, release: Condition | None) -> tuple[int, ...]:
    """List all individuals that a rule names.

    Parameters
    ----------
    individual
        That of the rule.
    condition, release
        Its conditions.

    Returns
    -------
    tuple[int, ...]
        Their numbers, each once.
    """
    found = [*condition.named, *(() if release is None else release.named)]
    found += [individual] if isinstance(individual, int) else []
    return tuple(dict.fromkeys(found))


def needed_identity(rule: RuleConfig, named: Sequence[int], names: Sequence[str], where: str) -> float | None:
    """Get how sure a rule must be of the individuals that it names.

    Parameters
    ----------
    rule
        The rule as configured.
    named
        The individuals that it names.
    names
        Of all individuals.
    where
        Place of the rule in the configuration, for messages.

    Returns
    -------
    float or None
        The probability that each of them must have; None where the rule names none, or there is but one.

    Raises
    ------
    UserError
        Where it is asked of another rule, or is no probability.
    """
    asked = bool(named) and len(names) > 1
    if rule.identity is None:
        return IDENTITY if asked else None
    if not asked:
        raise UserError(
            f"{where}: identity: only a rule that names one of several individuals can ask for it, e.g. "
            f"`individual0.nose` with `individuals: 2`; got {rule.identity}"
        )
    if not 0.0 < rule.identity < 1.0:
        raise UserError(f"{where}: identity: expected more than 0, less than 1, got {rule.identity}")
    return rule.identity


def check_one_camera(
    individual: Who, camera: str, names: Sequence[str], cameras: Sequence[str], where: str
) -> None:
    """Refuse individuals of no camera in particular: which is which is known in each camera alone.

    Parameters
    ----------
    individual, camera
        Those of the rule.
    names
        Of all individuals.
    cameras
        Of the run.
    where
        Place of the rule in the configuration, for messages.

    Raises
    ------
    UserError
        Where it would have to know them across cameras.
    """
    several = len(names) > 1 and len(cameras) > 1
    if several and individual != "any" and camera in EVERY_CAMERA:
        raise UserError(
            f"{where}: every camera numbers its animals by itself; with {len(cameras)} cameras say which one "
            f"it looks at, e.g. nose@{cameras[0]}, or ask for any animal: any.nose"
        )
