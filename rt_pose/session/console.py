"""What a run shows on the terminal: what was chosen at start, one live line, warnings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.status import Status

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.session.keys import KeyListener
from rt_pose.session.run import RunObserver


def default_session(clock: Clock) -> Path:
    """Choose a new session folder, named by the UTC time.

    Parameters
    ----------
    clock
        Gives the time.

    Returns
    -------
    Path
        `sessions/YYYYMMDD-HHMMSS`; nothing is created.
    """
    started = datetime.fromtimestamp(clock.utc_ns() / NS_PER_S, UTC)
    return Path("sessions") / started.strftime("%Y%m%d-%H%M%S")


class RunConsole(RunObserver):
    """Shows a run on standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._status: Status | None = None
        self._keys: KeyListener | None = None

    def __enter__(self) -> RunConsole:
        opening = "opening cameras and outputs, timing the network (half a minute or so) ..."
        if not self._console.is_terminal:
            self._console.print(opening)
        self._status = self._console.status(opening)
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keys is not None:
            self._keys.close()
        if self._status is not None:
            self._status.stop()

    def begin(self, emergency: Callable[[str], None]) -> None:
        """See `RunObserver.begin`; listens for the emergency keys from here on."""

        def pressed() -> None:
            emergency("key")
            self._console.print(
                "EMERGENCY STOP: outputs low, disarmed; `rt-pose order arm` arms again", style="bold red"
            )

        self._keys = KeyListener(pressed)

    def ready(self, description: dict[str, Any]) -> None:
        """See `RunObserver.ready`."""
        show = self._console.print
        bare = description["bare_forward_ms"]
        show(f"engine: {description['engine']['description']}")
        show(f"bare forward: P50 {bare['p50']:.2f} ms, P99 {bare['p99']:.2f} ms (n {bare['n']})")
        for camera in description["cameras"].values():
            rate = f"{camera['rate_hz']:g} frames/s" if camera["rate_hz"] else "triggered from outside"
            size = f"{camera['width']}x{camera['height']}x{camera['channels']}"
            show(f"camera {camera['name']}: {camera['driver']} {camera['serial']} {size}, {rate}")
        for output in description["outputs"].values():
            show(f"output {output['name']}: {output['driver']} {output['serial']}, {output['delay_ms']:g} ms")
        if description["outputs"] and self._keys is not None and self._keys.active:
            show("[space] or [x] is the emergency stop: all outputs low at once, and disarmed")
        show(f"poses: {description['addresses']['publish']}   control: {description['addresses']['control']}")
        self._update("waiting for the first frame ...")

    def stats(self, stats: dict[str, Any]) -> None:
        """See `RunObserver.stats`."""
        latency = stats["latency_ms"]["exposure_to_decision"] or stats["latency_ms"]["image_to_decision"]
        shown = f"P50 {latency['p50']:.1f} P99 {latency['p99']:.1f} ms" if latency else "no frame yet"
        # What a rule that withholds has decided reads alike, whether it fired or not.
        counted = {o: sum(c.get(o, 0) for c in stats["events"].values()) for o in ("fired", "decided")}
        events = ", ".join(f"{outcome} {n}" for outcome, n in counted.items() if n or outcome == "fired")
        dropped = sum(stats["dropped"].values()) + stats["frames"]["device_gaps"]
        self._update(
            f"{stats['frames']['processed']} frames, {stats['rate_hz']:.1f}/s, {shown}, dropped {dropped}, "
            f"late {stats['deadline']['missed']}, {events}, {'armed' if stats['armed'] else 'disarmed'}"
        )

    def ending(self) -> None:
        """See `RunObserver.ending`."""
        self._update("ending: outputs go safe, cameras stop, the network is timed once more ...")

    def warn(self, message: str) -> None:
        """See `RunObserver.warn`."""
        self._console.print(f"warning: {message}", style="yellow")

    def _update(self, text: str) -> None:
        if self._status is not None:
            self._status.update(text)
