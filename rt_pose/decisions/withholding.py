"""Which events are withheld as controls: drawn from their cause, so that replay withholds the same ones."""

from __future__ import annotations

from rt_pose.decisions.draws import draw


def is_withheld(seed: int, rule: str, camera: str, epoch: int, frame_index: int, share: float) -> bool:
    """Decide whether an event is a control trial.

    The decision is a hash of the event's cause, so that replay withholds the same ones.

    Parameters
    ----------
    seed
        Seed of the run.
    rule
        Name of the rule.
    camera
        Name of the camera.
    epoch, frame_index
        Stamps of the frame that caused it.
    share
        Share of events that are withheld, 0..1.

    Returns
    -------
    bool
        Whether it is withheld.
    """
    return draw(seed, rule, camera, epoch, frame_index) < share


def is_withheld_in_block(seed: int, rule: str, number: int, size: int, share: float) -> bool:
    """Decide the same where of each block of events the stated share is withheld exactly.

    Parameters
    ----------
    seed
        Seed of the run.
    rule
        Name of the rule.
    number
        How many of the rule's events were fired or withheld before this one.
    size
        Events of a block.
    share
        Share of events that are withheld, 0..1.

    Returns
    -------
    bool
        Whether it is withheld.
    """
    block, place = divmod(number, size)
    draws = [draw(seed, rule, "withhold", block, i) for i in range(size)]
    return sorted(draws).index(draws[place]) < round(share * size)
