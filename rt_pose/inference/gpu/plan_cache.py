"""Where what was built for one GPU is kept: a file named by the hash of all that it depends on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping

from rt_pose.errors import UserError
from rt_pose.files import cache_folder

Facts = Mapping[str, str | int]
"""What a plan depends on, by name."""


def plan_key(facts: Facts) -> str:
    """Hash facts.

    Parameters
    ----------
    facts
        What a plan depends on, by name.

    Returns
    -------
    str
        Hex digits that differ where any fact does.
    """
    return hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode()).hexdigest()[:32]


def cached_plan(facts: Facts, build: Callable[[], bytes], usable: Callable[[bytes], bool]) -> bytes:
    """Look up the plan for some facts, or build and keep it. The facts lie beside it for people.

    Parameters
    ----------
    facts
        What the plan depends on, by name.
    build
        Builds the plan.
    usable
        Whether a kept plan can still be used; otherwise it is built again.

    Returns
    -------
    bytes
        The plan.

    Raises
    ------
    UserError
        Where the folder cannot be written.
    """
    path = cache_folder("tensorrt") / f"{plan_key(facts)}.plan"
    if path.is_file():
        plan = path.read_bytes()
        if usable(plan):
            return plan
    plan = build()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for target, content in ((path, plan), (path.with_suffix(".json"), json.dumps(dict(facts)).encode())):
            part = target.with_name(f"{target.name}.{os.getpid()}.part")
            part.write_bytes(content)
            part.replace(target)
    except OSError as error:
        raise UserError(
            f"the plan that was built cannot be kept in {path.parent}: {error.strerror}; set XDG_CACHE_HOME "
            "to a folder where you may write"
        ) from error
    return plan
