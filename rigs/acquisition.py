"""What every camera with a library of its own is asked: one set of options, under the same names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rt_pose.errors import UserError, check_range


@dataclass
class AcquisitionOptions:
    """Which camera, and how it takes its frames. What is left out stays as the camera has it."""

    serial: str = ""
    """Serial number as `rt-pose devices` shows it; may be left out where one camera is connected."""
    rate_hz: float | None = None
    """Frames a second, where the camera takes them by its own clock."""
    exposure_us: float | None = None
    """Length of an exposure."""
    gain_db: float | None = None
    """Gain."""
    roi: list[int] = field(default_factory=list)
    """[x, y, width, height] on the sensor, px; empty = the whole sensor."""
    pixel_format: str = ""
    """In GenICam's words, such as Mono8 or RGB8; empty = what fits the network, with 8 bits."""
    trigger: Literal["free", "line", "software"] = "free"
    """free: by the camera's own clock; line: at each edge on `trigger_source`; software: when the program
    asks, `rate_hz` times a second."""
    trigger_source: str = "Line1"
    """The hardware line of `trigger: line`."""
    grab: Literal["latest", "every"] = "latest"
    """latest: what came while the reader was busy is passed over, and counted; every: it waits in the buffers
    of the camera's library."""
    buffers: int = 10
    """Frames that the camera's library has room for."""

    def check(self, where: str) -> None:
        """Check the numbers.

        Parameters
        ----------
        where
            Key of the configuration to name in an error, such as `cameras.top.options`.

        Raises
        ------
        UserError
            Where a number lies outside its range.
        """
        check_range(where, "rate_hz", self.rate_hz, 0.1, 2000.0)
        check_range(where, "exposure_us", self.exposure_us, 1.0, 1e7)
        check_range(where, "gain_db", self.gain_db, -20.0, 100.0)
        check_range(where, "buffers", self.buffers, 2, 1000)
        if self.roi and (len(self.roi) != 4 or min(self.roi[:2]) < 0 or min(self.roi[2:]) < 1):
            raise UserError(f"{where}: roi must be [x, y, width, height] in px, got {self.roi}")
        if self.trigger == "software" and self.rate_hz is None:
            raise UserError(
                f"{where}: trigger: software needs rate_hz, how often the program asks for a frame"
            )
        if (
            self.trigger == "free"
            and self.rate_hz
            and self.exposure_us
            and self.rate_hz * self.exposure_us > 1e6
        ):
            raise UserError(
                f"{where}: exposures of {self.exposure_us:g} us leave room for "
                f"{1e6 / self.exposure_us:.3g} frames a second at most, got rate_hz {self.rate_hz:g}"
            )


def choose_device(serials: list[str], wanted: str, where: str) -> str:
    """Choose a camera by its serial number, never by its place in a list.

    Parameters
    ----------
    serials
        Of the cameras that are connected.
    wanted
        Serial number of the configuration; empty where it names none.
    where
        Key of the configuration to name in an error.

    Returns
    -------
    str
        One of `serials`.

    Raises
    ------
    UserError
        Where there is no such camera, or several and none is named.
    """
    listed = ", ".join(serials) or "none"
    if wanted and wanted not in serials:
        raise UserError(f"{where}: serial: no camera {wanted!r} is connected; there are: {listed}")
    if not wanted and len(serials) != 1:
        need = "plug one in" if not serials else "say which with `serial:`"
        raise UserError(f"{where}: expected one camera, found {len(serials)} ({listed}); {need}")
    return wanted or serials[0]
