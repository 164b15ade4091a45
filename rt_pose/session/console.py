"""What a run shows on the terminal: what was chosen at start, one live line, warnings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.status import Status
from rich.text import Text

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.delivery import add_up, format_counts
from rt_pose.session.keys import KeyListener
from rt_pose.session.run import RunObserver
from rt_pose.types import rate_in_words


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


def format_events(stats: dict[str, Any]) -> str:
    """Format what was decided, and what of it became a stimulus, for the live line.

    Parameters
    ----------
    stats
        The content of the `stats` topic.

    Returns
    -------
    str
        Such as `fired 6 (4 acknowledged, 2 refused)`. What a rule that withholds has decided reads alike,
        whether it fired or not, and nothing is said of its deliveries.
    """
    counted = {o: sum(c.get(o, 0) for c in stats["events"].values()) for o in ("fired", "decided")}
    delivered = format_counts(add_up(stats["deliveries"].values()))
    words = [f"fired {counted['fired']}" + (f" ({delivered})" if delivered else "")]
    if counted["decided"]:
        words.append(f"decided {counted['decided']}")
    if stats["output_failed"] or stats["output_faults"]:
        words.append("an output failed")
    return ", ".join(words)


def format_alive(stats: dict[str, Any]) -> str:
    """Format how many of several animals are tracked, for the live line.

    Parameters
    ----------
    stats
        The content of the `stats` topic.

    Returns
    -------
    str
        Such as `3 of 4 animals, `, with the cameras' names where there are several; empty for one animal.
    """
    alive = stats.get("alive", {})
    counts = [f"{name} {n}" if len(alive) > 1 else str(n) for name, n in alive.items()]
    return f"{', '.join(counts)} of {stats['individuals']} animals, " if counts else ""


def format_views(stats: dict[str, Any]) -> str:
    """Format what groups of views have used, for the live line.

    Parameters
    ----------
    stats
        The content of the `stats` topic.

    Returns
    -------
    str
        Such as `arena: 1200 views, 3 late, `; with the cameras that no longer fit the calibration. Empty for
        a run without groups.
    """
    found = []
    for name, one in stats.get("views", {}).items():
        wrong = f", WRONG: {', '.join(one['wrong'])}" if one["wrong"] else ""
        found.append(f"{name}: {one['used']} views, {one['late']} late{wrong}, ")
    return "".join(found)


class RunConsole(RunObserver):
    """Shows a run on standard error."""

    def __init__(self) -> None:
        # Without markup: names and messages of devices may hold square brackets, as our own keys do.
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
        self._status: Status | None = None
        self._keys: KeyListener | None = None
        self._press: Callable[[str], None] | None = None

    def __enter__(self) -> RunConsole:
        opening = "opening cameras and outputs, timing the network (longer at the first start of a model) ..."
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
                "EMERGENCY STOP: outputs go low, disarmed; one that may not have is told below; `rt-pose "
                "order arm` arms again",
                style="bold red",
            )

        self._keys = KeyListener(pressed)

    def begin_inputs(self, press: Callable[[str], None]) -> None:
        """See `RunObserver.begin_inputs`."""
        self._press = press

    def ready(self, description: dict[str, Any]) -> None:
        """See `RunObserver.ready`."""
        show = self._console.print
        bare = description["bare_forward_ms"]
        show(f"engine: {description['engine']['description']}")
        show(f"bare forward: P50 {bare['p50']:.2f} ms, P99 {bare['p99']:.2f} ms (n {bare['n']})")
        for camera in description["cameras"].values():
            rate = rate_in_words(camera["rate_hz"], camera["trigger"])
            size = f"{camera['width']}x{camera['height']}x{camera['channels']}"
            show(f"camera {camera['name']}: {camera['driver']} {camera['serial']} {size}, {rate}")
        for name, views in description.get("views", {}).items():
            axes = "z is up" if views["up"] is not None else "axes of the calibration"
            cameras = ", ".join(views["cameras"])
            show(
                f"views {name}: {cameras}; calibration {views['calibration']}, places in {views['unit']}, "
                f"{axes}"
            )
        for output in description["outputs"].values():
            source = "" if output.get("stated_delay_ms") is None else " by its certificate"
            delay = f"{output['delay_ms']:g} ms{source}"
            show(f"output {output['name']}: {output['driver']} {output['serial']}, {delay}")
        for name, found in description.get("processors", {}).items():
            show(f"processor {name}: {found['source']}; neither `arm` nor the emergency stop reaches it")
        if description["outputs"] and self._keys is not None and self._keys.active:
            show("space, x or Esc is the emergency stop: all outputs low at once, and disarmed")
        self._listen_for_inputs(description.get("inputs", {}))
        addresses = description["addresses"]
        keys = addresses.get("keys", "")
        show(f"poses: {addresses['publish']}   control: {addresses['control']}   keys: {keys}")
        self._update("waiting for the first frame ...")

    def stats(self, stats: dict[str, Any]) -> None:
        """See `RunObserver.stats`."""
        latency = stats["latency_ms"]["exposure_to_decision"] or stats["latency_ms"]["image_to_decision"]
        shown = f"P50 {latency['p50']:.1f} P99 {latency['p99']:.1f} ms" if latency else "no frame yet"
        dropped = sum(stats["dropped"].values()) + stats["frames"]["device_gaps"]
        self._update(
            f"{stats['frames']['processed']} frames, {stats['rate_hz']:.1f}/s, {shown}, {format_alive(stats)}"
            f"{format_views(stats)}"
            f"dropped {dropped}, late {stats['deadline']['missed']}, {format_events(stats)}, "
            f"{'armed' if stats['armed'] else 'disarmed'}",
            failed=bool(stats["last_failure"] or stats["output_failed"] or stats["output_faults"]),
        )

    def ending(self) -> None:
        """See `RunObserver.ending`."""
        self._update("ending: outputs go safe, cameras stop, the network is timed once more ...")

    def warn(self, message: str) -> None:
        """See `RunObserver.warn`."""
        self._console.print(f"warning: {message}", style="yellow")

    def _listen_for_inputs(self, inputs: dict[str, Any]) -> None:
        names = {line["key"]: name for name, line in inputs.items() if line["key"]}
        if self._keys is None or self._press is None or not names:
            return
        self._keys.listen_for({key.encode(): name for key, name in names.items()}, self._press)
        if self._keys.active:
            for key, name in names.items():
                self._console.print(f"key {key}: input {name} ({inputs[name]['detail']})")

    def _update(self, text: str, failed: bool = False) -> None:
        if self._status is not None:
            self._status.update(Text(text, style="bold red" if failed else ""))
