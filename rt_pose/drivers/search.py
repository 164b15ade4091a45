"""What `rt-pose devices` lists: every device that a driver sees, whatever its library does."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import Any

from rt_pose.drivers.contract import FoundDevice
from rt_pose.drivers.registry import broken, cameras, inputs, outputs, problem_of

FIND_S = 10.0
"""How long a driver may look for its devices."""


def find_devices() -> list[tuple[str, FoundDevice]]:
    """Search for every device that a registered driver sees now.

    A driver that cannot be loaded, or whose search fails or hangs, is listed as a device that cannot be
    used, so that the others are still found; so is a driver that sees no device, since a configuration may
    name it all the same.

    Returns
    -------
    list[tuple[str, FoundDevice]]
        Pairs of kind ("camera", "output", "input") and device.
    """
    found: list[tuple[str, FoundDevice]] = []
    for kind, table in (("camera", cameras()), ("output", outputs()), ("input", inputs())):
        for name, driver in sorted(table.items()):
            found += [(kind, device) for device in _find(name, driver)]
        for name, problem in sorted(broken()[kind].items()):
            found.append((kind, FoundDevice(name, "", "cannot be loaded", False, problem)))
    return found


def _find(name: str, driver: Any) -> list[FoundDevice]:
    """What one driver sees, whatever its library does: raise, exit, answer nonsense, or not at all."""
    answer: SimpleQueue[list[FoundDevice] | str] = SimpleQueue()

    def search() -> None:
        try:
            answer.put(
                [
                    FoundDevice(
                        str(d.driver), str(d.serial), str(d.description), bool(d.usable), str(d.remedy)
                    )
                    for d in driver.find()
                ]
            )
        except BaseException as error:  # noqa: BLE001 - a vendor's library may raise anything, exits included
            answer.put(problem_of(error))

    threading.Thread(target=search, name=f"rt-pose-find-{name}", daemon=True).start()
    try:
        found = answer.get(timeout=FIND_S)
    except Empty:
        found = f"its library gave no answer within {FIND_S:g} s"
    if isinstance(found, str):
        return [FoundDevice(name, "", "cannot be searched for", False, found)]
    return found or [FoundDevice(name, "", "none is connected", False, "plug one in, and look again")]
