"""Faults that a camera injects into its own frames, so that a rig can be tried before it is trusted.

    drop      the frame is lost in the device: a gap in its counter
    jitter    the frame is handed over later than it is due, by up to so much
    late      now and then a frame is handed over much later; those behind it wait for it

Which frame suffers what is a hash of (seed, camera, index): the same run has the same faults. The stamps of
the exposure and of scene time stay what they are; only the arrival moves, as it does on a bad cable.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rigs.hashing import uniform
from rt_pose.clock import NS_PER_MS
from rt_pose.errors import check_range


@dataclass
class FaultOptions:
    """What goes wrong, and how often. All of it is off unless it is set."""

    drop: float = 0.0
    """Share of frames that are lost, as a gap in the device's counter; never the first one."""
    jitter_ms: float = 0.0
    """Every frame is handed over later by a random time from 0 to this."""
    late: float = 0.0
    """Share of frames that are late besides."""
    late_ms: float = 20.0
    """How much later a late frame is handed over."""
    seed: int | None = None
    """Of the faults; the run's seed where it is not given."""


@dataclass
class BadDay:
    """What a dry run injects where nothing else is asked for."""

    faults: FaultOptions = field(default_factory=lambda: FaultOptions(0.01, 2.0, 0.005, 20.0))
    """What goes wrong, and how often. Where none of these options is given, faults are on: drop 0.01,
    jitter_ms 2, late 0.005, late_ms 20. Where one is given, the others are as stated here; all are off with
    `--faults.drop 0`."""


class Faults:
    """The faults of one camera."""

    def __init__(self, options: FaultOptions, seed: int, camera: str, where: str) -> None:
        """Check the options of one camera's faults.

        Parameters
        ----------
        options
            What goes wrong, and how often.
        seed
            Seed of the run, used where `options.seed` is None.
        camera
            Name of the camera, part of every hash.
        where
            Key of the configuration to name in an error, such as `cameras.top.options`.

        Raises
        ------
        UserError
            Where a share or a delay lies outside its range.
        """
        for name, high in (("drop", 0.9), ("late", 1.0), ("jitter_ms", 1000.0), ("late_ms", 10_000.0)):
            check_range(f"{where}.faults", name, getattr(options, name), 0.0, high)
        self._options, self._camera = options, camera
        self._seed = seed if options.seed is None else options.seed

    def drops(self, index: int) -> bool:
        """Whether the device loses the frame with this index.

        Parameters
        ----------
        index
            Index of the frame in the camera's own count.
        """
        return uniform(self._seed, "drop", self._camera, index) < self._options.drop

    def delay_ns(self, index: int) -> int:
        """Return how much later than due a frame is handed over.

        Parameters
        ----------
        index
            Index of the frame in the camera's own count.

        Returns
        -------
        int
            Delay, ns; 0 or more.
        """
        options = self._options
        if not options.jitter_ms and not options.late:
            return 0
        ms = uniform(self._seed, "jitter", self._camera, index, high=options.jitter_ms)
        if uniform(self._seed, "late", self._camera, index) < options.late:
            ms += options.late_ms
        return round(ms * NS_PER_MS)
